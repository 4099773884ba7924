//! Noticing that a log has grown, also through other processes: one look at a time for all who wait in this one.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annalist_core::{Error, LogId, Position};
use futures::future::{Either, select};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::per_log::PerLog;

/// What is known of the head of one log, shared by all its handles in this process.
///
/// Appends of this process wake at once whoever waits. What other processes append is found by looking: of all who wait, one at a time looks,
/// for all of them, often while there is something to be found and ever less often while there is not. Nobody waits, nobody looks.
///
/// ```
/// use std::time::Duration;
/// use annalist_core::{Error, LogId, Position, backend};
/// use annalist_engine::{HeadWatch, Pace};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let log = LogId::new();
/// let head = backend::position(log, 7, 0);
/// let pace = Pace { interval_min: Duration::from_millis(5), interval_max: Duration::from_millis(250) };
/// // Another process has appended: the first look finds it.
/// let watch = HeadWatch::of(log);
/// watch.wait(Position::START, pace, || async { Ok(head) }).await?;
/// assert_eq!(HeadWatch::of(log).head(), Some(head));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HeadWatch(Arc<Shared>);

/// How often a head is looked at.
///
/// ```
/// use std::time::Duration;
/// use annalist_engine::Pace;
///
/// let pace = Pace { interval_min: Duration::from_millis(5), interval_max: Duration::from_millis(250) };
/// assert!(pace.interval_min <= pace.interval_max);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "two bounds are all there is to an interval")]
pub struct Pace {
    /// The pause right after something was found.
    pub interval_min: Duration,
    /// The longest pause.
    pub interval_max: Duration,
}

/// The pause is this part of the time since something was found.
const CALM: u32 = 8;

#[derive(Default)]
struct Shared {
    head: Mutex<Option<(Position, Instant)>>,
    changed: Notify,
    /// Held by the one who looks.
    looking: tokio::sync::Mutex<()>,
}

static HEADS: PerLog<Shared> = PerLog::new();

impl HeadWatch {
    /// The watch of a log, shared by all that ask for it while any of them holds it.
    #[must_use]
    pub fn of(log: LogId) -> Self {
        Self(HEADS.of(log))
    }

    /// The head as far as it is known.
    #[must_use]
    pub fn head(&self) -> Option<Position> {
        self.state().map(|(head, _)| head)
    }

    fn state(&self) -> MutexGuard<'_, Option<(Position, Instant)>> {
        // Nothing under the lock can panic half way.
        self.0.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells that the log has grown up to a position. Call it after that can be seen.
    pub fn grown_to(&self, position: Position) {
        {
            let mut state = self.state();
            let known = state.map_or(Position::START, |(head, _)| head);
            *state = Some((known.max(position), Instant::now()));
        }
        self.0.changed.notify_waiters();
    }

    /// Waits until the head is known to be another than `than`: grown, or that of another history, which the next read tells. Cancel-safe.
    ///
    /// # Errors
    ///
    /// That of `look`, which asks the store for its head.
    pub async fn wait<L>(&self, than: Position, pace: Pace, look: impl Fn() -> L) -> Result<(), Error>
    where
        L: Future<Output = Result<Position, Error>>,
    {
        loop {
            // Made before the question: a change between the question and the wait is not lost.
            let changed = self.0.changed.notified();
            if self.head().is_some_and(|head| head != than) {
                return Ok(());
            }
            let looking = pin!(self.look(than, pace, &look));
            if let Either::Right((found, _)) = select(pin!(changed), looking).await {
                return found;
            }
        }
    }

    /// Looks at the head until it is another than `than`, once whoever looks at it now has stopped.
    async fn look<L>(&self, than: Position, pace: Pace, look: &impl Fn() -> L) -> Result<(), Error>
    where
        L: Future<Output = Result<Position, Error>>,
    {
        let _looking = self.0.looking.lock().await;
        loop {
            let began = Instant::now();
            let head = look().await?;
            let pause = self.found(head, began, pace);
            if head != than {
                return Ok(());
            }
            sleep(pause).await;
        }
    }

    /// Takes in what a look found that began at some time; gives the pause before the next one.
    fn found(&self, head: Position, began: Instant, pace: Pace) -> Duration {
        let now = Instant::now();
        let mut state = self.state();
        match *state {
            // It grew while the look was on its way.
            Some((known, since)) if since > began && known > head => pace.interval_min,
            Some((known, since)) if known == head => {
                ((now - since) / CALM).clamp(pace.interval_min, pace.interval_max.max(pace.interval_min))
            }
            _ => {
                *state = Some((head, now));
                drop(state);
                self.0.changed.notify_waiters();
                pace.interval_min
            }
        }
    }
}

impl fmt::Debug for HeadWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadWatch").field("head", &self.head()).finish_non_exhaustive()
    }
}
