//! The store: a handle on the log of one topic.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use annalist_core::{
    Append, Capabilities, Capability, Consistency, Error, ErrorKind, EventStore, LogId, Page, Position, Read,
    Receipt, Source, Subscribe, Subscription,
};
use annalist_engine::group_commit::BatchWriter;
use annalist_engine::{GroupCommit, later};
use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::append::Appender;
use crate::barrier::Barriers;
use crate::command::Commands;
use crate::config::{Config, LIMITS};
use crate::error::{internal, unavailable};
use crate::fold::Verdict;
use crate::local::Local;
use crate::read::{self, Bounds, Seen};
use crate::record::Body;
use crate::replica::Replica;
use crate::sender::Sender;
use crate::topic::Found;

/// An event store on Apache Kafka. Clones share the handle: its queue of appends, its replica of the log and whether it is closed.
///
/// ```no_run
/// use annalist_core::{Append, EventStore, ExpectedVersion, NewEvent, StreamId};
/// use annalist_kafka::{Config, KafkaStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let url = "kafka://localhost:9092/shop.history?folder=/var/lib/shop/history";
/// KafkaStore::setup(url, &Config::default()).await?;
/// let store = KafkaStore::connect(url, Config::default()).await?;
/// let order = StreamId::new("Order-7")?;
/// store.append(Append::to(&order, ExpectedVersion::NoStream, [NewEvent::new("OrderPlaced", "{}")?])).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KafkaStore(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    config: Config,
    capabilities: Capabilities,
    log: LogId,
    replica: Arc<Replica>,
    sender: Arc<Sender>,
    commits: GroupCommit,
    barriers: Arc<Barriers>,
    commands: Commands,
    closed: watch::Sender<bool>,
}

/// How long closing waits for what the driver still has.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// How long a broker that may be away is asked, while somebody waits for more.
const LOST_WITHIN: Duration = Duration::from_millis(500);

const REPLICATED: &str = "a replica has the events before they are read";

impl Drop for Shared {
    fn drop(&mut self) {
        self.replica.stop();
    }
}

impl KafkaStore {
    /// Puts a store over a replica that has caught up. `layer` may stand between its queue and its sender.
    pub(crate) fn over(
        config: Config,
        found: Found,
        log: LogId,
        sender: Sender,
        layer: impl FnOnce(Arc<dyn BatchWriter>) -> Arc<dyn BatchWriter>,
    ) -> Self {
        let (replica, sender) = (sender.replica().clone(), Arc::new(sender));
        let capabilities = Capabilities::full(LIMITS)
            .durability(found.survives, found.settings)
            .recorded_at_resolution(Duration::from_millis(1))
            .wake_up_within(Duration::from_secs(1))
            .without(Capability::RemoteReads, REPLICATED);
        let ready_within = config.connect_timeout.min(config.attempt_timeout);
        let appender: Arc<dyn BatchWriter> = Arc::new(Appender { sender: sender.clone(), ready_within });
        let commits = GroupCommit::new(Arc::new(layer(appender)), config.group_commit());
        let barriers = Arc::new(Barriers::new(sender.clone(), ready_within));
        let commands = Commands { sender: sender.clone(), ready_within };
        let closed = watch::Sender::new(false);
        Self(Arc::new(Shared {
            config,
            capabilities,
            log,
            replica,
            sender,
            commits,
            barriers,
            commands,
            closed,
        }))
    }

    /// The identity of the log.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.0.log
    }

    /// How far this handle's replica has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let view = self.0.replica.view();
        Progress {
            applied: view.applied,
            digest: view.digest,
            foreign_records: view.foreign,
            late_records: view.late,
        }
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if *self.0.closed.borrow() { Err(ErrorKind::Closed.into()) } else { Ok(()) }
    }

    fn deadline(&self) -> Instant {
        later(Instant::now(), self.0.config.timeout)
    }

    pub(crate) async fn command(&self, body: &Body) -> Result<Verdict, Error> {
        self.check_open()?;
        self.0.commands.carry_out(body, self.deadline()).await
    }

    /// Looks at the local store once it holds all that was acknowledged before.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Local) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.check_open()?;
        let looked = timeout_at(self.deadline(), async {
            self.0.barriers.pass().await?;
            self.on_local(look).await
        });
        looked.await.unwrap_or_else(|_| Err(too_late()))
    }

    /// A look at a disk waits, which a task must not.
    async fn on_local<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Local) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let local = self.0.replica.local().clone();
        if let Local::Memory(_) = *local {
            return look(&local);
        }
        let looked = tokio::task::spawn_blocking(move || look(&local));
        looked.await.unwrap_or_else(|_| Err(internal("a look at the local store was lost")))
    }

    async fn page(&self, read: Read) -> Result<Page, Error> {
        let (offset, _) = annalist_core::backend::numbers(read::named(&read));
        let is_local = read.consistency() == Consistency::Local || read.fixed_head().is_some();
        // What it names must have been applied, or be shown not to exist.
        if !is_local || offset >= self.0.replica.view().applied {
            self.0.barriers.pass().await?;
        }
        self.0.replica.check()?;
        let config = &self.0.config;
        let bounds = Bounds { bytes_max: config.page_bytes_max, records_max: config.page_records_max };
        let seen = Seen { log: self.0.log, head: self.0.replica.view().head };
        self.on_local(move |local| match read.source() {
            Source::Stream(stream) => read::stream(local, &read, stream, seen, bounds),
            Source::Log(query) => read::log(local, &read, query, seen, bounds),
            _ => Err(ErrorKind::Unsupported("an unknown source".to_owned()).into()),
        })
        .await
    }
}

/// How far a replica has come; for tests and for those who watch over several processes.
///
/// ```no_run
/// # async fn example(one: annalist_kafka::KafkaStore, other: annalist_kafka::KafkaStore) {
/// let (one, other) = (one.progress(), other.progress());
/// assert!(one.applied != other.applied || one.digest == other.digest);
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// The offset up to which the topic has been applied, exclusive.
    pub applied: u64,
    /// What all verdicts up to there come to: the same in every process.
    pub digest: u64,
    /// How many records were skipped because they are not of this log.
    pub foreign_records: u64,
    /// How many were skipped because they came twice, or after a later one of their writer.
    pub late_records: u64,
}

fn too_late() -> Error {
    unavailable("no answer to a read by its deadline")
}

#[async_trait]
impl EventStore for KafkaStore {
    async fn append(&self, append: Append) -> Result<Receipt, Error> {
        self.check_open()?;
        self.0.capabilities.limits().check_append(&append)?;
        self.0.commits.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.check_open()?;
        self.0.capabilities.limits().check_read(&read)?;
        let within = read.timeout_after().unwrap_or(self.0.config.timeout);
        let page = timeout_at(later(Instant::now(), within), self.page(read)).await;
        page.unwrap_or_else(|_| Err(too_late()))
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        annalist_engine::subscribe(Arc::new(self.clone()), subscribe).await
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        self.check_open()?;
        let mut closed = self.0.closed.subscribe();
        tokio::select! {
            more = self.0.replica.wait_until(|view| view.head > after) => more,
            _ = closed.wait_for(|closed| *closed) => Err(ErrorKind::Closed.into()),
            error = self.0.sender.lost(LOST_WITHIN) => Err(error),
        }
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn close(&self) -> Result<(), Error> {
        self.0.closed.send_replace(true);
        self.0.commits.close().await;
        let sender = self.0.sender.clone();
        // It has its own bound; what it still has is barriers, which nobody waits for any more.
        let _ = tokio::task::spawn_blocking(move || sender.flush(GOODBYE_MAX)).await;
        self.0.replica.stop();
        let _ = tokio::time::timeout(GOODBYE_MAX, self.0.replica.ended()).await;
        Ok(())
    }
}

impl fmt::Debug for KafkaStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaStore")
            .field("config", &self.0.config)
            .field("log", &self.0.log)
            .finish_non_exhaustive()
    }
}
