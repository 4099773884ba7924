//! Telling all handles of one log in this process that there is more.

use std::sync::Arc;

use annalist_core::LogId;
use tokio::sync::Notify;

use crate::per_log::PerLog;

/// Wakes whoever waits for more of one log, through whatever handle of this process (S2).
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use annalist_core::LogId;
/// use annalist_engine::WakeUp;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let log = LogId::new();
/// let (mine, yours) = (WakeUp::of(log), WakeUp::of(log));
/// let more = AtomicBool::new(false);
/// tokio::join!(mine.wait_until(|| more.load(Ordering::SeqCst)), async {
///     more.store(true, Ordering::SeqCst);
///     yours.wake();
/// });
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WakeUp(Arc<Notify>);

static WAKE_UPS: PerLog<Notify> = PerLog::new();

impl WakeUp {
    /// The wake-up of a log, shared by all that ask for it while any of them holds it.
    #[must_use]
    pub fn of(log: LogId) -> Self {
        Self(WAKE_UPS.of(log))
    }

    /// Wakes everyone who waits. Cheap where no one does. Call it after the new state can be seen.
    pub fn wake(&self) {
        self.0.notify_waiters();
    }

    /// Waits until `done`, which is asked at once and after every wake-up. Cancel-safe.
    pub async fn wait_until(&self, mut done: impl FnMut() -> bool) {
        loop {
            // Made before the question: a wake-up between the question and the wait is not lost.
            let woken = self.0.notified();
            if done() {
                return;
            }
            woken.await;
        }
    }
}
