//! The store: a handle on the log of one namespace.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use annalist_core::{
    Append, Capabilities, Capability, Consistency, Error, ErrorKind, EventStore, Limits, LogId, Page,
    Position, Read, Receipt, Source, Subscribe, Subscription, Survives,
};
use annalist_engine::group_commit::BatchWriter;
use annalist_engine::{GroupCommit, later};
use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::append::Appender;
use crate::config::{Config, LIMITS};
use crate::error::too_late;
use crate::log::Log;
use crate::requests::Requests;
use crate::schema;
use crate::table::Table;

/// An event store on DynamoDB. Clones share the handle: its queue of appends, what it knows of the log and whether it is closed.
///
/// ```no_run
/// use annalist_core::{Append, EventStore, ExpectedVersion, NewEvent, StreamId};
/// use annalist_dynamodb::{Config, DynamoStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let url = "dynamodb://shop?region=eu-central-1";
/// DynamoStore::setup(url, &Config::default()).await?;
/// let store = DynamoStore::connect(url, Config::default()).await?;
/// let order = StreamId::new("Order-7")?;
/// store.append(Append::to(&order, ExpectedVersion::NoStream, [NewEvent::new("OrderPlaced", "{}")?])).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DynamoStore(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: Config,
    capabilities: Capabilities,
    pub(crate) log: Arc<Log>,
    commits: GroupCommit,
    closed: watch::Sender<bool>,
}

const DURABLE: &str = "the service has written to several of its zones before it answers";

impl Drop for Shared {
    /// The index is written by a task of its own, which must not outlive the last handle for long.
    fn drop(&mut self) {
        self.log.close();
    }
}

impl DynamoStore {
    /// Puts a store over a table. `layer` may stand between its queue and its requests.
    pub(crate) async fn over(
        table: Arc<dyn Table>,
        config: Config,
        layer: impl FnOnce(Arc<dyn BatchWriter>) -> Arc<dyn BatchWriter>,
    ) -> Result<Self, Error> {
        let keys = config.keys()?;
        let requests = Requests::new(table, config.request_timeout, config.requests_at_once_max);
        let deadline = later(Instant::now(), config.timeout);
        let loaded = schema::load(&requests, &keys, deadline).await?;
        let log = Arc::new(Log::new(config.clone(), keys, requests, &loaded));
        let capabilities = Capabilities::full(LIMITS)
            .durability(Survives::NodeLoss, DURABLE)
            .recorded_at_resolution(Duration::from_micros(1))
            .wake_up_within(config.poll_interval_max.saturating_mul(4))
            .without(Capability::LocalReads, "every read asks the table");
        let appender: Arc<dyn BatchWriter> = Arc::new(Appender::new(log.clone()));
        let commits = GroupCommit::new(Arc::new(layer(appender)), config.group_commit());
        let (closed, _) = watch::channel(false);
        Ok(Self(Arc::new(Shared { config, capabilities, log, commits, closed })))
    }

    /// The identity of the log.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.0.log.id()
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if *self.0.closed.borrow() { Err(ErrorKind::Closed.into()) } else { Ok(()) }
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.0.capabilities.limits()
    }

    /// When an operation ends that does not say so itself.
    pub(crate) fn deadline(&self) -> Instant {
        later(Instant::now(), self.0.config.timeout)
    }

    async fn page(&self, read: &Read, deadline: Instant) -> Result<Page, Error> {
        match read.source() {
            Source::Stream(stream) => self.0.log.read_stream(read, stream, deadline).await,
            Source::Log(query) => self.0.log.read_log(read, query, deadline).await,
            _ => Err(ErrorKind::Unsupported("an unknown source".to_owned()).into()),
        }
    }

    async fn look(&self) -> Result<Position, Error> {
        self.0.log.sync(self.deadline()).await?;
        Ok(self.0.log.head())
    }
}

#[async_trait]
impl EventStore for DynamoStore {
    async fn append(&self, append: Append) -> Result<Receipt, Error> {
        self.check_open()?;
        self.limits().check_append(&append)?;
        self.0.commits.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.check_open()?;
        self.limits().check_read(&read)?;
        if read.consistency() != Consistency::Linearizable {
            self.0.capabilities.require(Capability::LocalReads)?;
        }
        let within = read.timeout_after().unwrap_or(self.0.config.timeout);
        let deadline = later(Instant::now(), within);
        let page = timeout_at(deadline, self.page(&read, deadline)).await;
        page.map_err(|_| too_late("no answer to a read by its deadline"))?
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        annalist_engine::subscribe(Arc::new(self.clone()), subscribe).await
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        self.check_open()?;
        let mut closed = self.0.closed.subscribe();
        let watch = self.0.log.watch();
        tokio::select! {
            more = watch.wait(after, self.0.config.pace(), || self.look()) => more,
            _ = closed.wait_for(|closed| *closed) => Err(ErrorKind::Closed.into()),
        }
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn close(&self) -> Result<(), Error> {
        self.0.closed.send_replace(true);
        self.0.commits.close().await;
        self.0.log.close();
        self.0.log.is_idle().await;
        Ok(())
    }
}

impl fmt::Debug for DynamoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoStore")
            .field("config", &self.0.config)
            .field("log", &self.log())
            .finish_non_exhaustive()
    }
}

impl Log {
    fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.advanced.notify_waiters();
    }
}
