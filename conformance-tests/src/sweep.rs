//! Dropping a future at every place at which it can be dropped.

use std::pin::{Pin, pin};
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

/// How one operation of a [`sweep`] came out.
///
/// ```
/// use annalist_conformance::Dropped;
///
/// assert_ne!(Dropped::Completed(()), Dropped::After(0));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a future either completes or is dropped")]
pub enum Dropped<T> {
    /// It was dropped after this many polls.
    After(usize),
    /// It completed with this output.
    Completed(T),
}

/// Begins an operation again and again and drops it after 0, 1, 2 … polls, until it completes twice within the polls that it
/// is given. After each, `look` sees how it came out. Each operation counts as one of the check's.
///
/// # Errors
///
/// What `begin` or `look` find, and a violation if the operation never completes.
///
/// ```
/// use annalist_conformance::{Cx, Dropped, Verdict, checks, ensure, events, exact, stream, sweep};
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
///     cx.minimum_ops(2);
///     sweep(
///         &cx,
///         |n| {
///             let cx = cx.clone();
///             async move { cx.append_to(&stream(&format!("Order-{n}")), exact(0), events(3)).await }
///         },
///         async |n, dropped| {
///             let found = cx.read_stream(&stream(&format!("Order-{n}"))).await?;
///             ensure!(found.is_empty() || found.len() == 3, "{} of 3 events after {dropped:?}", found.len());
///             ensure!(!matches!(dropped, Dropped::After(0)) || found.is_empty(), "an append that never began wrote events");
///             Ok(())
///         },
///     )
///     .await
/// }
/// # let _ = CHECKS;
/// ```
pub async fn sweep<F: Future>(
    cx: &Cx,
    mut begin: impl FnMut(usize) -> F,
    mut look: impl AsyncFnMut(usize, Dropped<F::Output>) -> Verdict,
) -> Verdict {
    const POLLS_MAX: usize = 10_000;
    let mut completed = 0;
    for polls in 0..POLLS_MAX {
        let limited = pin!(PollLimit::new(polls, begin(polls)));
        let output = cx.within("an operation that is given few polls", limited).await?;
        cx.count_op();
        match output {
            None => look(polls, Dropped::After(polls)).await?,
            Some(output) => {
                completed += 1;
                look(polls, Dropped::Completed(output)).await?;
            }
        }
        if completed == 2 {
            return Ok(());
        }
    }
    Err(Failure::violation(format!("the operation did not complete within {POLLS_MAX} polls")))
}
