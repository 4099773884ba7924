//! Dropping a future at every place at which it can be dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Cx, Failure, Verdict};

/// A future that is given up after so many polls.
///
/// ```
/// use annalist_conformance::PollLimit;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(PollLimit::new(1, async { 7 }).await, Some(7));
/// assert_eq!(PollLimit::new(0, async { 7 }).await, None);
/// assert_eq!(PollLimit::new(1, tokio::task::yield_now()).await, None);
/// # }
/// ```
#[derive(Debug)]
pub struct PollLimit<F> {
    future: Pin<Box<F>>,
    polls_left: usize,
}

impl<F: Future> PollLimit<F> {
    /// Gives the future this many polls.
    pub fn new(polls: usize, future: F) -> Self {
        Self { future: Box::pin(future), polls_left: polls }
    }
}

impl<F: Future> Future for PollLimit<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls_left == 0 {
            return Poll::Ready(None);
        }
        self.polls_left -= 1;
        match self.future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The last poll has been: there is no waker to wait for.
            Poll::Pending if self.polls_left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Begins an operation again and again and drops it after 0, 1, 2 … polls, until it has completed twice. Each operation
/// counts as one of the check's.
///
/// ```
/// use annalist_conformance::{Cx, Sweep, Verdict, checks, ensure, events, exact, stream};
///
/// checks! {
///     area: "res",
///     cancelled_append {
///         guarantee: "C1", level: 1, kind: Sweep,
///         summary: "An append that is dropped at any point is there wholly or not at all.",
///         likely_cause: "a loop of inserts",
///     }
/// }
///
/// async fn cancelled_append(cx: Cx) -> Verdict {
///     cx.minimum_ops(3);
///     let mut sweep = Sweep::new(&cx);
///     while sweep.goes_on()? {
///         let order = stream(&format!("Order-{}", sweep.polls()));
///         // `None` says that it was dropped.
///         let answer = sweep.give(cx.append_to(&order, exact(0), events(3))).await?;
///         let found = cx.read_stream(&order).await?.len();
///         ensure!(found == 0 || found == 3, "{found} of 3 events after {} polls", sweep.polls());
///         ensure!(answer.is_none() || found == 3, "an acknowledged append is not there");
///     }
///     Ok(())
/// }
/// # let _ = CHECKS;
/// ```
#[derive(Debug)]
pub struct Sweep {
    cx: Cx,
    /// What the next operation is given; the present one has one less.
    polls_next: usize,
    completed: usize,
}

impl Sweep {
    /// A sweep that begins with no poll at all.
    #[must_use]
    pub fn new(cx: &Cx) -> Self {
        Self { cx: cx.clone(), polls_next: 0, completed: 0 }
    }

    /// Whether there is one more operation to begin.
    ///
    /// # Errors
    ///
    /// A violation if operations never complete.
    pub fn goes_on(&mut self) -> Verdict<bool> {
        const POLLS_MAX: usize = 10_000;
        if self.polls_next > POLLS_MAX {
            return Err(Failure::violation(format!(
                "the operation did not complete within {POLLS_MAX} polls"
            )));
        }
        self.polls_next += 1;
        Ok(self.completed < 2)
    }

    /// How many polls the present operation is given.
    #[must_use]
    pub fn polls(&self) -> usize {
        self.polls_next.saturating_sub(1)
    }

    /// Gives an operation its polls: what it completes with, or `None` where it was dropped.
    ///
    /// # Errors
    ///
    /// A violation if patience runs out while it waits to be polled.
    pub async fn give<F: Future>(&mut self, operation: F) -> Verdict<Option<F::Output>> {
        let limited = PollLimit::new(self.polls(), operation);
        let output = self.cx.within("an operation that is given few polls", limited).await?;
        self.cx.count_op();
        self.completed += usize::from(output.is_some());
        Ok(output)
    }
}
