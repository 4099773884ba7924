//! What can be set of a store.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use annalist_core::Limits;
use annalist_engine::group_commit;

/// What can be set of a store on Kafka.
///
/// ```
/// use std::time::Duration;
///
/// let mut config = annalist_kafka::Config::default();
/// assert_eq!(config.folder, None);
/// assert_eq!(config.cache_bytes, 64 * 1024 * 1024);
/// assert_eq!((config.connect_timeout, config.timeout), (Duration::from_secs(10), Duration::from_secs(30)));
/// assert_eq!(config.attempt_timeout, Duration::from_secs(10));
/// assert_eq!((config.queue_appends_max, config.batch_appends_max), (4_096, 256));
/// assert_eq!((config.page_bytes_max, config.page_records_max), (8 * 1024 * 1024, 10_000));
/// assert_eq!(config.fold_events_max, 4_096);
/// assert_eq!(config.replicas, None);
/// assert!(!config.accept_volatile);
///
/// config.folder = Some("/var/lib/shop/history".into());
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The folder of the local store, in which this process keeps what it has read of the topic: one for each opened store, never shared. `None` by
    /// default: it is kept in memory, all of it, and read again from the beginning whenever the store is opened, which is for tests and small logs.
    pub folder: Option<PathBuf>,
    /// How much of the folder's content is cached; 64 MiB by default.
    pub cache_bytes: u64,
    /// How long opening waits for the broker, and for the next record while it reads what is in the topic; 10 seconds by default.
    pub connect_timeout: Duration,
    /// Within which time an operation answers that does not say so itself; 30 seconds by default.
    pub timeout: Duration,
    /// How long the answer to a record is waited for before it is sent again; 10 seconds by default.
    pub attempt_timeout: Duration,
    /// How many appends wait at most to be sent; 4,096 by default.
    pub queue_appends_max: usize,
    /// How many appends share a record at most; 256 by default.
    pub batch_appends_max: usize,
    /// How many bytes of events one page of a read has at most, roughly; 8 MiB by default.
    pub page_bytes_max: usize,
    /// How many records one page of the log looks at; 10,000 by default.
    pub page_records_max: usize,
    /// How many events are read from the topic at most before the local store is written; 4,096 by default.
    pub fold_events_max: usize,
    /// How many replicas a topic gets that is set up; if `None`, which is the default, three, or as many as there are brokers where those are fewer.
    pub replicas: Option<u16>,
    /// Whether a topic is accepted that loses acknowledged events with a broker's machine: with one replica that is not flushed
    /// (`flush.messages`); `false` by default.
    pub accept_volatile: bool,
    /// Settings of librdkafka for the way to the broker, as `("security.protocol", "SASL_SSL")`. Those on which correctness rests are the store's
    /// own, and refused here.
    pub client: Vec<(String, String)>,
}

/// Each is tested at exactly its value. The largest append that they allow fits into [`RECORD_BYTES_MAX`].
pub(crate) const LIMITS: Limits = Limits {
    events_per_append: 1_000,
    bytes_per_append: 1024 * 1024,
    streams_per_append: 64,
    checks_per_append: 16,
    conditions_per_append: 4,
    items_per_query: 16,
    names_per_item: 64,
    bytes_per_event: 1024 * 1024,
    bytes_per_snapshot: 1024 * 1024,
};

/// The largest record: 1 MiB of events, 346 bytes beside each of 1,000, 80 names of streams, 4 conditions of 16 items of 64 names.
pub(crate) const RECORD_BYTES_MAX: usize = 3 * 1024 * 1024;
/// What Kafka puts around a record.
pub(crate) const RECORD_OVERHEAD: usize = 1024;

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: None,
            cache_bytes: 64 * 1024 * 1024,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(10),
            queue_appends_max: 4_096,
            batch_appends_max: 256,
            page_bytes_max: 8 * 1024 * 1024,
            page_records_max: 10_000,
            fold_events_max: 4_096,
            replicas: None,
            accept_volatile: false,
            client: Vec::new(),
        }
    }
}

impl Config {
    pub(crate) fn group_commit(&self) -> group_commit::Config {
        let mut config = group_commit::Config::default();
        config.queue_appends_max = self.queue_appends_max;
        config.batch_appends_max = self.batch_appends_max;
        config.batch_bytes_max = LIMITS.bytes_per_append;
        config.timeout = self.timeout;
        config.attempt_timeout = self.attempt_timeout;
        config.mates = group_commit::Mates::InOrder;
        config
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A setting of the client can be a password.
        let client: Vec<&str> = self.client.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Config")
            .field("folder", &self.folder)
            .field("timeout", &self.timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("client", &client)
            .finish_non_exhaustive()
    }
}
