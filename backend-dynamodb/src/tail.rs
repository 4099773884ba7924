//! The end of the log in memory: all that the index may not have yet.

use std::collections::VecDeque;
use std::sync::Arc;

use annalist_core::{EventId, LogId, Position, Query, RecordedEvent, StreamId, Version, backend};
use hashbrown::HashMap;

use crate::batch::{Batch, Entry, Link};
use crate::known::Known;

/// The batches after `base`, up to the newest that is known. Whatever stands at or below `base` is in the index.
#[derive(Debug)]
pub(crate) struct Tail {
    log: LogId,
    base: Link,
    batches: VecDeque<Arc<Batch>>,
    bytes: usize,
    streams: HashMap<StreamId, OfStream>,
    /// Versions of streams of which the tail holds nothing, as far as they have been asked for. Bounded.
    known: Known<StreamId, Version>,
}

/// What the tail holds of one stream.
#[derive(Debug, Default)]
struct OfStream {
    /// Batch and ordinal of each of its events, in the order of versions.
    places: VecDeque<(u64, u32)>,
    ids: HashMap<EventId, (u64, u32)>,
}

/// What is known of a stream without a look at the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Knowledge {
    /// All of it is in the tail, or there is no such stream.
    Whole(Version),
    /// Its version is known, but not all its events.
    Version(Version),
    Nothing,
}

impl Tail {
    pub(crate) fn new(log: LogId, base: Link, streams_known_max: usize) -> Self {
        let known = Known::new(streams_known_max);
        Self { log, base, batches: VecDeque::new(), bytes: 0, streams: HashMap::new(), known }
    }

    pub(crate) fn log(&self) -> LogId {
        self.log
    }

    pub(crate) fn base(&self) -> Link {
        self.base
    }

    /// The newest batch that is known.
    pub(crate) fn head(&self) -> Link {
        self.batches.back().map_or(self.base, |batch| batch.link())
    }

    pub(crate) fn position(&self) -> Position {
        self.head().position(self.log)
    }

    pub(crate) fn len(&self) -> usize {
        self.batches.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The newest batch, where the tail holds it.
    pub(crate) fn newest(&self) -> Option<&Arc<Batch>> {
        self.batches.back()
    }

    /// The last batches, the newest first.
    pub(crate) fn last(&self, count: usize) -> impl Iterator<Item = &Arc<Batch>> {
        self.batches.iter().rev().take(count)
    }

    pub(crate) fn batch(&self, number: u64) -> Option<&Arc<Batch>> {
        let index = number.checked_sub(self.base.number + 1)?;
        self.batches.get(usize::try_from(index).ok()?)
    }

    /// The batches from one number to another, as far as the tail holds them.
    pub(crate) fn batches(&self, low: u64, high: u64) -> impl DoubleEndedIterator<Item = &Arc<Batch>> {
        let index = |number: u64| {
            let index = number.saturating_sub(self.base.number + 1);
            usize::try_from(index).unwrap_or(usize::MAX).min(self.batches.len())
        };
        let (from, to) = (index(low), index(high.saturating_add(1)));
        self.batches.range(from..to.max(from))
    }

    /// Takes the next batch in. Does nothing for one that it knows.
    pub(crate) fn push(&mut self, batch: Arc<Batch>) {
        if batch.number != self.head().number + 1 {
            return;
        }
        for (ordinal, entry) in (0..).zip(&batch.entries) {
            let stream = entry.event.stream();
            self.known.remove(stream);
            let of_stream = self.streams.entry_ref(stream).or_default();
            of_stream.places.push_back((batch.number, ordinal));
            of_stream.ids.insert(entry.event.id(), (batch.number, ordinal));
        }
        self.bytes += batch.bytes;
        self.batches.push_back(batch);
    }

    /// Lets go of the oldest batch.
    pub(crate) fn pop(&mut self) {
        let Some(batch) = self.batches.pop_front() else { return };
        self.base = batch.link();
        self.bytes -= batch.bytes;
        for entry in &batch.entries {
            let stream = entry.event.stream();
            let Some(of_stream) = self.streams.get_mut(stream) else { continue };
            of_stream.places.pop_front();
            of_stream.ids.remove(&entry.event.id());
            if of_stream.places.is_empty() {
                self.streams.remove(stream);
                self.known.insert(stream.clone(), entry.event.version());
            }
        }
    }

    fn entry(&self, (number, ordinal): (u64, u32)) -> Option<&Entry> {
        self.batch(number)?.entries.get(ordinal as usize)
    }

    pub(crate) fn stored(&self, stream: &StreamId, id: EventId) -> Option<&Entry> {
        self.entry(*self.streams.get(stream)?.ids.get(&id)?)
    }

    /// The events of a stream, in the order of versions.
    pub(crate) fn of_stream(&self, stream: &StreamId) -> impl DoubleEndedIterator<Item = &RecordedEvent> {
        let places = self.streams.get(stream).map(|of_stream| &of_stream.places);
        places.into_iter().flatten().filter_map(|place| self.entry(*place)).map(|entry| &entry.event)
    }

    /// The version of a stream of which the tail holds nothing, if it is remembered.
    pub(crate) fn remembers(&self, stream: &StreamId) -> Option<Version> {
        self.known.get(stream).copied()
    }

    /// What is known of a stream at the head.
    pub(crate) fn knows(&self, stream: &StreamId) -> Knowledge {
        let (first, last) = {
            let mut events = self.of_stream(stream);
            let first = events.next();
            (first, events.next_back().or(first))
        };
        match (first, last) {
            (Some(first), Some(last)) if first.version() == Version::FIRST => {
                Knowledge::Whole(last.version())
            }
            (_, Some(last)) => Knowledge::Version(last.version()),
            _ => match self.known.get(stream) {
                Some(&Version::NONE) => Knowledge::Whole(Version::NONE),
                Some(version) => Knowledge::Version(*version),
                None => Knowledge::Nothing,
            },
        }
    }

    /// Remembers the version of a stream that was looked up in an index that was complete up to `as_of`.
    pub(crate) fn learn(&mut self, stream: &StreamId, version: Version, as_of: u64) {
        if self.base.number <= as_of && !self.streams.contains_key(stream) {
            self.known.insert(stream.clone(), version);
        }
    }

    /// The first event after a position, in the batches after `as_of`, that matches.
    pub(crate) fn first_match(&self, query: &Query, after: Position, as_of: u64) -> Option<Position> {
        let (number, _) = backend::numbers(after);
        let batches = self.batches(number.max(as_of + 1), u64::MAX);
        let mut events = batches.flat_map(|batch| &batch.entries).map(|entry| &entry.event);
        events
            .find(|event| event.position() > after && query.matches_recorded(event))
            .map(RecordedEvent::position)
    }
}
