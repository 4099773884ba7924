//! The store: the log behind a lock, and the handle on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use annalist_core::{
    Append, Capabilities, Capability, Consistency, Error, ErrorKind, EventStore, Page, Position, Read,
    Receipt, Source, Subscribe, Subscription, Survives,
};
use annalist_engine::WakeUp;
use async_trait::async_trait;

use crate::checkpoint::Checkpoints;
use crate::config::Config;
use crate::log::Log;
use crate::snapshot::Snapshots;

/// An event store in memory. Clones share the handle; the log lives as long as any handle on it.
///
/// ```
/// use annalist_core::{EventStore, Position, Query, Read};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// assert_eq!(store.read(Read::log(Query::all())).await?.head, Position::START);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    closed: Arc<AtomicBool>,
}

/// What all handles on one log share.
#[derive(Debug)]
struct Shared {
    config: Config,
    capabilities: Capabilities,
    log: RwLock<Log>,
    snapshots: Mutex<Snapshots>,
    checkpoints: Mutex<Checkpoints>,
    wake_up: WakeUp,
}

const VOLATILE: &str = "keeps everything in memory";

impl MemoryStore {
    /// An empty log with default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    /// An empty log with these settings.
    #[must_use]
    pub fn with(config: Config) -> Self {
        let capabilities = Capabilities::full(config.limits)
            .durability(Survives::Nothing, VOLATILE)
            .recorded_at_resolution(Duration::from_nanos(1))
            .queries_scan()
            .without(Capability::Durability, VOLATILE)
            .without(Capability::Processes, VOLATILE)
            .without(Capability::LocalReads, "every read is linearizable");
        let shared = Shared {
            capabilities,
            log: RwLock::new(Log::new(config.log)),
            snapshots: Mutex::default(),
            checkpoints: Mutex::default(),
            wake_up: WakeUp::of(config.log),
            config,
        };
        Self { shared: Arc::new(shared), closed: Arc::default() }
    }

    /// A second, independent handle on the same log: closing one leaves the other open.
    #[must_use]
    pub fn another_handle(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), closed: Arc::default() }
    }

    /// Drops every event above a position, as restoring an older backup does: for tests of what an application does then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongHistory`] if the position is of another log or past the head.
    pub fn restore_to(&self, position: Position) -> Result<(), Error> {
        let mut log = self.write();
        annalist_core::backend::check_position(position, log.id(), log.head())?;
        log.truncate(position);
        drop(log);
        self.shared.wake_up.wake();
        Ok(())
    }

    /// Drops the whole log and begins an empty one with another id, as making a topic or table anew does. Snapshots and
    /// checkpoints stay: for tests of what an application does then.
    pub fn replace_log(&self) {
        *self.write() = Log::new(annalist_core::LogId::new());
        self.shared.wake_up.wake();
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(ErrorKind::Closed.into()) } else { Ok(()) }
    }

    // Nothing panics while it holds one of these locks, so a poisoned one protects a whole state.

    pub(crate) fn log(&self) -> RwLockReadGuard<'_, Log> {
        self.shared.log.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Log> {
        self.shared.log.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshots(&self) -> MutexGuard<'_, Snapshots> {
        self.shared.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn checkpoints(&self) -> MutexGuard<'_, Checkpoints> {
        self.shared.checkpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, append: Append) -> Result<Receipt, Error> {
        self.check_open()?;
        self.shared.capabilities.limits().check_append(&append)?;
        let receipt = {
            let mut log = self.write();
            // Under the lock, so that later events do not carry earlier times.
            let now = self.shared.config.now();
            log.append(&append, now)?
        };
        self.shared.wake_up.wake();
        Ok(receipt)
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.check_open()?;
        self.shared.capabilities.limits().check_read(&read)?;
        if read.consistency() != Consistency::Linearizable {
            self.shared.capabilities.require(Capability::LocalReads)?;
        }
        match read.source() {
            Source::Stream(stream) => self.log().read_stream(&read, stream),
            Source::Log(query) => self.log().read_log(&read, query),
            _ => Err(ErrorKind::Unsupported("an unknown source".to_owned()).into()),
        }
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        annalist_engine::subscribe(Arc::new(self.clone()), subscribe).await
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        // A head that is not above but other than what was seen is that of another history, which the next read tells.
        self.shared.wake_up.wait_until(|| self.check_open().is_err() || self.log().head() != after).await;
        self.check_open()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    async fn close(&self) -> Result<(), Error> {
        self.closed.store(true, Ordering::Release);
        self.shared.wake_up.wake();
        Ok(())
    }
}
