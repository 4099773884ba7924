//! The log: what is behind the lock, and the facts about it that admission asks for.

use std::hash::BuildHasher;
use std::ops::{Bound, Range};
use std::time::SystemTime;

use annalist_core::{
    Append, Direction, Error, EventId, LogId, NewEvent, Page, Position, Query, Read, Receipt, RecordedEvent,
    StreamId, Version, backend,
};
use annalist_engine::admission::{Facts, Stored, Verdict, admit};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

/// How many events one page of a query may look at, so that a sparse query does not hold the lock for long.
const LOOKED_AT_MAX: usize = 10_000;

/// The events of one log. The event at index `i` has position `i + 1`.
#[derive(Debug)]
pub(crate) struct Log {
    id: LogId,
    entries: Vec<Entry>,
    /// The indices of each stream's events.
    streams: HashMap<StreamId, Vec<u32>>,
    ids: HashTable<Slot>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Entry {
    event: RecordedEvent,
    /// Where the append begins that it came with, and how many events that has.
    append: (u32, u32),
}

/// The place of an event in the table of ids. It keeps the hash of stream and id, so that the table can grow without a
/// look at the events.
#[derive(Clone, Copy, Debug)]
struct Slot {
    index: u32,
    hash: u32,
}

impl Slot {
    /// The table wants 64 bits, of which the highest and the lowest count.
    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Log {
    pub(crate) fn new(id: LogId) -> Self {
        let hasher = DefaultHashBuilder::default();
        Self { id, entries: Vec::new(), streams: HashMap::new(), ids: HashTable::new(), hasher }
    }

    pub(crate) fn id(&self) -> LogId {
        self.id
    }

    pub(crate) fn head(&self) -> Position {
        self.position(self.entries.len())
    }

    /// The event at or before a position.
    pub(crate) fn event_at(&self, position: Position) -> Option<EventId> {
        let count = self.count_up_to(position);
        count.checked_sub(1).map(|index| self.entries[index].event.id())
    }

    /// The position after `count` events.
    fn position(&self, count: usize) -> Position {
        if count == 0 { Position::START } else { backend::position(self.id, count as u64, 0) }
    }

    /// How many events stand at or below a position.
    fn count_up_to(&self, position: Position) -> usize {
        let (major, _) = backend::numbers(position);
        usize::try_from(major).unwrap_or(usize::MAX).min(self.entries.len())
    }

    pub(crate) fn append(&mut self, append: &Append, now: SystemTime) -> Result<Receipt, Error> {
        match admit(append, self)? {
            Verdict::Accepted => Ok(self.commit(append, now)),
            Verdict::AlreadyCommitted(receipt) => Ok(receipt),
            Verdict::Refused(refusal) => Err(refusal),
        }
    }

    fn commit(&mut self, append: &Append, now: SystemTime) -> Receipt {
        let extent = (index(self.entries.len()), index(append.event_count()));
        let mut written = Vec::with_capacity(append.writes().len());
        for write in append.writes().iter().filter(|write| !write.events.is_empty()) {
            let stream = self.streams.entry_ref(&write.stream).or_default();
            let first_version = Version::new(stream.len() as u64 + 1);
            let mut positions = Vec::with_capacity(write.events.len());
            for event in &write.events {
                let at = index(self.entries.len());
                let position = backend::position(self.id, u64::from(at) + 1, 0);
                stream.push(at);
                let version = Version::new(stream.len() as u64);
                let hash = self.hasher.hash_one((&write.stream, event.id())) as u32;
                let slot = Slot { index: at, hash };
                self.ids.insert_unique(Slot::spread(hash), slot, |slot| Slot::spread(slot.hash));
                let event = backend::recorded(event.clone(), write.stream.clone(), version, position, now);
                self.entries.push(Entry { event, append: extent });
                positions.push(position);
            }
            written.push(backend::written(write.stream.clone(), first_version, positions));
        }
        backend::receipt(false, written)
    }

    /// Drops everything above a position, as restoring an older backup does.
    pub(crate) fn truncate(&mut self, position: Position) {
        let kept = self.count_up_to(position);
        self.entries.truncate(kept);
        self.ids.retain(|slot| (slot.index as usize) < kept);
        for stream in self.streams.values_mut() {
            stream.retain(|at| (*at as usize) < kept);
        }
    }

    pub(crate) fn read_stream(&self, read: &Read, stream: &StreamId) -> Result<Page, Error> {
        let entries = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let version = read.fixed_version().unwrap_or(Version::new(entries.len() as u64));
        let head = self.head_of(read)?;
        let (from, to) = read.versions();
        // The event at index `i` of a stream has version `i + 1`.
        let low = usize::try_from(from.get().saturating_sub(1)).unwrap_or(usize::MAX);
        let high = usize::try_from(to.min(version).get()).unwrap_or(usize::MAX).min(entries.len());
        let range = low.min(high)..high;
        let taken = take(&range, read);
        let events: Vec<_> = in_direction(taken.clone(), read.direction())
            .map(|i| self.entries[entries[i] as usize].event.clone())
            .collect();
        let looked = match events.last() {
            Some(last) if taken != range => backend::Looked::UpTo(last.version()),
            _ => backend::Looked::All,
        };
        Ok(backend::page(read, events, looked, head, version))
    }

    pub(crate) fn read_log(&self, read: &Read, query: &Query) -> Result<Page, Error> {
        let head = self.head_of(read)?;
        let (after, upper) = read.positions();
        let high = match upper {
            Bound::Unbounded => self.count_up_to(head),
            Bound::Included(position) => self.count_up_to(position),
            Bound::Excluded(position) => self.count_up_to(position).saturating_sub(1),
        };
        let range = self.count_up_to(after).min(high)..high;
        let (events, left) = self.matching(range, read, query);
        let looked = if left.is_empty() {
            backend::Looked::All
        } else if read.direction() == Direction::Forward {
            backend::Looked::Past(self.position(left.start))
        } else {
            backend::Looked::Past(self.position(left.end + 1))
        };
        Ok(backend::page(read, events, looked, head, Version::NONE))
    }

    /// The events of a page out of a range of indices, and the part of the range that was not looked at.
    fn matching(
        &self,
        range: Range<usize>,
        read: &Read,
        query: &Query,
    ) -> (Vec<RecordedEvent>, Range<usize>) {
        let page_events_max = read.page_events_max();
        let mut events = Vec::with_capacity(page_events_max.min(range.len()).min(LOOKED_AT_MAX));
        let mut looked_at = 0;
        for i in in_direction(range.clone(), read.direction()) {
            if looked_at == LOOKED_AT_MAX || events.len() == page_events_max {
                break;
            }
            looked_at += 1;
            let event = &self.entries[i].event;
            if query.matches_recorded(event) {
                events.push(event.clone());
            }
        }
        let left = match read.direction() {
            Direction::Forward => range.start + looked_at..range.end,
            Direction::Backward => range.start..range.end - looked_at,
        };
        (events, left)
    }

    /// The head that the read is about: the one its first page fixed, or the present one.
    fn head_of(&self, read: &Read) -> Result<Position, Error> {
        backend::check_read(read, self.id, self.head())?;
        Ok(read.fixed_head().unwrap_or(self.head()))
    }
}

/// The log holds fewer than 2³² events: each takes more than a hundred bytes of memory.
fn index(count: usize) -> u32 {
    u32::try_from(count).expect("memory ends before 2^32 events")
}

/// The part of a range that the page takes, from the end where the read begins.
fn take(range: &Range<usize>, read: &Read) -> Range<usize> {
    let count = read.page_events_max().min(range.len());
    match read.direction() {
        Direction::Forward => range.start..range.start + count,
        Direction::Backward => range.end - count..range.end,
    }
}

fn in_direction(range: Range<usize>, direction: Direction) -> impl Iterator<Item = usize> {
    let Range { start, end } = range;
    (0..end - start).map(move |n| match direction {
        Direction::Forward => start + n,
        Direction::Backward => end - 1 - n,
    })
}

impl Facts for Log {
    fn version(&self, stream: &StreamId) -> Result<Version, Error> {
        let events = self.streams.get(stream).map_or(0, Vec::len);
        Ok(Version::new(events as u64))
    }

    fn stored(&self, stream: &StreamId, event: &NewEvent) -> Result<Option<Stored>, Error> {
        let hash = self.hasher.hash_one((stream, event.id())) as u32;
        let slot = self.ids.find(Slot::spread(hash), |slot| {
            let stored = &self.entries[slot.index as usize].event;
            slot.hash == hash && stored.id() == event.id() && stored.stream() == stream
        });
        Ok(slot.map(|slot| {
            let Entry { event: stored, append: (first, events) } = &self.entries[slot.index as usize];
            Stored {
                version: stored.version(),
                position: stored.position(),
                append_first: self.position(*first as usize + 1),
                append_events: *events as usize,
                same_content: stored.event().same_content(event),
            }
        }))
    }

    fn first_match(&self, query: &Query, after: Position) -> Result<Option<Position>, Error> {
        backend::check_position(after, self.id, self.head())?;
        let rest = &self.entries[self.count_up_to(after)..];
        Ok(rest.iter().find(|entry| query.matches_recorded(&entry.event)).map(|entry| entry.event.position()))
    }
}
