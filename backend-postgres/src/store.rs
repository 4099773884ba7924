//! The store: a handle on the log of one schema.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use annalist_core::{
    Append, Capabilities, Capability, Consistency, Error, ErrorKind, EventStore, LogId, Page, Position,
    Query, Read, Receipt, Source, Subscribe, Subscription, Survives,
};
use annalist_engine::group_commit::BatchWriter;
use annalist_engine::{GroupCommit, Pace};
use async_trait::async_trait;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::append::{Appender, Statements};
use crate::config::{Config, LIMITS, Schema};
use crate::error::is_of_connection;
use crate::lease::{Lease, keeps_statements};
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
    pub(crate) pool: PgPool,
    /// See [`keeps_statements`](crate::lease::keeps_statements).
    pub(crate) keeps_statements: bool,
    /// Whether the pool was made for this store, and ends with it.
    owns_pool: bool,
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
        pool: PgPool,
        owns_pool: bool,
        config: Config,
        layer: impl FnOnce(Arc<dyn BatchWriter>) -> Arc<dyn BatchWriter>,
    ) -> Result<Self, Error> {
        let schema = config.schema()?;
        let keeps_statements = keeps_statements(&pool);
        let look = server::look(&pool, keeps_statements, &schema, config.accept_volatile);
        let looked_at = timeout(config.timeout, look).await;
        let server =
            looked_at.map_err(|_| too_late("the server did not answer while the store was opened"))??;
        let log = Arc::new(Log::new(server.log));
        let appender =
            Arc::new(Appender::new(pool.clone(), log.clone(), Statements::new(&schema, keeps_statements)));
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
            pool,
            keeps_statements,
            owns_pool,
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
        &self.0.pool
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if *self.0.closed.borrow() { Err(ErrorKind::Closed.into()) } else { Ok(()) }
    }

    /// One page, on whatever connection works: those that were lost while nobody used them are found out by using them.
    async fn page(&self, read: &Read) -> Result<Page, Error> {
        let mut spare = self.0.pool.num_idle();
        loop {
            let mut lease = Lease::take(&self.0.pool, self.0.keeps_statements).await?;
            match self.page_on(&mut lease, read).await {
                Ok(page) => {
                    lease.give_back();
                    return Ok(page);
                }
                Err(PageError::Told(error)) => {
                    lease.give_back();
                    return Err(error);
                }
                Err(PageError::Driver(error)) if spare > 0 && is_of_connection(&error) => spare -= 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn page_on(&self, lease: &mut Lease, read: &Read) -> Result<Page, PageError> {
        let config = &self.0.config;
        let bounds = Bounds {
            bytes_max: config.page_bytes_max,
            positions_max: config.page_positions_max,
            keeps_statements: self.0.keeps_statements,
        };
        lease.begin().await?;
        let page = match read.source() {
            Source::Stream(stream) => read::stream(lease, &self.0.schema, read, stream, bounds).await,
            Source::Log(query) => read::log(lease, &self.0.schema, read, query, bounds).await,
            _ => Err(Error::new(ErrorKind::Unsupported("an unknown source".to_owned())).into()),
        };
        if let Ok(_) | Err(PageError::Told(_)) = page {
            lease.end().await?;
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
        timeout(within, self.page(&read))
            .await
            .map_err(|_| too_late("no answer to a read by its deadline"))?
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
        if self.0.owns_pool {
            self.0.pool.close().await;
        }
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
