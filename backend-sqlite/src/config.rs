//! What can be set of a store.

use std::time::Duration;

use annalist_core::Limits;
use annalist_engine::{Pace, group_commit};

/// What can be set of a store in a SQLite file.
///
/// ```
/// use std::time::Duration;
///
/// let mut config = annalist_sqlite::Config::default();
/// assert!(config.create);
/// assert_eq!(config.readers_max, 4);
/// assert_eq!(config.timeout, Duration::from_secs(30));
/// assert_eq!((config.queue_appends_max, config.batch_appends_max), (4_096, 256));
/// assert_eq!((config.page_bytes_max, config.page_positions_max), (8 * 1024 * 1024, 10_000));
/// assert_eq!(config.poll_interval_min, Duration::from_millis(5));
/// assert_eq!(config.poll_interval_max, Duration::from_millis(250));
/// assert_eq!(config.wal_bytes_max, 64 * 1024 * 1024);
///
/// config.create = false;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Whether a file that is not there is made; `true` by default. Its folder must be there.
    pub create: bool,
    /// How many connections of a handle read at most at once, each on a thread that is allowed to wait; 4 by default. One more per file and process
    /// writes.
    pub readers_max: usize,
    /// Within which time an operation answers that does not say so itself; 30 seconds by default.
    pub timeout: Duration,
    /// How many appends wait at most to be written; 4,096 by default.
    pub queue_appends_max: usize,
    /// How many appends are written as one at most; 256 by default.
    pub batch_appends_max: usize,
    /// How many bytes of events one page of a read has at most, roughly; 8 MiB by default.
    pub page_bytes_max: usize,
    /// How many positions one page looks at, where a query has more parts than one index answers; 10,000 by default.
    pub page_positions_max: usize,
    /// The pause between two looks at the head by which events of other processes are noticed: at least this long, right after
    /// there was something; 5 milliseconds by default.
    pub poll_interval_min: Duration,
    /// And at most this long; 250 milliseconds by default. With it [`wake_up_max`](annalist_core::Capabilities::wake_up_max) is four times as long.
    pub poll_interval_max: Duration,
    /// How many bytes the write-ahead log may have before its readers are waited for, so that it can begin anew; 64 MiB by default. All reads of
    /// this package are short. Whoever else reads the file in one long transaction keeps it growing until that ends.
    pub wal_bytes_max: u64,
}

/// Each is tested at exactly its value.
pub(crate) const LIMITS: Limits = Limits {
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

impl Default for Config {
    fn default() -> Self {
        Self {
            create: true,
            readers_max: 4,
            timeout: Duration::from_secs(30),
            queue_appends_max: 4_096,
            batch_appends_max: 256,
            page_bytes_max: 8 * 1024 * 1024,
            page_positions_max: 10_000,
            poll_interval_min: Duration::from_millis(5),
            poll_interval_max: Duration::from_millis(250),
            wal_bytes_max: 64 * 1024 * 1024,
        }
    }
}

impl Config {
    pub(crate) fn group_commit(&self) -> group_commit::Config {
        let mut config = group_commit::Config::default();
        config.queue_appends_max = self.queue_appends_max;
        config.batch_appends_max = self.batch_appends_max;
        config.timeout = self.timeout;
        // No reply gets lost on its way from a thread: what takes long is still being done, and is waited for until the deadlines of the appends.
        config.attempt_timeout = Duration::MAX;
        config.mates = group_commit::Mates::InOrder;
        config
    }

    pub(crate) fn pace(&self) -> Pace {
        Pace { interval_min: self.poll_interval_min, interval_max: self.poll_interval_max }
    }
}
