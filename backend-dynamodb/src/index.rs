//! What the index holds of a batch, as items. Each is made from the batch alone and never changes, so that it does not matter who writes it, how
//! often, or how late.

use std::collections::BTreeMap;

use annalist_core::{Error, LogId, NewEvent, Position, RecordedEvent, StreamId, Version, backend};
use annalist_engine::admission::Stored;
use sha2::{Digest, Sha256};

use crate::batch::{Batch, Entry};
use crate::codec::{Decoder, Encoder, corrupt};
use crate::key::{Keys, Mark, number_of};
use crate::table::Item;

mod attribute {
    /// The number of the batch.
    pub(super) const NUMBER: &str = "n";
    /// The version of the last event.
    pub(super) const LAST: &str = "l";
    pub(super) const BODY: &str = "b";
}

/// Events of a stream share an item up to about this size, so that a look at a stream's version costs little.
const STREAM_BODY: usize = 16 * 1024;

/// All that the index holds of a batch.
pub(crate) fn items(keys: &Keys, batch: &Batch) -> Vec<Item> {
    let mut items = Vec::with_capacity(batch.entries.len() * 2);
    let mut streams: BTreeMap<&StreamId, Vec<(u32, &Entry)>> = BTreeMap::new();
    let mut places: BTreeMap<(Mark, &str), Vec<u32>> = BTreeMap::new();
    for (ordinal, entry) in (0..).zip(&batch.entries) {
        let event = &entry.event;
        streams.entry(event.stream()).or_default().push((ordinal, entry));
        places.entry((Mark::Category, event.stream().category())).or_default().push(ordinal);
        places.entry((Mark::Type, event.event_type().as_str())).or_default().push(ordinal);
        for tag in event.tags() {
            places.entry((Mark::Tag, tag.as_str())).or_default().push(ordinal);
        }
        items.push(id_item(keys, batch, ordinal, entry));
    }
    for (stream, entries) in streams {
        stream_items(keys, batch, stream, &entries, &mut items);
    }
    for ((mark, name), ordinals) in places {
        let mut body = Encoder::new();
        body.number(ordinals.len() as u64);
        let mut last = 0;
        for ordinal in ordinals {
            body.number(u64::from(ordinal - last));
            last = ordinal;
        }
        items.push(Item::new(keys.place(mark, name, batch.number)).bytes(attribute::BODY, body.finish()));
    }
    items
}

/// The events of a stream that a batch holds, in as many items as it takes.
fn stream_items(
    keys: &Keys,
    batch: &Batch,
    stream: &StreamId,
    entries: &[(u32, &Entry)],
    items: &mut Vec<Item>,
) {
    let mut rest = entries;
    while let [(_, first), ..] = rest {
        let mut body = Encoder::new();
        body.time(first.event.recorded_at());
        let mut count = 0;
        for (ordinal, entry) in rest {
            if count > 0 && body.len() + entry.event.event().size() > STREAM_BODY {
                break;
            }
            body.number(u64::from(*ordinal));
            body.event(entry.event.event());
            count += 1;
        }
        let (these, others) = rest.split_at(count);
        let last = these.last().map_or(Version::NONE, |(_, entry)| entry.event.version());
        let item = Item::new(keys.stream(stream, first.event.version()))
            .number(attribute::NUMBER, batch.number)
            .number(attribute::LAST, last.get())
            .bytes(attribute::BODY, body.finish());
        items.push(item);
        rest = others;
    }
}

/// The batch and the last version of an item of a stream.
pub(crate) fn read_extent(item: &Item) -> Result<(u64, Version), Error> {
    Ok((item.get_number(attribute::NUMBER)?, Version::new(item.get_number(attribute::LAST)?)))
}

/// The events in an item of a stream.
pub(crate) fn read_events(
    log: LogId,
    stream: &StreamId,
    mut item: Item,
) -> Result<Vec<RecordedEvent>, Error> {
    let (number, last) = read_extent(&item)?;
    let first = number_of(&item.key.sort).ok_or_else(|| corrupt("an item of a stream"))?;
    let mut body = Decoder::new(item.take_bytes(attribute::BODY)?, "an item of a stream")?;
    let recorded_at = body.time()?;
    let mut events = Vec::new();
    for version in first..=last.get() {
        let position = backend::position(log, number, body.small()?);
        let event = body.event()?;
        events.push(backend::recorded(event, stream.clone(), Version::new(version), position, recorded_at));
    }
    body.finish()?;
    Ok(events)
}

/// What is kept of an event's content, to tell whether another says the same: 128 bits of a hash that nobody can aim at.
fn digest(event: &NewEvent) -> [u8; 16] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(event.event_type().as_str().as_bytes());
    part(event.data());
    event.tags().iter().for_each(|tag| part(tag.as_str().as_bytes()));
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash.finalize()[..16]);
    digest
}

fn id_item(keys: &Keys, batch: &Batch, ordinal: u32, entry: &Entry) -> Item {
    let mut body = Encoder::new();
    body.number(entry.event.version().get());
    body.number(batch.number);
    body.number(u64::from(ordinal));
    body.number(u64::from(entry.append.0));
    body.number(u64::from(entry.append.1));
    body.raw(&digest(entry.event.event()));
    Item::new(keys.id(entry.event.stream(), entry.event.id())).bytes(attribute::BODY, body.finish())
}

/// What the index says of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Indexed {
    pub(crate) number: u64,
    version: Version,
    ordinal: u32,
    append: (u32, u32),
    digest: [u8; 16],
}

impl Indexed {
    pub(crate) fn read(mut item: Item) -> Result<Self, Error> {
        let mut body = Decoder::new(item.take_bytes(attribute::BODY)?, "an item of an event id")?;
        let version = Version::new(body.number()?);
        let number = body.number()?;
        let ordinal = body.small()?;
        let append = (body.small()?, body.small()?);
        let digest = body.raw()?;
        body.finish()?;
        Ok(Self { number, version, ordinal, append, digest })
    }

    /// Held against an event of a request.
    pub(crate) fn stored(&self, log: LogId, event: &NewEvent) -> Stored {
        Stored {
            version: self.version,
            position: backend::position(log, self.number, self.ordinal),
            append_first: backend::position(log, self.number, self.append.0),
            append_events: self.append.1 as usize,
            same_content: self.digest == digest(event),
        }
    }
}

/// Where the events of one batch stand that bear a mark.
pub(crate) fn read_place(log: LogId, mut item: Item) -> Result<(u64, Vec<Position>), Error> {
    let number = number_of(&item.key.sort).ok_or_else(|| corrupt("a place"))?;
    let mut body = Decoder::new(item.take_bytes(attribute::BODY)?, "a place")?;
    let (mut positions, mut ordinal) = (Vec::new(), 0_u32);
    for _ in 0..body.count()? {
        ordinal = ordinal.checked_add(body.small()?).ok_or_else(|| corrupt("a place"))?;
        positions.push(backend::position(log, number, ordinal));
    }
    body.finish()?;
    Ok((number, positions))
}
