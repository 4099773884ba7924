//! Connections that were just in use, for whoever comes next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::lease::Lease;

/// Since when a connection must have been taken from its pool to go back there. It is looked for as often, so that one which nobody uses is back
/// after twice that at most; its lifetime and idle time stay the pool's to judge.
const OUT_MAX: Duration = Duration::from_secs(1);

/// No more are kept, and with the one of the appends never more than half of the pool's: the rest is there for whoever takes from the pool itself.
const KEPT_MAX: u32 = 4;

/// Connections that are kept past their pool for a moment. The pool tries each that it takes back, which costs a round trip, and hands out the one
/// that nobody used for longest, so that every connection prepares and plans every statement. Here the last one in is the first one out.
#[derive(Clone, Debug)]
pub(crate) struct AtHand(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    kept_max: usize,
    state: Mutex<State>,
}

#[derive(Default, Debug)]
struct State {
    kept: Vec<Kept>,
    /// Who waits for the pool: as long as there are any, connections go back there.
    waiting: usize,
    /// Gives back what nobody uses. It ends early where its runtime does.
    sweeper: Option<JoinHandle<()>>,
    is_closed: bool,
}

#[derive(Debug)]
struct Kept {
    lease: Lease,
    since: Instant,
}

impl AtHand {
    /// For a pool. It takes only what came from there.
    pub(crate) fn of(pool: &PgPool) -> Self {
        let kept_max = KEPT_MAX.min(pool.options().get_max_connections().saturating_sub(1) / 2);
        Self(Arc::new(Shared { kept_max: kept_max as usize, state: Mutex::default() }))
    }

    /// Keeps none.
    pub(crate) fn nothing() -> Self {
        Self(Arc::new(Shared { kept_max: 0, state: Mutex::default() }))
    }

    /// The connection that was in use last, and since when it is not. Where there is none: what is to be held while one of the pool is
    /// awaited. (Were that two steps, a connection could be kept between them while somebody waits.)
    pub(crate) fn take(&self) -> Result<(Lease, Instant), Waiting<'_>> {
        let mut state = self.0.state();
        match state.kept.pop() {
            Some(Kept { lease, since }) => Ok((lease, since)),
            None => {
                state.waiting += 1;
                Err(Waiting(&self.0))
            }
        }
    }

    /// Keeps a connection, or gives it back to its pool.
    pub(crate) fn give_back(&self, lease: Lease) {
        let left = {
            let mut state = self.0.state();
            let is_kept = !state.is_closed
                && state.waiting == 0
                && state.kept.len() < self.0.kept_max
                && lease.is_at_rest()
                && lease.taken_at.elapsed() < OUT_MAX;
            if is_kept {
                if state.sweeper.as_ref().is_none_or(JoinHandle::is_finished) {
                    state.sweeper = Some(lease.runtime.spawn(sweep(Arc::downgrade(&self.0))));
                }
                state.kept.push(Kept { lease, since: Instant::now() });
                None
            } else {
                Some(lease)
            }
        };
        if let Some(lease) = left {
            lease.give_back();
        }
    }

    /// Gives all of them back to the pool, and from now on each at once.
    pub(crate) fn close(&self) {
        let kept = {
            let mut state = self.0.state();
            state.is_closed = true;
            std::mem::take(&mut state.kept)
        };
        give_back_all(kept);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for a connection of the pool.
pub(crate) struct Waiting<'a>(&'a Shared);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

/// Gives back those that have been out for long enough, until there are none.
async fn sweep(shared: Weak<Shared>) {
    loop {
        sleep(OUT_MAX).await;
        let Some(shared) = shared.upgrade() else { return };
        let (old, is_done) = {
            let mut state = shared.state();
            let old = state.kept.extract_if(.., |kept| kept.lease.taken_at.elapsed() >= OUT_MAX).collect();
            let is_done = state.kept.is_empty();
            if is_done {
                // Under the same lock: whoever keeps one from here on has it swept anew.
                state.sweeper = None;
            }
            (old, is_done)
        };
        give_back_all(old);
        if is_done {
            return;
        }
    }
}

fn give_back_all(kept: Vec<Kept>) {
    for Kept { lease, .. } in kept {
        lease.give_back();
    }
}
