//! The store: a handle on the log in one file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use annalist_core::{
    Append, Capabilities, Capability, Consistency, Error, ErrorKind, EventStore, LogId, Page, Position,
    Query, Read, Receipt, Source, Subscribe, Subscription, Survives,
};
use annalist_engine::group_commit::BatchWriter;
use annalist_engine::{GroupCommit, later};
use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::append::Appender;
use crate::config::{Config, LIMITS};
use crate::connection::Link;
use crate::error;
use crate::log::{Log, Seen};
use crate::query::Bounds;
use crate::read;
use crate::readers::Readers;
use crate::writer::{Use, Writer};

/// An event store in a SQLite file. Clones share the handle: its queue of appends, its connections and whether it is closed.
///
/// ```
/// use annalist_core::{Append, EventStore, ExpectedVersion, NewEvent, StreamId};
/// use annalist_sqlite::{Config, SqliteStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let path = folder.path().join("history.db");
/// let store = SqliteStore::open(&path, Config::default()).await?;
/// let order = StreamId::new("Order-7")?;
/// store.append(Append::to(&order, ExpectedVersion::NoStream, [NewEvent::new("OrderPlaced", "{}")?])).await?;
/// store.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore(Arc<Shared>);

struct Shared {
    path: PathBuf,
    config: Config,
    capabilities: Capabilities,
    log: Arc<Log>,
    commits: GroupCommit,
    readers: Readers,
    writer: Arc<Writer>,
    /// Until it is closed.
    used: Mutex<Option<Use>>,
    closed: watch::Sender<bool>,
}

const DURABLE: &str = "write-ahead log with synchronous = FULL, and fullfsync where there is one";

const STOPPED: &str = "SQLite's lock belongs to the process: one that is stopped in the middle of a commit keeps it until it goes on or ends";

impl SqliteStore {
    /// Puts a store over a file. `layer` may stand between its queue and the thread that writes.
    pub(crate) fn over(
        path: PathBuf,
        link: Link,
        config: Config,
        layer: impl FnOnce(Arc<dyn BatchWriter>) -> Arc<dyn BatchWriter>,
    ) -> Result<Self, Error> {
        let log = Arc::new(Log::new(Seen::by(&link.connection)?.log));
        let used = Use::of(&path, config.wal_bytes_max);
        let writer = used.writer().clone();
        let appender = Arc::new(Appender { writer: writer.clone(), log: log.clone() });
        let capabilities = Capabilities::full(LIMITS)
            .durability(Survives::PowerLoss, DURABLE)
            .recorded_at_resolution(Duration::from_micros(1))
            .wake_up_within(config.poll_interval_max.saturating_mul(4))
            .without(Capability::LocalReads, "every read sees all that was committed")
            .without(Capability::StoppedProcesses, STOPPED);
        let commits = GroupCommit::new(Arc::new(layer(appender)), config.group_commit());
        let readers = Readers::new(&path, link, config.readers_max);
        let (closed, _) = watch::channel(false);
        Ok(Self(Arc::new(Shared {
            path,
            config,
            capabilities,
            log,
            commits,
            readers,
            writer,
            used: Mutex::new(Some(used)),
            closed,
        })))
    }

    /// The identity of the log.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.0.log.id()
    }

    /// The file in which it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if *self.0.closed.borrow() { Err(ErrorKind::Closed.into()) } else { Ok(()) }
    }

    fn deadline(&self) -> Instant {
        later(Instant::now(), self.0.config.timeout)
    }

    /// Does something that reads.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.0.readers.read(self.deadline(), work).await
    }

    /// Does something that changes what is stored.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.0.writer.write(self.deadline(), work).await
    }

    /// The same for what may be refused for what is stored, having changed nothing: that harms nobody who is in the same transaction.
    pub(crate) async fn decide<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let decided = move |connection: &Connection| match work(connection) {
            Err(refusal) if error::driver(&refusal).is_none() => Ok(Err(refusal)),
            done => done.map(Ok),
        };
        self.write(decided).await?
    }

    async fn head(&self) -> Result<Position, Error> {
        Ok(self.read(Read::log(Query::all()).limit(0)).await?.head)
    }
}

fn page(connection: &Connection, log: &Log, config: &Config, read: &Read) -> Result<Page, Error> {
    let seen = Seen::by(connection)?;
    log.learn(seen.log);
    let bounds = Bounds {
        events_max: read.page_events_max(),
        bytes_max: config.page_bytes_max,
        positions_max: config.page_positions_max.max(1),
    };
    match read.source() {
        Source::Stream(stream) => read::stream(connection, seen, read, stream, bounds),
        Source::Log(query) => read::log(connection, seen, read, query, bounds),
        _ => Err(ErrorKind::Unsupported("an unknown source".to_owned()).into()),
    }
}

#[async_trait]
impl EventStore for SqliteStore {
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
        let (log, config) = (self.0.log.clone(), self.0.config.clone());
        let work = move |connection: &Connection| page(connection, &log, &config, &read);
        self.0.readers.read(later(Instant::now(), within), work).await
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        annalist_engine::subscribe(Arc::new(self.clone()), subscribe).await
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        self.check_open()?;
        let mut closed = self.0.closed.subscribe();
        tokio::select! {
            more = self.0.log.wait(after, self.0.config.pace(), || self.head()) => more,
            _ = closed.wait_for(|closed| *closed) => Err(ErrorKind::Closed.into()),
        }
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn close(&self) -> Result<(), Error> {
        self.0.closed.send_replace(true);
        self.0.commits.close().await;
        self.0.readers.close().await;
        let used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(used) = used {
            used.end().await;
        }
        Ok(())
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.0.path)
            .field("config", &self.0.config)
            .field("log", &self.log())
            .finish_non_exhaustive()
    }
}
