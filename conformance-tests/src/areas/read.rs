//! Checks of the area `read`: streams, pages, heads and queries.

use annalist_core::{NewEvent, RecordedEvent, StreamId, Version};

use crate::{Check, Handle, Verdict, events, exact, stream};

mod cut;
mod heads;
mod local;
mod pages;
mod parts;
mod queries;
mod ranges;
mod streams;
mod under_load;

pub(crate) const PARTS: &[&[Check]] = &[
    streams::CHECKS,
    cut::CHECKS,
    ranges::CHECKS,
    pages::CHECKS,
    heads::CHECKS,
    parts::CHECKS,
    queries::CHECKS,
    local::CHECKS,
    under_load::CHECKS,
];

/// Appends `n` events to `Order-5` one by one, each between events of other streams, so that neither its versions are those of
/// the log nor its last event is the newest. Gives the stream and what was appended to it.
async fn among_others(handle: &Handle, n: usize) -> Verdict<(StreamId, Vec<NewEvent>)> {
    let (order, appended) = (stream("Order-5"), events(n));
    for (i, event) in appended.iter().enumerate() {
        handle.append_any("Order-50", 1).await?;
        handle.append_to(&order, exact(i as u64), [event.clone()]).await?;
    }
    handle.append_any("Order-50", 2).await?;
    handle.append_any("Order", 1).await?;
    Ok((order, appended))
}

/// The events of a stream whose versions lie between two, both inclusive.
fn between(whole: &[RecordedEvent], from: u64, to: u64) -> Vec<RecordedEvent> {
    let meant = |event: &&RecordedEvent| (from..=to).contains(&event.version().get());
    whole.iter().filter(meant).cloned().collect()
}

fn reversed(mut events: Vec<RecordedEvent>) -> Vec<RecordedEvent> {
    events.reverse();
    events
}

fn first(events: &[RecordedEvent], limit: u64) -> &[RecordedEvent] {
    &events[..events.len().min(usize::try_from(limit).unwrap_or(usize::MAX))]
}

fn versions(events: &[RecordedEvent]) -> Vec<Version> {
    events.iter().map(RecordedEvent::version).collect()
}
