//! How often and how patiently something is tried again.

use std::time::Duration;

use annalist_core::Error;
use tokio::time::{Instant, sleep};

/// How often something is tried again, and with what pauses between: exponential backoff with full jitter, bounded in
/// attempts and in time.
///
/// The pause before attempt *n* + 1 is chosen evenly between nothing and `pause_min` · 2ⁿ⁻¹, but at most `pause_max`, so that callers
/// who collided once do not collide again in step.
///
/// ```
/// use std::time::Duration;
/// use annalist::Retry;
///
/// let retry = Retry::default().attempts_max(5).elapsed_max(Duration::from_secs(3));
/// assert_eq!(retry.attempts_max, 5);
/// assert_eq!(Retry::none().attempts_max, 1);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Retry {
    /// The most attempts, the first one included; 0 counts as 1.
    pub attempts_max: u32,
    /// The time after which no further attempt begins, counted from the first.
    pub elapsed_max: Duration,
    /// The longest pause after the first attempt; it doubles with each.
    pub pause_min: Duration,
    /// The longest pause of all.
    pub pause_max: Duration,
}

impl Default for Retry {
    /// 16 attempts within 30 seconds, with pauses of up to 10 milliseconds at first and up to one second at last.
    fn default() -> Self {
        Self {
            attempts_max: 16,
            elapsed_max: Duration::from_secs(30),
            pause_min: Duration::from_millis(10),
            pause_max: Duration::from_secs(1),
        }
    }
}

impl Retry {
    /// One attempt and no other.
    #[must_use]
    pub fn none() -> Self {
        Self::default().attempts_max(1)
    }

    /// The same with this many attempts at most, the first one included.
    #[must_use]
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.attempts_max = attempts;
        self
    }

    /// The same with no further attempt after this time.
    #[must_use]
    pub fn elapsed_max(mut self, elapsed: Duration) -> Self {
        self.elapsed_max = elapsed;
        self
    }

    /// The same with pauses from up to `min` after the first attempt to up to `max` at last.
    #[must_use]
    pub fn pauses(mut self, min: Duration, max: Duration) -> Self {
        (self.pause_min, self.pause_max) = (min, max);
        self
    }

    /// The pause after so many attempts; `chance` from 0 to 1 says where in its range.
    fn pause(&self, attempts: u32, chance: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        self.pause_min.saturating_mul(doubled).min(self.pause_max).mul_f64(chance)
    }

    pub(crate) fn start(self) -> Attempts {
        Attempts { retry: self, made: 1, since: Instant::now() }
    }
}

/// The attempts at one thing so far.
#[derive(Debug)]
pub(crate) struct Attempts {
    retry: Retry,
    made: u32,
    since: Instant,
}

impl Attempts {
    /// How many were begun.
    pub(crate) fn made(&self) -> u32 {
        self.made
    }

    /// How long attempts may still begin.
    pub(crate) fn time_left(&self) -> Duration {
        self.retry.elapsed_max.saturating_sub(self.since.elapsed())
    }

    /// Waits before the next attempt; tells whether there is to be one.
    pub(crate) async fn again(&mut self, error: &Error) -> bool {
        let pause = self.retry.pause(self.made, rand::random());
        let goes_on = self.next(error, pause);
        if goes_on {
            sleep(pause).await;
        }
        goes_on
    }

    /// Tells whether there is to be another attempt, without waiting before it.
    pub(crate) fn at_once(&mut self, error: &Error) -> bool {
        self.next(error, Duration::ZERO)
    }

    fn next(&mut self, error: &Error, pause: Duration) -> bool {
        if self.made >= self.retry.attempts_max || self.since.elapsed() + pause >= self.retry.elapsed_max {
            return false;
        }
        tracing::debug!(%error, attempts = self.made, ?pause, "trying again");
        self.made += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_defaults_are_those_documented() {
        let retry = Retry::default();
        assert_eq!((retry.attempts_max, retry.elapsed_max), (16, Duration::from_secs(30)));
        assert_eq!((retry.pause_min, retry.pause_max), (10 * MS, Duration::from_secs(1)));
    }

    #[test]
    fn a_pause_doubles_up_to_its_maximum_and_jitters_over_its_whole_range() {
        let retry = Retry::default();
        let longest: Vec<_> = (1..=9).map(|attempts| retry.pause(attempts, 1.0)).collect();
        assert_eq!(longest, [10, 20, 40, 80, 160, 320, 640, 1000, 1000].map(Duration::from_millis));
        assert_eq!(retry.pause(u32::MAX, 1.0), retry.pause_max);
        assert_eq!(retry.pause(3, 0.5), 20 * MS);
        assert_eq!(retry.pause(3, 0.0), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_end_at_their_number() {
        let mut attempts = Retry::default().attempts_max(3).start();
        let error = annalist_core::ErrorKind::Closed.into();
        assert!(attempts.again(&error).await && attempts.again(&error).await);
        assert!(!attempts.again(&error).await);
        assert_eq!(attempts.made(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_begins_after_the_time() {
        let retry = Retry::default().attempts_max(u32::MAX).elapsed_max(Duration::from_secs(5));
        let mut attempts = retry.start();
        let error = annalist_core::ErrorKind::Closed.into();
        while attempts.again(&error).await {}
        // Timers round up to the millisecond.
        assert!(attempts.since.elapsed() <= Duration::from_secs(5) + MS);
        assert!(attempts.made() > 5, "a pause is at most a second");
    }
}
