//! What can be set of a store.

use std::fmt;
use std::time::Duration;

use annalist_core::{Error, Invalid, Limits};
use annalist_engine::group_commit;

/// What can be set of a store on PostgreSQL. Plain values; the connection itself is made from a URL or passed in as a pool.
///
/// ```
/// use std::time::Duration;
///
/// let mut config = annalist_postgres::Config::default();
/// assert_eq!((config.schema.as_str(), config.connections_max), ("annalist", 10));
/// assert_eq!((config.connect_timeout, config.timeout), (Duration::from_secs(5), Duration::from_secs(30)));
/// assert_eq!(config.attempt_timeout, Duration::from_secs(10));
/// assert_eq!((config.queue_appends_max, config.batch_appends_max), (4_096, 256));
/// assert_eq!((config.page_bytes_max, config.page_positions_max), (8 * 1024 * 1024, 50_000));
/// assert_eq!(config.poll_interval_min, Duration::from_millis(5));
/// assert_eq!(config.poll_interval_max, Duration::from_millis(250));
/// assert!(!config.accept_volatile);
///
/// config.schema = "orders".to_owned();
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The schema that holds the log: one schema is one namespace. `annalist` by default. It begins with a letter or `_` and has only lower-case
    /// letters, digits and `_`, at most 63.
    pub schema: String,
    /// How many connections a pool that is made from a URL has at most; 10 by default. One of them is busy with appends while there are any.
    pub connections_max: u32,
    /// How long to wait for a connection, within the time that an operation has; 5 seconds by default. Only for a pool that is made from a URL.
    pub connect_timeout: Duration,
    /// Within which time an operation answers that does not say so itself; 30 seconds by default.
    pub timeout: Duration,
    /// How long the answer to a batch of appends is waited for before it is sent again; 10 seconds by default.
    pub attempt_timeout: Duration,
    /// How many appends wait at most to be sent; 4,096 by default.
    pub queue_appends_max: usize,
    /// How many appends are sent as one at most; 256 by default.
    pub batch_appends_max: usize,
    /// How many bytes of events one page of a read has at most, roughly; 8 MiB by default.
    pub page_bytes_max: usize,
    /// How many positions one page looks at, where a query has more parts than one index answers; 50,000 by default.
    pub page_positions_max: u64,
    /// The pause between two looks at the head by which events of other processes are noticed: at least this long, right after
    /// there was something; 5 milliseconds by default.
    pub poll_interval_min: Duration,
    /// And at most this long; 250 milliseconds by default. With it [`wake_up_max`](annalist_core::Capabilities::wake_up_max) is four times as long.
    pub poll_interval_max: Duration,
    /// Whether a server is accepted that does not flush what it commits (`fsync = off`); `false` by default. Then a lost server may lose
    /// acknowledged events.
    pub accept_volatile: bool,
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
            schema: "annalist".to_owned(),
            connections_max: 10,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(10),
            queue_appends_max: 4_096,
            batch_appends_max: 256,
            page_bytes_max: 8 * 1024 * 1024,
            page_positions_max: 50_000,
            poll_interval_min: Duration::from_millis(5),
            poll_interval_max: Duration::from_millis(250),
            accept_volatile: false,
        }
    }
}

impl Config {
    pub(crate) fn group_commit(&self) -> group_commit::Config {
        let mut config = group_commit::Config::default();
        config.queue_appends_max = self.queue_appends_max;
        config.batch_appends_max = self.batch_appends_max;
        config.timeout = self.timeout;
        config.attempt_timeout = self.attempt_timeout;
        config.mates = group_commit::Mates::InOrder;
        config
    }

    /// The name of the schema, checked and quoted.
    pub(crate) fn schema(&self) -> Result<Schema, Error> {
        const RULE: &str =
            "must begin with a letter or `_` and have only lower-case letters, digits and `_`, at most 63";
        let name = &self.schema;
        let plain = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let begins = name.starts_with(|c: char| !c.is_ascii_digit());
        if !plain || !begins || name.len() > 63 || name.starts_with("pg_") {
            return Err(Invalid::new("schema", RULE, format!("{name:?}")).into());
        }
        Ok(Schema(format!("\"{name}\"")))
    }
}

/// The quoted name of a schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Schema(String);

impl Schema {
    /// The name without its quotes.
    pub(crate) fn name(&self) -> &str {
        self.0.trim_matches('"')
    }

    /// A text with this schema in each place marked by `{schema}`.
    pub(crate) fn fill(&self, template: &str) -> String {
        template.replace("{schema}", &self.0)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_schemas() {
        let schema = |name: &str| Config { schema: name.to_owned(), ..Config::default() }.schema();
        assert_eq!(schema("orders_2").expect("a plain name").fill("{schema}.log"), "\"orders_2\".log");
        for name in ["", "2nd", "Orders", "a b", "a\"b", "pg_own", &"a".repeat(64), "ä"] {
            assert!(schema(name).is_err(), "{name:?}");
        }
    }
}
