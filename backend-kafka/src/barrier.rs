//! Barriers: what makes a read see all that was acknowledged to anyone before it began.
//!
//! A record of our own, once the fold has come to it, has everything before it that was acknowledged when it was sent. A watermark would not do:
//! a leader that was deposed and does not know it tells an old one. One barrier is under way at most; all reads that have come since the last one was sent
//! share the next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annalist_core::{Error, ErrorKind, Remedy};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::error::{Undelivered, internal, unavailable};
use crate::fold::{Skipped, Verdict};
use crate::record::{Body, Sealed};
use crate::sender::{Fate, Sender};

type Waiter = oneshot::Sender<Result<(), Error>>;

const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_millis(200);

pub(crate) struct Barriers {
    sender: Arc<Sender>,
    state: Mutex<State>,
    ready_within: Duration,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiter>,
    is_running: bool,
}

impl Barriers {
    pub(crate) fn new(sender: Arc<Sender>, ready_within: Duration) -> Self {
        Self { sender, state: Mutex::default(), ready_within }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all that was acknowledged by now has been applied.
    pub(crate) async fn pass(self: &Arc<Self>) -> Result<(), Error> {
        let (waiter, passed) = oneshot::channel();
        let must_run = {
            let mut state = self.state();
            state.waiting.push(waiter);
            !std::mem::replace(&mut state.is_running, true)
        };
        if must_run {
            tokio::spawn(Run { barriers: self.clone(), taken: Vec::new(), has_ended: false }.run());
        }
        passed.await.unwrap_or_else(|_| Err(unavailable("the runtime is shutting down")))
    }
}

/// The task that sends barriers while anybody waits for one.
struct Run {
    barriers: Arc<Barriers>,
    taken: Vec<Waiter>,
    has_ended: bool,
}

impl Drop for Run {
    /// Also when the runtime drops the task: whoever comes next must not wait for it.
    fn drop(&mut self) {
        if !self.has_ended {
            let mut state = self.barriers.state();
            state.is_running = false;
            state.waiting.clear();
        }
    }
}

impl Run {
    async fn run(mut self) {
        let mut pause = BACKOFF_MIN;
        while self.take() {
            match self.pass_one().await {
                Ok(()) => {
                    pause = BACKOFF_MIN;
                    self.answer(&Ok(()));
                }
                Err(error) if matches!(error.remedy(), Remedy::SendLater | Remedy::SendAgain) => {
                    sleep(pause).await;
                    pause = (pause * 2).min(BACKOFF_MAX);
                }
                Err(error) => self.answer(&Err(error)),
            }
        }
    }

    /// Takes all who wait; none of them, then it ends.
    fn take(&mut self) -> bool {
        self.taken.retain(|waiter| !waiter.is_closed());
        let barriers = self.barriers.clone();
        let mut state = barriers.state();
        self.taken.append(&mut state.waiting);
        if self.taken.is_empty() {
            state.is_running = false;
            self.has_ended = true;
        }
        !self.has_ended
    }

    fn answer(&mut self, answer: &Result<(), Error>) {
        for waiter in self.taken.drain(..) {
            let _ = waiter.send(answer.clone());
        }
    }

    async fn pass_one(&self) -> Result<(), Error> {
        self.barriers.sender.ready(self.barriers.ready_within).await?;
        pass(&self.barriers.sender).await
    }
}

/// Sends one barrier and waits until the fold has come to it.
pub(crate) async fn pass(sender: &Sender) -> Result<(), Error> {
    let sent = sender.send(&mut Sealed::new(&Body::Barrier));
    let mut ticket = sent.map_err(error_of)?;
    match ticket.fate().await {
        Fate::Folded(Verdict::Barrier) => Ok(()),
        Fate::Folded(verdict) => Err(not_carried_out(&verdict)),
        Fate::Undelivered(undelivered) => Err(error_of(undelivered)),
        Fate::Stopped(error) => Err(error),
    }
}

/// Sends barriers until the fold has come to one: a record of ours with a lower number that it has not come to by then will never count. Whoever
/// calls ends it in time.
///
/// # Errors
///
/// What no later attempt can mend.
pub(crate) async fn settle(sender: &Arc<Sender>, ready_within: Duration) -> Result<(), Error> {
    loop {
        let passed = match sender.ready(ready_within).await {
            Ok(()) => pass(sender).await,
            Err(error) => Err(error),
        };
        match passed {
            Err(error) if matches!(error.remedy(), Remedy::SendLater | Remedy::SendAgain) => {
                sleep(BACKOFF_MIN).await;
            }
            passed => return passed,
        }
    }
}

pub(crate) fn error_of(undelivered: Undelivered) -> Error {
    match undelivered {
        Undelivered::Never(error) | Undelivered::TooLarge(error) | Undelivered::Maybe(error) => error,
    }
}

/// What it means that the fold has skipped a record of ours.
pub(crate) fn not_carried_out(verdict: &Verdict) -> Error {
    match verdict {
        Verdict::Skipped(Skipped::Late) => unavailable("a later record overtook this one"),
        Verdict::Skipped(Skipped::OfAnotherLog(_)) => {
            ErrorKind::WrongHistory("the topic holds another log".to_owned()).into()
        }
        _ => internal("a record was carried out as another one"),
    }
}
