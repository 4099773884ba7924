//! Deadlines that cannot overflow.

use std::time::Duration;

use tokio::time::Instant;

/// A point in time, at most the far future: callers may wait for `Duration::MAX`.
///
/// ```
/// use std::time::Duration;
/// use annalist_engine::later;
///
/// let now = tokio::time::Instant::now();
/// assert_eq!(later(now, Duration::from_secs(1)) - now, Duration::from_secs(1));
/// assert!(later(now, Duration::MAX) > later(now, Duration::from_secs(86_400 * 365)));
/// ```
#[must_use]
pub fn later(now: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);
    now.checked_add(duration).unwrap_or_else(|| now + FAR)
}
