//! The bounds of a group commit.

use std::time::Duration;

/// What bounds the queue, a batch and the waiting.
///
/// A bound of 0 counts as 1. An append that alone is over a bound of bytes or events is not refused, which is for
/// [`Limits`](annalist_core::Limits) to do: it waits for an empty queue, and goes in a batch of its own.
///
/// ```
/// use std::time::Duration;
/// use annalist_engine::group_commit::{Config, Mates};
///
/// let mut config = Config::default();
/// assert_eq!((config.queue_appends_max, config.queue_bytes_max), (4_096, 64 * 1024 * 1024));
/// assert_eq!((config.batch_appends_max, config.batch_events_max), (256, 4_096));
/// assert_eq!(config.batch_bytes_max, 4 * 1024 * 1024);
/// assert_eq!((config.timeout, config.attempt_timeout), (Duration::from_secs(30), Duration::from_secs(10)));
/// assert_eq!(config.resend_backoff_min, Duration::from_millis(10));
/// assert_eq!(config.resend_backoff_max, Duration::from_secs(1));
/// // The safe choice for a writer that decides a batch as a set.
/// assert_eq!(config.mates, Mates::Apart);
///
/// config.mates = Mates::InOrder;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How many appends wait in the queue; further ones wait for a place in it.
    pub queue_appends_max: usize,
    /// How many bytes of events wait in the queue, see [`Append::size`](annalist_core::Append::size).
    pub queue_bytes_max: usize,
    /// How many appends one batch has.
    pub batch_appends_max: usize,
    /// How many events one batch has.
    pub batch_events_max: usize,
    /// How many bytes of events one batch has.
    pub batch_bytes_max: usize,
    /// How long an append waits for its answer where it does not say so itself, see
    /// [`Append::timeout`](annalist_core::Append::timeout).
    pub timeout: Duration,
    /// How long the reply to a batch is waited for, before it counts as lost and the batch is sent again.
    pub attempt_timeout: Duration,
    /// The pause before an append is sent a second time. It doubles with each further time.
    pub resend_backoff_min: Duration,
    /// The longest pause before an append is sent again.
    pub resend_backoff_max: Duration,
    /// Whether appends that touch one another may be in one batch.
    pub mates: Mates,
}

/// Whether appends that touch one another may be in one batch: a trait of the writer.
///
/// Two appends touch when what becomes of one may depend on the other: they share an event id of a stream, one expects
/// something of a stream that the other writes, or a condition of one matches an event of the other.
///
/// ```
/// use annalist_engine::group_commit::Mates;
///
/// // A writer that inserts a batch as a set leaves the order of its appends to the group commit.
/// assert_ne!(Mates::Apart, Mates::InOrder);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Mates {
    /// The writer decides the appends of a batch in their order, each in the state that the ones before it left.
    InOrder,
    /// The writer decides a batch as a set: appends that touch one another must come in separate batches.
    Apart,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            queue_appends_max: 4_096,
            queue_bytes_max: 64 * 1024 * 1024,
            batch_appends_max: 256,
            batch_events_max: 4_096,
            batch_bytes_max: 4 * 1024 * 1024,
            timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(10),
            resend_backoff_min: Duration::from_millis(10),
            resend_backoff_max: Duration::from_secs(1),
            mates: Mates::Apart,
        }
    }
}

impl Config {
    /// The pause after an append was sent this often.
    pub(super) fn backoff(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        self.resend_backoff_min.saturating_mul(1 << doublings).min(self.resend_backoff_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_bound() {
        let config = Config::default();
        let pauses: Vec<u128> = (1..=9).map(|attempts| config.backoff(attempts).as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        assert_eq!(config.backoff(u32::MAX), config.resend_backoff_max);
    }
}
