//! Writing the index behind the log.
//!
//! Whoever moved the watermark last goes on as soon as there is a little to be done; everybody else helps only where it has fallen far behind, and is
//! the one who goes on from then on. No lease and no clock: two who write the same only pay twice.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use annalist_core::Error;
use annalist_engine::later;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, warn};

use crate::batch::{Batch, Link};
use crate::error::too_late;
use crate::index;
use crate::log::{Log, State};
use crate::schema;
use crate::table::{Condition, Item};

/// How many batches are indexed before the watermark moves, at most.
const STEP_BATCHES: u64 = 64;
/// And how many bytes of them.
const STEP_BYTES: usize = 4 * 1024 * 1024;
/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(100);

/// What a look at the state says is to be done.
enum Due {
    Nothing,
    /// See how far others have come.
    Look,
    Write(Vec<Arc<Batch>>),
}

impl Log {
    /// Sees to it that the index is written, where that is due and nobody here does it yet.
    pub(crate) fn nudge(self: &Arc<Self>) {
        if matches!(self.due(), Due::Nothing) || self.is_closed.load(Ordering::Acquire) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.is_indexing.swap(true, Ordering::AcqRel) {
            // Made before the task, which may be dropped before it has begun.
            let running = Running(self.clone());
            drop(runtime.spawn(running.run()));
        }
    }

    fn due(&self) -> Due {
        let (state, config) = (self.state(), &self.config);
        let (lag, min) = (state.lag(), config.index_batches_min.max(1));
        let is_ours = state.indexer == self.writer || state.indexer.is_nil();
        let is_large = state.unindexed_bytes() > config.tail_bytes_max / 2;
        if lag == 0 || (lag < min && !is_large) {
            return Due::Nothing;
        }
        if is_ours {
            return Due::Write(step(&state));
        }
        let head = state.tail.head().number;
        let is_stale = head - state.watermark_seen_at.min(head) >= min;
        match lag >= config.index_batches_help || is_large {
            _ if is_stale => Due::Look,
            true => Due::Write(step(&state)),
            false => Due::Nothing,
        }
    }

    async fn go_on(&self, due: Due) {
        let done = match due {
            Due::Nothing => Ok(()),
            Due::Look => self.look_at_watermark(later(Instant::now(), self.config.timeout)).await,
            Due::Write(batches) => self.index_step(&batches).await,
        };
        if let Err(error) = done {
            warn!(%error, "the index is not written, and tried again");
            sleep(PAUSE).await;
        }
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            // Made before the look, so that what happens in between is not lost.
            let told = self.advanced.notified();
            if is_so() {
                return;
            }
            told.await;
        }
    }

    async fn closed(&self) {
        self.until(|| self.is_closed.load(Ordering::Acquire)).await;
    }

    /// Ends once nothing is written to the index any more.
    pub(crate) async fn is_idle(&self) {
        self.until(|| !self.is_indexing.load(Ordering::Acquire)).await;
    }

    /// Writes what the index holds of some batches, and moves the watermark beyond them once all of it is there.
    pub(crate) async fn index_step(&self, batches: &[Arc<Batch>]) -> Result<(), Error> {
        let Some(last) = batches.last() else { return Ok(()) };
        let deadline = later(Instant::now(), self.config.timeout);
        let items: Vec<Item> = batches.iter().flat_map(|batch| index::items(&self.keys, batch)).collect();
        debug!(batches = batches.len(), items = items.len(), "writes the index");
        self.requests.put_all(items, deadline).await?;
        self.move_watermark(last.link(), deadline).await
    }

    async fn move_watermark(&self, to: Link, deadline: Instant) -> Result<(), Error> {
        let item = schema::watermark(&self.keys, to, self.writer);
        let below = Condition { equal: None, below: Some(schema::number(to.number)) };
        match self.requests.put_if(&item, &below, deadline).await? {
            Ok(()) => self.learn_watermark(to.number, self.writer),
            Err(there) => self.read_watermark(there.as_ref())?,
        }
        Ok(())
    }

    pub(crate) async fn look_at_watermark(&self, deadline: Instant) -> Result<(), Error> {
        let item = self.requests.get(&self.keys.watermark(), deadline).await?;
        self.read_watermark(item.as_ref())
    }

    fn read_watermark(&self, item: Option<&Item>) -> Result<(), Error> {
        // Where it is gone the log is, too, which the next look at that will tell.
        if let Some(item) = item {
            let (link, by) = schema::read_watermark(item)?;
            self.learn_watermark(link.number, by);
        }
        Ok(())
    }

    /// Waits until the index is no further behind than it may be (C2: the tail is bounded).
    pub(crate) async fn make_room(self: &Arc<Self>, deadline: Instant) -> Result<(), Error> {
        let has_room = || {
            let (state, config) = (self.state(), &self.config);
            state.lag() < config.index_batches_max && state.unindexed_bytes() <= config.tail_bytes_max
        };
        if has_room() {
            return Ok(());
        }
        self.nudge();
        let waited = timeout_at(deadline, self.until(has_room)).await;
        waited.map_err(|_| too_late("the index was too far behind the log until the deadline"))
    }
}

/// The next batches to be indexed.
fn step(state: &State) -> Vec<Arc<Batch>> {
    let mut bytes = 0;
    let batches = state.tail.batches(state.watermark + 1, state.watermark + STEP_BATCHES);
    let fits = |batch: &&Arc<Batch>| {
        let first = bytes == 0;
        bytes += batch.bytes;
        first || bytes <= STEP_BYTES
    };
    batches.take_while(fits).cloned().collect()
}

/// The task. Whatever ends it lets the next one begin.
struct Running(Arc<Log>);

impl Running {
    async fn run(self) {
        let log = self.0.clone();
        while !log.is_closed.load(Ordering::Acquire) {
            let due = log.due();
            if let Due::Nothing = due {
                break;
            }
            // Whatever is half done may be done again by anybody.
            tokio::select! {
                () = log.go_on(due) => {}
                () = log.closed() => {}
            }
        }
        drop(self);
        // What became due while it was ending.
        log.nudge();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.is_indexing.store(false, Ordering::Release);
        self.0.advanced.notify_waiters();
    }
}
