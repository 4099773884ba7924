//! What can be set of a store.

use std::time::Duration;

use annalist_core::{Error, Invalid, Limits};
use annalist_engine::{Pace, group_commit};

use crate::key::Keys;

/// What can be set of a store on DynamoDB. Plain values; the client is made from a URL or passed in.
///
/// ```
/// use std::time::Duration;
///
/// let mut config = annalist_dynamodb::Config::default();
/// assert_eq!(config.namespace, "annalist");
/// assert_eq!((config.timeout, config.attempt_timeout), (Duration::from_secs(30), Duration::from_secs(10)));
/// assert_eq!((config.request_timeout, config.requests_at_once_max), (Duration::from_secs(3), 32));
/// assert_eq!((config.queue_appends_max, config.batch_appends_max), (4_096, 256));
/// assert_eq!(config.batch_bytes_max, 256 * 1024);
/// assert_eq!((config.index_batches_min, config.index_batches_help, config.index_batches_max), (8, 64, 512));
/// assert_eq!((config.tail_bytes_max, config.cache_bytes_max), (32 * 1024 * 1024, 32 * 1024 * 1024));
/// assert_eq!(config.streams_known_max, 10_000);
/// assert_eq!(config.page_bytes_max, 8 * 1024 * 1024);
/// assert_eq!(config.poll_interval_min, Duration::from_millis(20));
/// assert_eq!(config.poll_interval_max, Duration::from_millis(500));
///
/// config.namespace = "orders".to_owned();
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The log in the table: one table holds any number of them, whose keys begin with their names. `annalist` by default. It has letters, digits,
    /// `_`, `-` and `.`, at most 63.
    pub namespace: String,
    /// Within which time an operation answers that does not say so itself; 30 seconds by default.
    pub timeout: Duration,
    /// How long the outcome of a batch of appends is waited for before it is sent again; 10 seconds by default.
    pub attempt_timeout: Duration,
    /// How long the answer to one request is waited for before it is sent again; 3 seconds by default.
    pub request_timeout: Duration,
    /// How many requests of one operation are under way at once at most; 32 by default.
    pub requests_at_once_max: usize,
    /// How many appends wait at most to be sent; 4,096 by default.
    pub queue_appends_max: usize,
    /// How many appends are sent as one at most; 256 by default.
    pub batch_appends_max: usize,
    /// How many bytes of events are sent as one, where it is more than one append; 256 KiB by default. What is over 390 KiB takes more than one item.
    pub batch_bytes_max: usize,
    /// By how many batches the index may be behind before the process that writes it goes on; 8 by default.
    pub index_batches_min: u64,
    /// By how many batches it may be behind before any other process helps; 64 by default.
    pub index_batches_help: u64,
    /// By how many batches it may be behind before appends wait for it; 512 by default. A process that opens the log reads no more than these.
    pub index_batches_max: u64,
    /// How many bytes the batches may have that are not in the index yet, before appends wait for it; 32 MiB by default.
    pub tail_bytes_max: usize,
    /// How many bytes of older batches are kept for reads; 32 MiB by default.
    pub cache_bytes_max: usize,
    /// Of how many streams the version is remembered; 10,000 by default.
    pub streams_known_max: usize,
    /// How many bytes of events one page of a read has at most, roughly; 8 MiB by default.
    pub page_bytes_max: usize,
    /// The pause between two looks at the head by which events of other processes are noticed: at least this long, right after there was something;
    /// 20 milliseconds by default.
    pub poll_interval_min: Duration,
    /// And at most this long; 500 milliseconds by default. With it [`wake_up_max`](annalist_core::Capabilities::wake_up_max) is four times as long.
    pub poll_interval_max: Duration,
}

/// Each is tested at exactly its value. An item has at most 400 KB with its key and whatever stands beside an event.
pub(crate) const LIMITS: Limits = Limits {
    // Each id of an append to an existing stream is looked up, in one partition, which gives 3,000 a second.
    events_per_append: 1_000,
    bytes_per_append: 4 * 1024 * 1024,
    streams_per_append: 100,
    checks_per_append: 100,
    conditions_per_append: 8,
    items_per_query: 32,
    names_per_item: 64,
    bytes_per_event: 384 * 1024,
    bytes_per_snapshot: 384 * 1024,
};

impl Default for Config {
    fn default() -> Self {
        Self {
            namespace: "annalist".to_owned(),
            timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(3),
            requests_at_once_max: 32,
            queue_appends_max: 4_096,
            batch_appends_max: 256,
            batch_bytes_max: 256 * 1024,
            index_batches_min: 8,
            index_batches_help: 64,
            index_batches_max: 512,
            tail_bytes_max: 32 * 1024 * 1024,
            cache_bytes_max: 32 * 1024 * 1024,
            streams_known_max: 10_000,
            page_bytes_max: 8 * 1024 * 1024,
            poll_interval_min: Duration::from_millis(20),
            poll_interval_max: Duration::from_millis(500),
        }
    }
}

impl Config {
    pub(crate) fn group_commit(&self) -> group_commit::Config {
        let mut config = group_commit::Config::default();
        config.queue_appends_max = self.queue_appends_max;
        config.batch_appends_max = self.batch_appends_max;
        config.batch_bytes_max = self.batch_bytes_max;
        config.timeout = self.timeout;
        config.attempt_timeout = self.attempt_timeout;
        config.mates = group_commit::Mates::InOrder;
        config
    }

    pub(crate) fn pace(&self) -> Pace {
        Pace { interval_min: self.poll_interval_min, interval_max: self.poll_interval_max }
    }

    /// The keys of the namespace, whose name is checked.
    pub(crate) fn keys(&self) -> Result<Keys, Error> {
        const RULE: &str = "must have letters, digits, `_`, `-` and `.`, from 1 to 63";
        let name = &self.namespace;
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if name.is_empty() || !plain || name.len() > 63 {
            return Err(Invalid::new("namespace", RULE, format!("{name:?}")).into());
        }
        Ok(Keys::new(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_namespaces() {
        let keys = |name: &str| Config { namespace: name.to_owned(), ..Config::default() }.keys();
        assert!(keys("orders_2.live-A").is_ok());
        for name in ["", "a/b", "a b", "ä", &"a".repeat(64)] {
            assert!(keys(name).is_err(), "{name:?}");
        }
    }
}
