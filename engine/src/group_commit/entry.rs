//! One append in the queue, and all who wait for its answer.

use annalist_core::{Append, Error, Receipt, backend};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Span;

use super::verdict::{self, Failure};

/// The answer to one caller.
pub(super) type Answer = Result<Receipt, Error>;

/// An append and what has happened to it so far.
pub(super) struct Entry {
    pub(super) append: Append,
    pub(super) events: usize,
    pub(super) bytes: usize,
    pub(super) place: Place,
    /// When the last of those who wait stops waiting.
    pub(super) deadline: Instant,
    /// How many batches it was in.
    pub(super) attempts: u32,
    /// Not before then it is sent again.
    pub(super) not_before: Option<Instant>,
    /// How many appends its next batch may have: halved with each batch that its mates or itself may have broken.
    pub(super) batch_max: usize,
    /// Whether the batch that it is in has left.
    pub(super) is_sent: bool,
    failures: u32,
    failure: Option<Failure>,
    /// In the order in which they came; the first is the one on whose behalf it is sent, the others are its twins.
    waiters: Vec<Waiter>,
}

/// Where an append is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Before a full queue.
    Room,
    /// In the queue.
    Line,
    /// In the batch that is next to leave, or in flight.
    Batch,
}

/// One caller who waits.
pub(super) struct Waiter {
    pub(super) number: u64,
    pub(super) span: Span,
    pub(super) answer: oneshot::Sender<Answer>,
    /// Whether it came while the append was in flight, so that the verdict may be older than its request.
    pub(super) late: bool,
}

impl Entry {
    pub(super) fn new(append: Append, deadline: Instant, waiter: Waiter) -> Self {
        Self {
            events: append.event_count(),
            bytes: append.size(),
            append,
            place: Place::Room,
            deadline,
            attempts: 0,
            not_before: None,
            batch_max: usize::MAX,
            is_sent: false,
            failures: 0,
            failure: None,
            waiters: vec![waiter],
        }
    }

    pub(super) fn join(&mut self, mut waiter: Waiter, deadline: Instant) {
        waiter.late = self.place == Place::Batch;
        self.deadline = self.deadline.max(deadline);
        self.waiters.push(waiter);
    }

    pub(super) fn part(&mut self, number: u64) {
        self.waiters.retain(|waiter| waiter.number != number);
    }

    /// Goes into a batch: from now on the verdict is younger than every request that waits for it.
    pub(super) fn depart(&mut self) {
        self.place = Place::Batch;
        self.is_sent = false;
        self.attempts += 1;
        self.waiters.iter_mut().for_each(|waiter| waiter.late = false);
    }

    pub(super) fn spans(&self) -> impl Iterator<Item = &Span> {
        self.waiters.iter().map(|waiter| &waiter.span)
    }

    pub(super) fn may_have_left(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.may_have_left)
    }

    pub(super) fn is_awaited(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// Whether nothing comes of sending it any more. One that may have left goes on until its deadline without anybody
    /// waiting: its caller was promised that it completes in the background.
    pub(super) fn is_useless(&self, now: Instant) -> bool {
        !self.is_awaited() && (self.deadline <= now || !self.may_have_left())
    }

    /// Remembers a failed attempt; gives how many there have been.
    pub(super) fn fail(&mut self, failure: &Failure) -> u32 {
        let may_have_left = failure.may_have_left || self.may_have_left();
        self.failure = Some(Failure { error: failure.error.clone(), may_have_left });
        self.failures += 1;
        self.failures
    }

    /// What its callers are told if it gets no further than it is.
    pub(super) fn undecided(&self, message: &str) -> Error {
        let cause = self.failure.as_ref().map(|failure| &failure.error);
        if (self.place == Place::Batch && self.is_sent) || self.may_have_left() {
            verdict::indeterminate(message, cause)
        } else {
            verdict::unavailable(message, cause)
        }
    }

    /// Answers all who wait.
    pub(super) fn answer(mut self, answer: Answer) {
        share(std::mem::take(&mut self.waiters), answer);
    }

    /// Answers those whom the verdict concerns. Where it is one that can become untrue, a caller that came while it was on
    /// its way needs a younger one: then gives the entry back.
    pub(super) fn settle(mut self, verdict: Answer) -> Option<Self> {
        let is_stale =
            verdict.as_ref().is_err_and(|refusal| !self.may_have_left() && !verdict::is_for_good(refusal));
        if !is_stale || self.waiters.iter().all(|waiter| !waiter.late) {
            self.answer(verdict);
            return None;
        }
        let (late, early) = self.waiters.drain(..).partition(|waiter| waiter.late);
        share(early, verdict);
        self.waiters = late;
        Some(self)
    }
}

/// One result for all: the first is told it as it is, a twin that nothing was written on its behalf.
fn share(waiters: Vec<Waiter>, answer: Answer) {
    let mut waiters = waiters.into_iter();
    let Some(first) = waiters.next() else { return };
    for twin in waiters {
        tell(twin, to_twin(&answer));
    }
    let answer = if first.late { to_twin(&answer) } else { answer };
    tell(first, answer);
}

fn to_twin(answer: &Answer) -> Answer {
    answer.as_ref().map(|receipt| backend::receipt(true, receipt.written().to_vec())).map_err(Clone::clone)
}

fn tell(waiter: Waiter, answer: Answer) {
    // Whoever has stopped waiting needs no answer.
    drop(waiter.answer.send(answer));
}
