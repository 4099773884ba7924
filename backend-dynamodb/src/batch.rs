//! A batch: what one put commits, as events with their places, and as items of the table.

use std::sync::Arc;
use std::time::SystemTime;

use annalist_core::{
    Append, Error, EventId, LogId, NewEvent, Position, Receipt, RecordedEvent, StreamId, Version, backend,
};
use annalist_engine::admission::Stored;
use hashbrown::HashMap;
use uuid::Uuid;

use crate::codec::{Decoder, Encoder, corrupt};
use crate::key::Keys;
use crate::table::Item;

/// The attributes of a batch's item.
pub(crate) mod attribute {
    /// What tells this batch from every other that was meant for its place.
    pub(crate) const ID: &str = "i";
    /// The id of the batch before it: what makes the log a chain.
    pub(crate) const PREVIOUS: &str = "p";
    /// Who put it.
    pub(crate) const WRITER: &str = "w";
    /// The body, or this part of it.
    pub(crate) const BODY: &str = "b";
    /// In how many chunks the body stands, where it does not fit here.
    pub(crate) const CHUNKS: &str = "c";
}

/// The largest body of one item: AWS allows 400 KB with keys and names.
pub(crate) const BODY_MAX: usize = 390 * 1024;

/// A place in the chain of batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    /// The number of the batch; 0 is before all.
    pub(crate) number: u64,
    pub(crate) id: Uuid,
    /// The ordinal of its last event.
    pub(crate) last: u32,
}

impl Link {
    /// Before the first batch. The log's own id begins the chain.
    pub(crate) fn start(log: LogId) -> Self {
        Self { number: 0, id: log.as_uuid(), last: 0 }
    }

    /// The position of the last event.
    pub(crate) fn position(&self, log: LogId) -> Position {
        if self.number == 0 { Position::START } else { backend::position(log, self.number, self.last) }
    }
}

/// A batch of the log.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) number: u64,
    pub(crate) id: Uuid,
    pub(crate) previous: Uuid,
    pub(crate) writer: Uuid,
    /// By their ordinals; never empty.
    pub(crate) entries: Vec<Entry>,
    /// How many bytes its body has.
    pub(crate) bytes: usize,
}

/// An event of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) event: RecordedEvent,
    /// The ordinal of the first event of the append that it came with, and how many events that has.
    pub(crate) append: (u32, u32),
}

impl Entry {
    /// What is known of it, held against an event of a request.
    pub(crate) fn stored(&self, log: LogId, event: &NewEvent) -> Stored {
        let (number, _) = backend::numbers(self.event.position());
        Stored {
            version: self.event.version(),
            position: self.event.position(),
            append_first: backend::position(log, number, self.append.0),
            append_events: self.append.1 as usize,
            same_content: self.event.event().same_content(event),
        }
    }
}

/// A batch of the log holds fewer than 2³² events: its body would not fit into memory.
fn ordinal(count: usize) -> u32 {
    u32::try_from(count).expect("a batch has fewer than 2^32 events")
}

impl Batch {
    pub(crate) fn link(&self) -> Link {
        Link { number: self.number, id: self.id, last: ordinal(self.entries.len() - 1) }
    }

    /// The event at or before an ordinal.
    pub(crate) fn event_at(&self, ordinal: u32) -> EventId {
        let index = (ordinal as usize).min(self.entries.len() - 1);
        self.entries[index].event.id()
    }

    /// The body: time; streams with the version of their first event here; appends by their length; events, each with its stream.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        let recorded_at =
            self.entries.first().map_or(SystemTime::UNIX_EPOCH, |entry| entry.event.recorded_at());
        encoder.time(recorded_at);
        let mut streams: HashMap<&StreamId, u64> = HashMap::new();
        let mut firsts = Vec::new();
        for entry in &self.entries {
            let next = streams.len() as u64;
            streams.entry(entry.event.stream()).or_insert_with(|| {
                firsts.push((entry.event.stream(), entry.event.version()));
                next
            });
        }
        encoder.number(firsts.len() as u64);
        for (stream, first) in firsts {
            encoder.text(stream.as_str());
            encoder.number(first.get());
        }
        let begins = |(n, entry): &(usize, &Entry)| entry.append.0 as usize == *n;
        let appends: Vec<u32> =
            (0..).zip(&self.entries).filter(begins).map(|(_, entry)| entry.append.1).collect();
        encoder.number(appends.len() as u64);
        appends.iter().for_each(|events| encoder.number(u64::from(*events)));
        for entry in &self.entries {
            encoder.number(streams[entry.event.stream()]);
            encoder.event(entry.event.event());
        }
        encoder.finish()
    }

    /// The item that commits it, and the chunks that must stand before.
    pub(crate) fn items(&self, keys: &Keys, body: Vec<u8>) -> (Item, Vec<Item>) {
        let item = Item::new(keys.batch(self.number))
            .id(attribute::ID, self.id)
            .id(attribute::PREVIOUS, self.previous)
            .id(attribute::WRITER, self.writer);
        if body.len() <= BODY_MAX {
            return (item.bytes(attribute::BODY, body), Vec::new());
        }
        let chunk = |(index, part): (u64, &[u8])| {
            Item::new(keys.chunk(self.number, self.id, index)).bytes(attribute::BODY, part)
        };
        let chunks: Vec<Item> = (0..).zip(body.chunks(BODY_MAX)).map(chunk).collect();
        (item.number(attribute::CHUNKS, chunks.len() as u64), chunks)
    }

    /// Understands the item of a batch, whose body may have come from chunks.
    pub(crate) fn read(log: LogId, number: u64, item: &Item, body: bytes::Bytes) -> Result<Self, Error> {
        let bytes = body.len();
        let mut decoder = Decoder::new(body, "a batch")?;
        let recorded_at = decoder.time()?;
        let mut streams = Vec::new();
        for _ in 0..decoder.count()? {
            streams.push((decoder.stream()?, Version::new(decoder.number()?)));
        }
        let (mut appends, mut first) = (Vec::new(), 0_u32);
        for _ in 0..decoder.count()? {
            let events = decoder.small()?;
            appends.push((first, events));
            first = first.checked_add(events).ok_or_else(|| corrupt("a batch"))?;
        }
        let mut entries = Vec::new();
        for append in appends.into_iter().flat_map(|append| std::iter::repeat_n(append, append.1 as usize)) {
            let index = usize::try_from(decoder.number()?).unwrap_or(usize::MAX);
            let (stream, version) = streams.get_mut(index).ok_or_else(|| corrupt("a batch"))?;
            let position = backend::position(log, number, ordinal(entries.len()));
            let event = backend::recorded(decoder.event()?, stream.clone(), *version, position, recorded_at);
            *version = version.next();
            entries.push(Entry { event, append });
        }
        decoder.finish()?;
        if entries.is_empty() {
            return Err(corrupt("a batch"));
        }
        let id = |name| item.get_id(name);
        let (id, previous, writer) = (id(attribute::ID)?, id(attribute::PREVIOUS)?, id(attribute::WRITER)?);
        Ok(Self { number, id, previous, writer, entries, bytes })
    }
}

/// The batch that is to be put next, append by append.
#[derive(Debug)]
pub(crate) struct Draft {
    log: LogId,
    after: Link,
    now: SystemTime,
    entries: Vec<Entry>,
    versions: HashMap<StreamId, Version>,
    ids: HashMap<StreamId, HashMap<EventId, u32>>,
}

impl Draft {
    pub(crate) fn new(log: LogId, after: Link, now: SystemTime) -> Self {
        Self { log, after, now, entries: Vec::new(), versions: HashMap::new(), ids: HashMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The version that a stream has with this batch, if it writes to it.
    pub(crate) fn version(&self, stream: &StreamId) -> Option<Version> {
        self.versions.get(stream).copied()
    }

    pub(crate) fn entry(&self, stream: &StreamId, id: EventId) -> Option<&Entry> {
        let ordinal = self.ids.get(stream)?.get(&id)?;
        Some(&self.entries[*ordinal as usize])
    }

    /// Takes an append in that was accepted, whose written streams have come to these versions.
    pub(crate) fn add(&mut self, append: &Append, versions: &[Version]) -> Receipt {
        let extent = (ordinal(self.entries.len()), ordinal(append.event_count()));
        let mut written = Vec::with_capacity(versions.len());
        let writes = append.writes().iter().filter(|write| !write.events.is_empty());
        for (write, before) in writes.zip(versions) {
            let mut positions = Vec::with_capacity(write.events.len());
            let mut version = *before;
            for event in &write.events {
                version = version.next();
                positions.push(self.push(event, &write.stream, version, extent));
            }
            self.versions.insert(write.stream.clone(), version);
            written.push(backend::written(write.stream.clone(), before.next(), positions));
        }
        backend::receipt(false, written)
    }

    fn push(
        &mut self,
        event: &NewEvent,
        stream: &StreamId,
        version: Version,
        append: (u32, u32),
    ) -> Position {
        let ordinal = ordinal(self.entries.len());
        let position = backend::position(self.log, self.after.number + 1, ordinal);
        self.ids.entry_ref(stream).or_default().insert(event.id(), ordinal);
        let event = backend::recorded(event.clone(), stream.clone(), version, position, self.now);
        self.entries.push(Entry { event, append });
        position
    }

    /// The batch, with its body.
    pub(crate) fn finish(self, writer: Uuid) -> (Arc<Batch>, Vec<u8>) {
        let (id, previous) = (Uuid::now_v7(), self.after.id);
        let number = self.after.number + 1;
        let mut batch = Batch { number, id, previous, writer, entries: self.entries, bytes: 0 };
        let body = batch.body();
        batch.bytes = body.len();
        (Arc::new(batch), body)
    }
}

/// The time that is given to events now, as it will be read again.
pub(crate) fn now() -> SystemTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
    SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(micros)
}
