//! A subscription whose every signal is held against what signals must keep to.

use std::fmt;

use annalist_core::{Position, Query, Receipt, RecordedEvent, Signal, Subscribe};

use crate::{Failure, Handle, Tail, Verdict, ensure, same_events};

/// One session of a subscription: what it gave, and how far it said that it came.
///
/// Whatever a store does, an event must stand above every position that was told before it: one that does not was delivered twice,
/// out of order, or passed over by a signal that said that there was none (S1, S4).
pub(super) struct Session {
    tail: Tail,
    query: Query,
    after: Position,
    /// The events that were given.
    pub(super) events: Vec<RecordedEvent>,
    /// The highest position that any signal told.
    pub(super) reached: Position,
}

impl Session {
    /// Subscribes from a position on.
    pub(super) async fn after(handle: &Handle, query: &Query, after: Position) -> Verdict<Self> {
        Self::begin(handle, Subscribe::to(query.clone()).after(after), after).await
    }

    /// Subscribes as told; `after` is where it must begin.
    pub(super) async fn begin(handle: &Handle, subscribe: Subscribe, after: Position) -> Verdict<Self> {
        let query = subscribe.query().clone();
        let tail = handle.tail(subscribe).await?;
        Ok(Self { tail, query, after, events: Vec::new(), reached: after })
    }

    /// The next signal.
    pub(super) async fn signal(&mut self) -> Verdict<Signal> {
        let signal = self.tail.signal().await?;
        self.take_in(&signal)?;
        Ok(signal)
    }

    /// Holds a signal against what was told before it.
    pub(super) fn take_in(&mut self, signal: &Signal) -> Verdict {
        match signal {
            Signal::Event(event) => {
                let (position, reached) = (event.position(), self.reached);
                let (given, stream) = (self.events.len(), event.stream());
                ensure!(
                    position > reached,
                    "event {given} at {position} of {stream:?} came after everything up to {reached} was told"
                );
                self.reached = position;
                self.events.push(event.clone());
            }
            Signal::CaughtUp(position) | Signal::Progress(position) => {
                self.reached = self.reached.max(*position);
            }
            other => return Err(Failure::violation(format!("an unknown signal: {other:?}"))),
        }
        Ok(())
    }

    /// Looks for a signal, gives up after so many turns of others, and takes in what came: whether something did.
    ///
    /// The turns are this task's own, so that a look also ends where nothing comes that could wake it.
    pub(super) async fn look(&mut self, turns: usize) -> Verdict<bool> {
        let answer = tokio::select! {
            biased;
            answer = self.tail.subscription().next() => answer,
            () = yields(turns) => return Ok(false),
        };
        let given = self.events.len();
        match answer {
            Some(Ok(signal)) => self.take_in(&signal).map(|()| true),
            ended => {
                Err(Failure::violation(format!("the subscription ended after {given} events with {ended:?}")))
            }
        }
    }

    /// Goes on until a signal reaches a position.
    pub(super) async fn until(&mut self, position: Position) -> Verdict {
        while self.reached < position {
            self.signal().await?;
        }
        Ok(())
    }

    /// Goes on until so many events have been given in all.
    pub(super) async fn until_events(&mut self, events: usize) -> Verdict {
        while self.events.len() < events {
            self.signal().await?;
        }
        Ok(())
    }

    /// Goes on until `CaughtUp`; gives its position.
    pub(super) async fn until_caught_up(&mut self) -> Verdict<Position> {
        loop {
            if let Signal::CaughtUp(position) = self.signal().await? {
                return Ok(position);
            }
        }
    }

    /// Sees to it that what was given is what it must be: the matching events of the log, from where the session began to where it came.
    /// By `&mut`, because a subscription cannot be shared, and the log is often read in the same line.
    pub(super) fn is_of(&mut self, log: &[RecordedEvent], what: &str) -> Verdict {
        let meant = |event: &&RecordedEvent| {
            event.position() > self.after
                && event.position() <= self.reached
                && self.query.matches_recorded(event)
        };
        let expected: Vec<_> = log.iter().filter(meant).cloned().collect();
        same_events(&self.events, &expected, what)
    }

    /// The subscription with its patience.
    pub(super) fn tail(&mut self) -> &mut Tail {
        &mut self.tail
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("events", &self.events.len()).field("reached", &self.reached).finish()
    }
}

/// Lets others run so many times.
pub(super) async fn yields(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// The position of the last event of a log; START for an empty one.
pub(super) fn last(log: &[RecordedEvent]) -> Position {
    log.last().map_or(Position::START, RecordedEvent::position)
}

/// The position of the last event that an append wrote.
pub(super) fn last_of(receipt: &Receipt) -> Position {
    receipt.position().unwrap_or(Position::START)
}
