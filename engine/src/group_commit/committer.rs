//! The task that serves a queue: one batch in flight, and the next taken when its answers are there.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use annalist_core::{Error, ErrorKind, Remedy};
use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, error, info_span, warn};

use super::entry::Answer;
use super::queue::{Batch, Next, Queue, Stir};
use super::verdict::{Failure, indeterminate, unavailable};
use super::writer::{BatchError, BatchWriter};

/// What the callers and the task share.
pub(super) struct Shared {
    writer: Arc<dyn BatchWriter>,
    queue: Mutex<Queue>,
    stirred: Notify,
    /// Told whenever the task has ended.
    pub(super) ended: Notify,
}

impl Shared {
    pub(super) fn new(writer: Arc<dyn BatchWriter>, queue: Queue) -> Self {
        Self { writer, queue: Mutex::new(queue), stirred: Notify::new(), ended: Notify::new() }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing under the lock is meant to panic. If it does, callers must get answers nevertheless.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what a change of the queue asks for. The lock must be free.
    pub(super) fn stir(self: &Arc<Self>, stir: Stir, runtime: &Handle) {
        match stir {
            Stir::Nothing => {}
            Stir::Wake => self.stirred.notify_one(),
            Stir::Start => {
                let committer = Committer { shared: Arc::clone(self), has_ended: false };
                // A runtime that is shutting down drops the task at once, which answers whoever waits.
                drop(runtime.spawn(committer.run()));
            }
        }
    }
}

/// The task. It lives while anybody waits for anything.
struct Committer {
    shared: Arc<Shared>,
    has_ended: bool,
}

impl Drop for Committer {
    /// Also when the runtime drops the task, or it panics: then nobody must wait for ever.
    fn drop(&mut self) {
        if !self.has_ended {
            self.shared.queue().abandon();
        }
        self.shared.ended.notify_waiters();
    }
}

impl Committer {
    async fn run(mut self) {
        loop {
            // Those who were just answered come back with their next appends before a batch is taken.
            tokio::task::yield_now().await;
            let next = self.shared.queue().next(Instant::now());
            match next {
                Next::Send(batch) => self.send(batch).await,
                Next::Doze(until) => self.doze(until).await,
                Next::End => {
                    self.has_ended = true;
                    return;
                }
            }
        }
    }

    async fn doze(&self, until: Option<Instant>) {
        let stirred = self.shared.stirred.notified();
        match until {
            Some(until) => drop(timeout_at(until, stirred).await),
            None => stirred.await,
        }
    }
}

/// What came of one attempt.
enum Outcome {
    Answers(Vec<Answer>),
    Failed(BatchError),
    /// The writer broke its contract; nothing is known.
    Broken(Error),
}

/// How many appends are sent again, and why.
#[derive(Default)]
struct Resend {
    appends: usize,
    error: Option<Error>,
}

impl Resend {
    fn add(&mut self, is_again: bool, error: &Error) {
        if is_again {
            self.appends += 1;
            self.error.get_or_insert_with(|| error.clone());
        }
    }
}

impl Committer {
    async fn send(&self, batch: Batch) {
        let span = info_span!(
            "annalist.batch",
            appends = batch.appends.len(),
            events = batch.events,
            attempt = batch.attempt
        );
        for caller in &batch.callers {
            span.follows_from(caller);
        }
        let outcome = self.attempt(&batch).instrument(span.clone()).await;
        span.in_scope(|| self.conclude(&batch, outcome));
    }

    async fn attempt(&self, batch: &Batch) -> Outcome {
        // The calls are inside the futures, so that a writer which panics before its first await is caught as well.
        let ready = AssertUnwindSafe(async {
            self.shared.writer.ready().await?;
            self.shared.writer.prepare(&batch.appends).await
        })
        .catch_unwind();
        match timeout_at(batch.until, ready).await {
            Ok(Ok(Ok(()))) if self.shared.queue().may_leave(&batch.arrivals, Instant::now()) => {}
            Ok(Ok(Ok(()))) => {
                return Outcome::Failed(BatchError::NotSent(unavailable("ready too late", None)));
            }
            Ok(Ok(Err(failure))) => return Outcome::Failed(failure),
            Ok(Err(_)) => return Outcome::Broken(panicked()),
            Err(_) => {
                return Outcome::Failed(BatchError::NotSent(unavailable(
                    "no way to the store in time",
                    None,
                )));
            }
        }
        let write = AssertUnwindSafe(async { self.shared.writer.write(&batch.appends).await }).catch_unwind();
        match timeout_at(batch.until, write).await {
            Ok(Ok(Ok(answers))) if answers.len() == batch.appends.len() => Outcome::Answers(answers),
            Ok(Ok(Ok(answers))) => Outcome::Broken(miscounted(answers.len(), batch.appends.len())),
            Ok(Ok(Err(failure))) => Outcome::Failed(failure),
            Ok(Err(_)) => Outcome::Broken(panicked()),
            Err(_) => Outcome::Failed(BatchError::Unknown(indeterminate("no reply in time", None))),
        }
    }

    fn conclude(&self, batch: &Batch, outcome: Outcome) {
        let now = Instant::now();
        let resend = match outcome {
            Outcome::Answers(answers) => self.deal_out(batch, answers, now),
            Outcome::Failed(BatchError::NotSent(error)) if error.remedy() != Remedy::SendLater => {
                self.deal_out(batch, vec![Err(error); batch.appends.len()], now)
            }
            Outcome::Failed(BatchError::NotSent(error)) => {
                self.put_back(batch, &Failure { error, may_have_left: false }, now)
            }
            Outcome::Failed(BatchError::Unknown(error)) => {
                self.halve(batch);
                self.put_back(batch, &Failure { error, may_have_left: true }, now)
            }
            Outcome::Failed(BatchError::BadData(error)) if batch.appends.len() == 1 => {
                self.deal_out(batch, vec![Err(error)], now)
            }
            Outcome::Failed(BatchError::BadData(error)) => {
                self.halve(batch);
                self.send_again(batch, error)
            }
            Outcome::Broken(error) => self.give_up(batch, &error),
        };
        if let Some(error) = resend.error {
            warn!(appends = resend.appends, attempt = batch.attempt, %error, "appends are sent again");
        }
    }

    fn deal_out(&self, batch: &Batch, answers: Vec<Answer>, now: Instant) -> Resend {
        let (mut resend, mut queue) = (Resend::default(), self.shared.queue());
        for (arrival, answer) in batch.arrivals.iter().zip(answers) {
            if let Some(error) = queue.receive(*arrival, answer, now) {
                resend.add(true, &error);
            }
        }
        resend
    }

    fn put_back(&self, batch: &Batch, failure: &Failure, now: Instant) -> Resend {
        let (mut resend, mut queue) = (Resend::default(), self.shared.queue());
        for arrival in &batch.arrivals {
            resend.add(queue.put_back(*arrival, failure, now), &failure.error);
        }
        resend
    }

    fn send_again(&self, batch: &Batch, error: Error) -> Resend {
        let mut queue = self.shared.queue();
        batch.arrivals.iter().for_each(|arrival| queue.send_again(*arrival));
        Resend { appends: batch.arrivals.len(), error: Some(error) }
    }

    /// Lets what broke a batch be found: the next one that any of its appends goes in has half as many.
    fn halve(&self, batch: &Batch) {
        let mut queue = self.shared.queue();
        let batch_max = batch.arrivals.len().div_ceil(2);
        batch.arrivals.iter().for_each(|arrival| queue.bound(*arrival, batch_max));
    }

    fn give_up(&self, batch: &Batch, error: &Error) -> Resend {
        error!(%error, "what became of a batch is not known");
        let mut queue = self.shared.queue();
        for arrival in &batch.arrivals {
            queue.give_up(*arrival, indeterminate("the batch writer failed", Some(error)));
        }
        Resend::default()
    }
}

fn panicked() -> Error {
    ErrorKind::Internal("the batch writer panicked".into()).into()
}

fn miscounted(answers: usize, appends: usize) -> Error {
    ErrorKind::Internal(format!("the batch writer gave {answers} answers to {appends} appends")).into()
}
