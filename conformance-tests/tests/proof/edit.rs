//! Falsifying what goes into the honest store and what comes out of it.

use std::collections::VecDeque;

use annalist_core::{
    Append, Error, NewEvent, Position, Receipt, RecordedEvent, Signal, Subscription, Version, Write, Written,
    backend,
};
use async_trait::async_trait;

/// The same append with other writes; event ids stay unless they are edited.
pub fn edit_writes(append: &Append, mut edit: impl FnMut(&mut Write)) -> Append {
    let mut edited = Append::new();
    for write in append.writes() {
        let mut write = write.clone();
        edit(&mut write);
        edited = edited.write(&write.stream, write.expected, write.events);
    }
    with_rest(edited, append)
}

/// The writes as they are, and only these checks and conditions of the append.
pub fn keep(append: &Append, checks: bool, conditions: bool) -> Append {
    let mut kept = Append::new();
    for write in append.writes() {
        kept = kept.write(&write.stream, write.expected, write.events.iter().cloned());
    }
    for check in append.checks().iter().filter(|_| checks) {
        kept = kept.check(&check.stream, check.expected);
    }
    for condition in append.conditions().iter().filter(|_| conditions) {
        kept = kept.condition(condition.query.clone(), condition.after);
    }
    kept
}

fn with_rest(mut edited: Append, append: &Append) -> Append {
    for check in append.checks() {
        edited = edited.check(&check.stream, check.expected);
    }
    for condition in append.conditions() {
        edited = edited.condition(condition.query.clone(), condition.after);
    }
    edited
}

/// The same receipt with other parts.
pub fn edit_receipt(receipt: &Receipt, edit: impl FnMut(&Written) -> Written) -> Receipt {
    backend::receipt(receipt.already_committed(), receipt.written().iter().map(edit).collect())
}

/// The same event with another content.
pub fn with_event(event: &RecordedEvent, edited: NewEvent) -> RecordedEvent {
    backend::recorded(edited, event.stream().clone(), event.version(), event.position(), event.recorded_at())
}

/// The same event with another version.
pub fn with_version(event: &RecordedEvent, version: Version) -> RecordedEvent {
    let (new, stream) = (event.event().clone(), event.stream().clone());
    backend::recorded(new, stream, version, event.position(), event.recorded_at())
}

/// The same event at another position.
pub fn with_position(event: &RecordedEvent, position: Position) -> RecordedEvent {
    let (new, stream) = (event.event().clone(), event.stream().clone());
    backend::recorded(new, stream, event.version(), position, event.recorded_at())
}

/// A position with these two numbers, in the log of another position.
pub fn at(like: Position, major: u64, minor: u32) -> Position {
    let tag = &like.to_string()[..8];
    format!("{tag}-{major:016x}-{minor:08x}").parse().expect("the text form of a position")
}

/// A subscription whose answers go through a function: none, one or several come out for each that goes in.
pub fn edit_signals(
    subscription: Box<dyn Subscription>,
    edit: impl FnMut(Result<Signal, Error>) -> Vec<Result<Signal, Error>> + Send + 'static,
) -> Box<dyn Subscription> {
    Box::new(Edited { subscription, edit, ready: VecDeque::new() })
}

struct Edited<F> {
    subscription: Box<dyn Subscription>,
    edit: F,
    ready: VecDeque<Result<Signal, Error>>,
}

#[async_trait]
impl<F> Subscription for Edited<F>
where
    F: FnMut(Result<Signal, Error>) -> Vec<Result<Signal, Error>> + Send,
{
    async fn next(&mut self) -> Option<Result<Signal, Error>> {
        while self.ready.is_empty() {
            let answer = self.subscription.next().await?;
            self.ready.extend((self.edit)(answer));
        }
        self.ready.pop_front()
    }

    async fn stop(&mut self) {
        self.ready.clear();
        self.subscription.stop().await;
    }
}
