//! The store: a handle on the log of one schema.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use annalist_core::{
    Append, Capabilities, Capability, Consistency, Error, ErrorKind, EventStore, LogId, Page, Position,
    Query, Read, Receipt, Source, Subscribe, Subscription, Survives,
};
use annalist_engine::group_commit::BatchWriter;
use annalist_engine::{GroupCommit, Pace, later};
use async_trait::async_trait;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::append::Appender;
use crate::call::in_time;
use crate::config::{Config, LIMITS, Schema};
use crate::connections::Connections;
use crate::error::{is_of_connection, of_read};
use crate::lease::Lease;
use crate::log::Log;
use crate::read::{self, Bounds, PageError};
use crate::server;

/// An event store on PostgreSQL. Clones share the handle: its queue of appends, its pool of connections and whether it is closed.
///
/// ```no_run
/// use annalist_core::{Append, EventStore, ExpectedVersion, NewEvent, StreamId};
/// use annalist_postgres::{Config, PostgresStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let url = "postgres://app:secret@localhost/shop";
/// PostgresStore::setup(url, &Config::default()).await?;
/// let store = PostgresStore::connect(url, Config::default()).await?;
/// let order = StreamId::new("Order-7")?;
/// store.append(Append::to(&order, ExpectedVersion::NoStream, [NewEvent::new("OrderPlaced", "{}")?])).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) schema: Schema,
    pub(crate) connections: Connections,
    capabilities: Capabilities,
    pub(crate) log: Arc<Log>,
    appender: Arc<Appender>,
    commits: GroupCommit,
    closed: watch::Sender<bool>,
}

const DURABLE: &str = "fsync = on, and synchronous_commit at least on, which is set where it is less";
const VOLATILE: &str = "the server runs with fsync = off, which was accepted";

impl PostgresStore {
    /// Puts a store over a pool. `layer` may stand between its queue and its connections.
    pub(crate) async fn over(
        connections: Connections,
        config: Config,
        layer: impl FnOnce(Arc<dyn BatchWriter>) -> Arc<dyn BatchWriter>,
    ) -> Result<Self, Error> {
        let schema = config.schema()?;
        let looked_at =
            timeout(config.timeout, server::look(&connections, &schema, config.accept_volatile)).await;
        let server =
            looked_at.map_err(|_| too_late("the server did not answer while the store was opened"))??;
        let log = Arc::new(Log::new(server.log));
        let appender = Arc::new(Appender::new(connections.clone(), log.clone(), &schema));
        let (survives, settings) =
            if server.flushes { (Survives::PowerLoss, DURABLE) } else { (Survives::ProcessKill, VOLATILE) };
        let capabilities = Capabilities::full(LIMITS)
            .durability(survives, settings)
            .recorded_at_resolution(Duration::from_micros(1))
            .wake_up_within(config.poll_interval_max.saturating_mul(4))
            .without(Capability::LocalReads, "every read asks the primary server");
        let commits = GroupCommit::new(Arc::new(layer(appender.clone())), config.group_commit());
        let (closed, _) = watch::channel(false);
        Ok(Self(Arc::new(Shared {
            config,
            schema,
            connections,
            capabilities,
            log,
            appender,
            commits,
            closed,
        })))
    }

    /// The identity of the log.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.0.log.id()
    }

    /// The pool on which it works.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.0.connections.pool
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if *self.0.closed.borrow() { Err(ErrorKind::Closed.into()) } else { Ok(()) }
    }

    /// One page, on whatever connection works: those that were lost while nobody used them are found out by using them.
    async fn page(&self, read: Read, deadline: Instant) -> Result<Page, Error> {
        let read = Arc::new(read);
        let mut others = self.pool().options().get_max_connections();
        loop {
            let (store, read) = (self.clone(), read.clone());
            let lease = in_time(deadline, self.0.connections.take()).await?;
            let answer = self.on_connection(lease, deadline, move |connection| {
                Box::pin(async move { store.page_on(connection, &read).await })
            });
            match answer.await?.ok_or_else(|| too_late("no answer to a read by its deadline"))? {
                Err(PageError::Driver(error)) => {
                    self.0.connections.note(&error);
                    if others == 0 || !is_of_connection(&error) {
                        return Err(of_read(error));
                    }
                    others -= 1;
                }
                answer => return Ok(answer?),
            }
        }
    }

    async fn page_on(&self, connection: &mut Lease, read: &Read) -> Result<Page, PageError> {
        let config = &self.0.config;
        let bounds = Bounds { bytes_max: config.page_bytes_max, positions_max: config.page_positions_max };
        connection.begin().await?;
        let page = match read.source() {
            Source::Stream(stream) => read::stream(connection, &self.0.schema, read, stream, bounds).await,
            Source::Log(query) => read::log(connection, &self.0.schema, read, query, bounds).await,
            _ => Err(Error::new(ErrorKind::Unsupported("an unknown source".to_owned())).into()),
        };
        if let Ok(_) | Err(PageError::Told(_)) = page {
            connection.end().await?;
        }
        page
    }

    async fn head(&self) -> Result<Position, Error> {
        Ok(self.read(Read::log(Query::all()).limit(0)).await?.head)
    }
}

pub(crate) fn too_late(message: &str) -> Error {
    ErrorKind::Unavailable(message.to_owned()).into()
}

#[async_trait]
impl EventStore for PostgresStore {
    async fn append(&self, append: Append) -> Result<Receipt, Error> {
        self.check_open()?;
        self.0.capabilities.limits().check_append(&append)?;
        self.0.commits.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.check_open()?;
        self.0.capabilities.limits().check_read(&read)?;
        if read.consistency() != Consistency::Linearizable {
            self.0.capabilities.require(Capability::LocalReads)?;
        }
        let within = read.timeout_after().unwrap_or(self.0.config.timeout);
        self.page(read, later(Instant::now(), within)).await
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        annalist_engine::subscribe(Arc::new(self.clone()), subscribe).await
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        self.check_open()?;
        let mut closed = self.0.closed.subscribe();
        let config = &self.0.config;
        let pace = Pace { interval_min: config.poll_interval_min, interval_max: config.poll_interval_max };
        tokio::select! {
            more = self.0.log.wait(after, pace, || self.head()) => more,
            _ = closed.wait_for(|closed| *closed) => Err(ErrorKind::Closed.into()),
        }
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn close(&self) -> Result<(), Error> {
        self.0.closed.send_replace(true);
        self.0.commits.close().await;
        self.0.appender.release();
        self.0.connections.close().await;
        Ok(())
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { config, log, .. } = &*self.0;
        f.debug_struct("PostgresStore")
            .field("config", config)
            .field("log", &log.id())
            .finish_non_exhaustive()
    }
}
