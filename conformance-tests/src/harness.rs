//! What the author of a backend writes: how to open the store.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use annalist_core::{CheckpointStore, EventId, EventStore, Position, SnapshotStore};
use async_trait::async_trait;

use crate::{Disk, Server};

/// Any error of a harness.
///
/// ```
/// let error: annalist_conformance::BoxError = "the server did not start".into();
/// assert_eq!(error.to_string(), "the server did not start");
/// ```
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// How the suite opens a store: about forty lines for the author of a backend.
///
/// ```
/// use annalist_conformance::{BoxError, Harness, Namespaces, Opened};
/// use annalist_memory::MemoryStore;
///
/// #[derive(Default)]
/// struct Memory(Namespaces<MemoryStore>);
///
/// #[async_trait::async_trait]
/// impl Harness for Memory {
///     fn name(&self) -> &str {
///         "memory"
///     }
///
///     fn server(&self) -> String {
///         "in process".into()
///     }
///
///     async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
///         Ok(Opened::new(self.0.get(namespace, MemoryStore::new).another_handle()))
///     }
/// }
/// ```
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// The name of the backend, as in reports.
    fn name(&self) -> &str;

    /// What the backend works on, with its version: `PostgreSQL 17.2`.
    fn server(&self) -> String;

    /// How many checks may run at once where the command line does not say: checks wait more than they compute, so that many more do than there
    /// are cores. A server that needs a process for each connection does better with fewer.
    fn checks_at_once(&self) -> usize {
        32
    }

    /// Opens a namespace: an empty log the first time, and each further time another, independent handle on the same
    /// data, with its own connections and caches. Names hold only `a-z`, `0-9` and `_`, begin with a letter and have at
    /// most 40 characters.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from being opened; a missing server is a failure of the check, not a skip.
    async fn open(&self, namespace: &str) -> Result<Opened, BoxError>;

    /// Puts the log of a namespace back behind the back of its open handles, as when a backup is restored. Checkpoints
    /// stay as they are. Handles opened afterwards see what is left.
    ///
    /// # Errors
    ///
    /// [`HookError::NotProvided`] unless the harness can do it.
    async fn rewind(&self, namespace: &str, rewind: Rewind) -> Result<(), HookError> {
        let _ = (namespace, rewind);
        Err(HookError::NotProvided)
    }

    /// Breaks the way between the open handles of a namespace and its log, or heals it by [`Fault::None`]. Reads are spared.
    ///
    /// # Errors
    ///
    /// [`HookError::NotProvided`] unless the harness can do it; [`HookError::NotApplicable`] where there is no way to break.
    async fn fault(&self, namespace: &str, fault: Fault) -> Result<(), HookError> {
        let _ = (namespace, fault);
        Err(HookError::NotProvided)
    }

    /// Where the server listens, for the suite to put its [`Proxy`](crate::Proxy) in front of. Needs
    /// [`open_through`](Self::open_through) as well.
    ///
    /// # Errors
    ///
    /// [`HookError::NotProvided`] unless the harness can tell; [`HookError::NotApplicable`] where there is no connection.
    async fn address(&self) -> Result<SocketAddr, HookError> {
        Err(HookError::NotProvided)
    }

    /// Opens another, independent handle on a namespace, as [`open`](Self::open) does, all of whose connections go to this address instead
    /// of the server's own. Nothing but the bytes in between tells it from the server.
    ///
    /// # Errors
    ///
    /// As [`address`](Self::address), and whatever keeps the store from being opened.
    async fn open_through(&self, namespace: &str, address: SocketAddr) -> Result<Opened, HookError> {
        let _ = (namespace, address);
        Err(HookError::NotProvided)
    }

    /// What no error, log line or debug text may contain: the passwords, keys and tokens with which [`open`](Self::open) and
    /// [`open_through`](Self::open_through) connect.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    /// The ids of the events that are held up on their way by [`Fault::Stall`]: they have left the store's own queue.
    ///
    /// # Errors
    ///
    /// As [`fault`](Self::fault).
    async fn held(&self, namespace: &str) -> Result<Vec<EventId>, HookError> {
        let _ = namespace;
        Err(HookError::NotProvided)
    }

    /// What another process of this program needs in its environment, so that its harness opens the same namespaces on the same server: the
    /// address of a server that this harness has started, say. The suite starts such processes by itself and calls nothing but
    /// [`open`](Self::open) in them.
    ///
    /// # Errors
    ///
    /// [`HookError::NotProvided`] unless the harness can do it.
    async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        Err(HookError::NotProvided)
    }

    /// A server for one check alone, started afresh, because it will be killed.
    ///
    /// # Errors
    ///
    /// [`HookError::NotProvided`] unless the harness can do it; [`HookError::NotApplicable`] where the store has no server.
    async fn own_server(&self) -> Result<Arc<dyn Server>, HookError> {
        Err(HookError::NotProvided)
    }

    /// A disk for one check alone, with a server on it where the store has one, because its power will be cut.
    ///
    /// # Errors
    ///
    /// [`HookError::NotProvided`] unless the harness can do it; [`HookError::NotApplicable`] where no disk of this machine is involved.
    async fn own_disk(&self) -> Result<Arc<dyn Disk>, HookError> {
        Err(HookError::NotProvided)
    }
}

/// What is left of a log after [`Harness::rewind`].
///
/// ```
/// use annalist_conformance::Rewind;
/// use annalist_core::Position;
///
/// assert_ne!(Rewind::To(Position::START), Rewind::AnotherLog);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Rewind {
    /// The same log, with the same id, without all that stood above this position.
    To(Position),
    /// A new, empty log with another id.
    AnotherLog,
}

/// What happens to the writes that a store sends to its log.
///
/// ```
/// use annalist_conformance::Fault;
///
/// assert_ne!(Fault::Refuse(1), Fault::LoseReplies(1));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: they go through, and so do those that were held up.
    None,
    /// The next so many are not sent: certainly not written.
    Refuse(u32),
    /// The next so many are written, and their replies are lost.
    LoseReplies(u32),
    /// They are held up on their way until the fault is another one.
    Stall,
}

/// Something beyond opening that a check can need of a harness.
///
/// ```
/// assert_eq!(annalist_conformance::Hook::Rewind.to_string(), "rewind");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Hook {
    /// [`Harness::rewind`].
    Rewind,
    /// [`Harness::fault`].
    Fault,
    /// [`Harness::address`] and [`Harness::open_through`].
    Proxy,
    /// [`Harness::agent_environment`].
    Agent,
    /// [`Harness::own_server`].
    Server,
    /// [`Harness::own_disk`].
    Disk,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rewind => "rewind",
            Self::Fault => "fault",
            Self::Proxy => "proxy",
            Self::Agent => "agent_environment",
            Self::Server => "own_server",
            Self::Disk => "own_disk",
        })
    }
}

/// Why a hook did nothing.
///
/// ```
/// use annalist_conformance::{BoxError, HookError};
///
/// let failed = HookError::from(BoxError::from("the server is gone"));
/// assert!(matches!(failed, HookError::Failed(_)));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum HookError {
    /// The harness has no such hook: the check is unverified.
    NotProvided,
    /// There is nothing for the hook to do here, for this reason: nor does the check apply.
    NotApplicable(String),
    /// The hook failed: so does the check.
    Failed(BoxError),
}

impl From<BoxError> for HookError {
    fn from(error: BoxError) -> Self {
        Self::Failed(error)
    }
}

/// One opened handle.
///
/// ```
/// use annalist_conformance::Opened;
///
/// let opened = Opened::new(annalist_memory::MemoryStore::new()).guarded_by("dropped once the check is over");
/// assert!(opened.events.capabilities().limits().events_per_append >= 1_000);
/// ```
#[non_exhaustive]
pub struct Opened {
    /// Its events.
    pub events: Arc<dyn EventStore>,
    /// Its snapshots.
    pub snapshots: Arc<dyn SnapshotStore>,
    /// Its checkpoints.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// Dropped once the check is over: what cleans up.
    pub guard: Box<dyn Any + Send + Sync>,
}

impl Opened {
    /// One value that is all three stores.
    #[must_use]
    pub fn new<S: EventStore + SnapshotStore + CheckpointStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self::of(store.clone(), store.clone(), store)
    }

    /// Three stores.
    #[must_use]
    pub fn of(
        events: Arc<dyn EventStore>,
        snapshots: Arc<dyn SnapshotStore>,
        checkpoints: Arc<dyn CheckpointStore>,
    ) -> Self {
        Self { events, snapshots, checkpoints, guard: Box::new(()) }
    }

    /// The same, and something to be dropped once the check is over.
    #[must_use]
    pub fn guarded_by(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard = Box::new(guard);
        self
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("events", &self.events).finish_non_exhaustive()
    }
}

/// What a harness keeps for each namespace, for stores whose data live in the harness's own process.
///
/// ```
/// let namespaces = annalist_conformance::Namespaces::<u32>::default();
/// assert_eq!(namespaces.get("a", || 1), 1);
/// assert_eq!(namespaces.get("a", || 2), 1);
/// ```
#[derive(Debug)]
pub struct Namespaces<T>(std::sync::Mutex<std::collections::HashMap<String, T>>);

impl<T> Default for Namespaces<T> {
    fn default() -> Self {
        Self(Default::default())
    }
}

impl<T: Clone> Namespaces<T> {
    /// What is kept for a namespace, made now where there is nothing yet.
    pub fn get(&self, namespace: &str, make: impl FnOnce() -> T) -> T {
        self.lock().entry(namespace.to_owned()).or_insert_with(make).clone()
    }

    /// Puts another value in its place.
    pub fn replace(&self, namespace: &str, value: T) {
        self.lock().insert(namespace.to_owned(), value);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<String, T>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
