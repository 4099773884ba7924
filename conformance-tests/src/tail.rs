//! Following the log in a check: every wait has an end, and running into it is a failure.

use std::fmt;
use std::time::Duration;

use annalist_core::{Error, Position, RecordedEvent, Signal, Subscription};

use crate::{Failure, Verdict, ensure};

/// A subscription with patience.
///
/// ```
/// use annalist_conformance::{Handle, Verdict, ensure_eq};
/// use annalist_core::{Query, Subscribe};
///
/// async fn catches_up(handle: &Handle) -> Verdict {
///     handle.append_any("Order-1", 3).await?;
///     let mut tail = handle.tail(Subscribe::to(Query::all())).await?;
///     let (events, _) = tail.until_caught_up().await?;
///     ensure_eq!(events.len(), 3, "events up to the head");
///     handle.append_any("Order-1", 1).await?;
///     ensure_eq!(tail.take(1).await?.len(), 1, "live events");
///     Ok(())
/// }
/// ```
pub struct Tail {
    subscription: Box<dyn Subscription>,
    patience: Duration,
    seen: usize,
}

impl Tail {
    /// The subscription, waited for with this patience.
    #[must_use]
    pub fn new(subscription: Box<dyn Subscription>, patience: Duration) -> Self {
        Self { subscription, patience, seen: 0 }
    }

    /// The next signal.
    ///
    /// # Errors
    ///
    /// A violation if none comes in time, or the subscription ends.
    pub async fn signal(&mut self) -> Verdict<Signal> {
        match self.answer().await? {
            Some(Ok(signal)) => Ok(signal),
            Some(Err(error)) => Err(Failure::violation(format!(
                "the subscription ended with an error after {} events: {error:?}",
                self.seen
            ))),
            None => {
                Err(Failure::violation(format!("the subscription ended silently after {} events", self.seen)))
            }
        }
    }

    /// What [`Subscription::next`] answers, for whoever expects an end.
    ///
    /// # Errors
    ///
    /// A violation if nothing comes in time.
    pub async fn answer(&mut self) -> Verdict<Option<Result<Signal, Error>>> {
        match tokio::time::timeout(self.patience, self.subscription.next()).await {
            Ok(answer) => {
                self.seen += usize::from(matches!(answer, Some(Ok(Signal::Event(_)))));
                Ok(answer)
            }
            Err(_) => Err(Failure::violation(format!(
                "the subscription gave nothing for {:?} after {} events",
                self.patience, self.seen
            ))),
        }
    }

    /// The next event; other signals are passed over.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub async fn event(&mut self) -> Verdict<RecordedEvent> {
        loop {
            if let Signal::Event(event) = self.signal().await? {
                return Ok(event);
            }
        }
    }

    /// The next `n` events; other signals are passed over.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub async fn take(&mut self, n: usize) -> Verdict<Vec<RecordedEvent>> {
        let mut events = Vec::new();
        while events.len() < n {
            events.push(self.event().await?);
        }
        Ok(events)
    }

    /// The events up to the next `CaughtUp`, and its position.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub async fn until_caught_up(&mut self) -> Verdict<(Vec<RecordedEvent>, Position)> {
        let mut events = Vec::new();
        loop {
            match self.signal().await? {
                Signal::Event(event) => events.push(event),
                Signal::CaughtUp(position) => return Ok((events, position)),
                _ => {}
            }
        }
    }

    /// The events up to the first signal of any kind that is at or above this position.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub async fn until(&mut self, position: Position) -> Verdict<Vec<RecordedEvent>> {
        let mut events = Vec::new();
        let mut reached = Position::START;
        while reached < position {
            reached = match self.signal().await? {
                Signal::Event(event) => {
                    events.push(event.clone());
                    event.position()
                }
                Signal::CaughtUp(reached) | Signal::Progress(reached) => reached,
                other => return Err(Failure::violation(format!("an unknown signal: {other:?}"))),
            };
        }
        Ok(events)
    }

    /// Sees to it that no event comes for this long. Other signals may.
    ///
    /// # Errors
    ///
    /// A violation if one comes, or the subscription ends.
    pub async fn no_event_for(&mut self, long: Duration) -> Verdict {
        let waited = tokio::time::timeout(long, self.event()).await;
        match waited {
            Err(_) => Ok(()),
            Ok(Ok(event)) => Err(Failure::violation(format!("an event came that must not: {event:?}"))),
            Ok(Err(failure)) => Err(failure),
        }
    }

    /// Waits for the error that ends the subscription, passing over signals, and sees to it that nothing follows.
    ///
    /// # Errors
    ///
    /// A violation if none comes in time, the subscription ends silently, or goes on after the error.
    pub async fn end(&mut self) -> Verdict<Error> {
        loop {
            match self.answer().await? {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let after = self.answer().await?;
                    ensure!(after.is_none(), "after its error the subscription gave {after:?}");
                    return Ok(error);
                }
                None => return Err(Failure::violation("the subscription ended without an error")),
            }
        }
    }

    /// Stops the subscription.
    ///
    /// # Errors
    ///
    /// A violation if it does not return in time.
    pub async fn stop(&mut self) -> Verdict {
        let stopped = tokio::time::timeout(self.patience, self.subscription.stop()).await;
        stopped.map_err(|_| Failure::violation(format!("stop did not return for {:?}", self.patience)))
    }

    /// The subscription itself.
    pub fn subscription(&mut self) -> &mut dyn Subscription {
        &mut *self.subscription
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("seen", &self.seen).finish_non_exhaustive()
    }
}
