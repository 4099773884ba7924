//! What can be set of a memory store.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use annalist_core::{Limits, LogId};

/// What can be set of a memory store: its limits, its identity and its clock.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use annalist_memory::{Config, MemoryStore};
///
/// let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(43_200);
/// let store = MemoryStore::with(Config::default().with_clock(move || noon));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// What one append and one snapshot may hold at most.
    pub limits: Limits,
    /// The identity of the log.
    pub log: LogId,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// Generous where memory is cheap; each is tested at exactly its value.
const LIMITS: Limits = Limits {
    events_per_append: 10_000,
    bytes_per_append: 16 * 1024 * 1024,
    streams_per_append: 1_000,
    checks_per_append: 256,
    conditions_per_append: 16,
    items_per_query: 64,
    names_per_item: 256,
    bytes_per_event: 1024 * 1024,
    bytes_per_snapshot: 16 * 1024 * 1024,
};

impl Config {
    /// The same with another clock, which gives the time at which events are recorded.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.clock)()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { limits: LIMITS, log: LogId::new(), clock: Arc::new(SystemTime::now) }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("limits", &self.limits).field("log", &self.log).finish_non_exhaustive()
    }
}
