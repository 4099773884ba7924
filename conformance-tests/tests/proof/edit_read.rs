//! Falsifying reads: what is asked, what is answered, and which events match.

use std::ops::Bound;

use annalist_core::{
    Direction, Error, EventStore, Page, Position, Query, Read, RecordedEvent, Source, Version, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;

/// Asks the honest store for something else than it was asked for.
pub struct Asks(pub fn(Read) -> Read);

#[async_trait]
impl Bug for Asks {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        honest.read((self.0)(read)).await
    }
}

/// Answers a read with something else than the honest store does.
pub struct Answers(pub fn(&Read, Page) -> Result<Page, Error>);

#[async_trait]
impl Bug for Answers {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        (self.0)(&read, honest.read(read.clone()).await?)
    }
}

/// Gives the events of the log that match in its own opinion.
pub struct Matches(pub fn(&Query, &RecordedEvent) -> bool);

#[async_trait]
impl Bug for Matches {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let Source::Log(query) = read.source().clone() else { return honest.read(read).await };
        // For the verdict on the request itself.
        honest.read(read.clone().limit(0)).await?;
        log_by(honest, &read, |event| (self.0)(&query, event)).await
    }
}

pub fn of_stream(read: &Read) -> bool {
    matches!(read.source(), Source::Stream(_))
}

pub fn is_backward(read: &Read) -> bool {
    read.direction() == Direction::Backward
}

/// The same read without a cursor, and linearizable.
pub fn anew(read: &Read) -> Read {
    match read.source() {
        Source::Stream(stream) => bounded(read, Read::stream(stream)),
        Source::Log(query) => bounded(read, Read::log(query.clone())),
        _ => panic!("a source that is not known"),
    }
}

/// Another read with the bounds, the direction, the limit and the page size of this one.
pub fn bounded(read: &Read, mut other: Read) -> Read {
    let (from, to) = read.versions();
    let (after, upper) = read.positions();
    if of_stream(&other) {
        other = other.from(from).to(to);
    } else {
        other = match upper {
            Bound::Included(position) => other.after(after).until(position),
            Bound::Excluded(position) => other.after(after).until(just_below(position)),
            Bound::Unbounded => other.after(after),
        };
    }
    if let Some(limit) = read.limit_left() {
        other = other.limit(limit);
    }
    other = other.page_size(read.page_events_max());
    if is_backward(read) { other.backward() } else { other }
}

/// The position with these numbers in the log of another one.
pub fn with_numbers(of: Position, major: u64, minor: u32) -> Position {
    let text = of.to_string();
    format!("{}-{major:016x}-{minor:08x}", &text[..8]).parse().expect("a position's text is known")
}

/// The highest position below one of the memory store.
pub fn just_below(position: Position) -> Position {
    let (major, _) = backend::numbers(position);
    if major == 0 { Position::START } else { with_numbers(position, major - 1, u32::MAX) }
}

/// All pages of a read, with the head and the version that they tell.
pub async fn drained(
    honest: &MemoryStore,
    read: Read,
) -> Result<(Vec<RecordedEvent>, Position, Version), Error> {
    let first = honest.read(read).await?;
    let (mut events, mut next) = (first.events, first.next);
    while let Some(read) = next {
        let page = honest.read(read).await?;
        events.extend(page.events);
        next = page.next;
    }
    Ok((events, first.head, first.version))
}

/// A page of the log with the events for which `keep` holds.
pub async fn log_by(
    honest: &MemoryStore,
    read: &Read,
    keep: impl Fn(&RecordedEvent) -> bool + Send,
) -> Result<Page, Error> {
    let mut whole = bounded(read, Read::log(Query::all())).limit(u64::MAX).page_size(usize::MAX);
    if let (Some(head), (_, Bound::Unbounded)) = (read.fixed_head(), read.positions()) {
        whole = whole.until(head);
    }
    let (mut events, head, _) = drained(honest, whole).await?;
    events.retain(keep);
    Ok(cut(read, events, read.fixed_head().unwrap_or(head)))
}

/// The page that a read of the log gets, if these are all the events that it means, in its direction.
pub fn cut(read: &Read, mut events: Vec<RecordedEvent>, head: Position) -> Page {
    let more = events.len() > read.page_events_max();
    events.truncate(read.page_events_max());
    let looked = match events.last() {
        Some(last) if more => backend::Looked::Past(last.position()),
        _ => backend::Looked::All,
    };
    backend::page(read, events, looked, head, Version::NONE)
}

/// A page as a reader would have seen it when this was the head, without what came later.
pub async fn as_of(honest: &MemoryStore, read: Read, head: Position) -> Result<Page, Error> {
    let mut page = honest.read(read.clone()).await?;
    page.events.retain(|event| event.position() <= head);
    page.head = page.head.min(head);
    if let Source::Stream(stream) = read.source() {
        let (events, _, _) = drained(honest, Read::stream(stream)).await?;
        let seen = events.iter().filter(|event| event.position() <= head);
        page.version = seen.map(RecordedEvent::version).max().unwrap_or(Version::NONE);
    }
    Ok(page)
}
