//! The keys and values of the local store.
//!
//! | table | key | value |
//! |---|---|---|
//! | records | offset | the time; for each accepted event: the place in its record of the first event of its append, how many that has, version, stream, event |
//! | events | stream, 0, version | offset, place in the record, place of the append's first event, how many it has, time; event |
//! | ids | stream, 0, id | version |
//! | heads | stream | version |
//! | terms | kind of term, term, 0, offset | nothing |
//! | snapshots | stream, 0, schema, 0, version | data; metadata |
//! | checkpoints | name | epoch; then, if there is one, position, whether there is an event, its id |
//! | writers | id | number |
//!
//! No name has a control character, so that 0 ends one. Numbers have 8 bytes, or 4 for places in a record, the highest first.

use std::time::{Duration, SystemTime};

use annalist_core::{
    EventId, LogId, NewEvent, Position, RecordedEvent, SnapshotSchema, StreamId, Version, backend,
};
use bytes::Bytes;

use crate::codec::{Malformed, Reader, put_text};

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

pub(crate) fn offset(offset: u64) -> [u8; 8] {
    offset.to_be_bytes()
}

pub(crate) fn version(stream: &StreamId, version: u64) -> Vec<u8> {
    joined(&[stream.as_str().as_bytes(), &[0], &version.to_be_bytes()])
}

pub(crate) fn id(stream: &StreamId, id: EventId) -> Vec<u8> {
    joined(&[stream.as_str().as_bytes(), &[0], id.as_uuid().as_bytes()])
}

pub(crate) fn snapshot(stream: &StreamId, schema: &SnapshotSchema, version: u64) -> Vec<u8> {
    let (stream, schema) = (stream.as_str().as_bytes(), schema.as_str().as_bytes());
    joined(&[stream, &[0], schema, &[0], &version.to_be_bytes()])
}

/// What comes after all versions of a snapshot.
pub(crate) fn snapshot_end(stream: &StreamId, schema: &SnapshotSchema) -> Vec<u8> {
    joined(&[stream.as_str().as_bytes(), &[0], schema.as_str().as_bytes(), &[1]])
}

/// What an index is kept of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Term<'a> {
    Category(&'a str),
    Type(&'a str),
    Tag(&'a str),
}

pub(crate) fn term(term: Term<'_>, offset: u64) -> Vec<u8> {
    let (kind, name) = match term {
        Term::Category(name) => (b'c', name),
        Term::Type(name) => (b't', name),
        Term::Tag(name) => (b'g', name),
    };
    joined(&[&[kind], name.as_bytes(), &[0], &offset.to_be_bytes()])
}

/// The number that a key ends with.
pub(crate) fn last_number(key: &[u8]) -> Result<u64, Malformed> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes)).ok_or(Malformed)
}

pub(crate) fn number(value: &[u8]) -> Result<u64, Malformed> {
    Ok(u64::from_be_bytes(value.try_into().map_err(|_| Malformed)?))
}

/// An event that was accepted, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: StreamId,
    pub(crate) event: NewEvent,
    pub(crate) version: u64,
    pub(crate) place: Place,
}

/// Where an event stands in the log, and the extent of its append.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    /// The place in its record.
    pub(crate) minor: u32,
    /// The place of the first event of its append.
    pub(crate) append_first: u32,
    pub(crate) append_events: u32,
    /// Milliseconds since 1970, by the broker's clock.
    pub(crate) recorded_at: i64,
}

impl Accepted {
    pub(crate) fn position(&self, log: LogId) -> Position {
        backend::position(log, self.place.offset, self.place.minor)
    }

    pub(crate) fn recorded(self, log: LogId) -> RecordedEvent {
        let position = self.position(log);
        let at = u64::try_from(self.place.recorded_at).unwrap_or_default();
        let recorded_at = SystemTime::UNIX_EPOCH + Duration::from_millis(at);
        backend::recorded(self.event, self.stream, Version::new(self.version), position, recorded_at)
    }
}

/// The value of a stream's event.
pub(crate) fn event_value(place: Place, raw_event: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(28 + raw_event.len());
    value.extend_from_slice(&place.offset.to_be_bytes());
    value.extend_from_slice(&place.minor.to_be_bytes());
    value.extend_from_slice(&place.append_first.to_be_bytes());
    value.extend_from_slice(&place.append_events.to_be_bytes());
    value.extend_from_slice(&place.recorded_at.to_be_bytes());
    value.extend_from_slice(raw_event);
    value
}

/// Where the event of a value stands.
pub(crate) fn event_offset(value: &[u8]) -> Result<u64, Malformed> {
    value.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)).ok_or(Malformed)
}

/// The same with its place in the record.
pub(crate) fn event_place(value: &[u8]) -> Result<(u64, u32), Malformed> {
    let minor = value.get(8..12).and_then(|bytes| bytes.first_chunk()).ok_or(Malformed)?;
    Ok((event_offset(value)?, u32::from_be_bytes(*minor)))
}

pub(crate) fn event_of(stream: &StreamId, version: u64, value: Bytes) -> Result<Accepted, Malformed> {
    let mut reader = Reader::new(value);
    let place = Place {
        offset: u64::from_be_bytes(reader.array()?),
        minor: u32::from_be_bytes(reader.array()?),
        append_first: u32::from_be_bytes(reader.array()?),
        append_events: u32::from_be_bytes(reader.array()?),
        recorded_at: i64::from_be_bytes(reader.array()?),
    };
    let event = reader.event()?;
    reader.end()?;
    Ok(Accepted { stream: stream.clone(), event, version, place })
}

/// Begins the value of a record.
pub(crate) fn record_value(recorded_at: i64) -> Vec<u8> {
    recorded_at.to_be_bytes().to_vec()
}

pub(crate) fn put_accepted(value: &mut Vec<u8>, accepted: &Accepted, raw_event: &[u8]) {
    value.extend_from_slice(&accepted.place.append_first.to_be_bytes());
    value.extend_from_slice(&accepted.place.append_events.to_be_bytes());
    value.extend_from_slice(&accepted.version.to_be_bytes());
    put_text(value, accepted.stream.as_str());
    value.extend_from_slice(raw_event);
}

/// The accepted events of a record, in their order.
pub(crate) fn record_events(offset: u64, value: Bytes) -> Result<Vec<Accepted>, Malformed> {
    let mut reader = Reader::new(value);
    let recorded_at = i64::from_be_bytes(reader.array()?);
    let mut events = Vec::new();
    while !reader.is_at_end() {
        let minor = u32::try_from(events.len()).map_err(|_| Malformed)?;
        let append_first = u32::from_be_bytes(reader.array()?);
        let append_events = u32::from_be_bytes(reader.array()?);
        let version = u64::from_be_bytes(reader.array()?);
        let (stream, event) = (reader.stream()?, reader.event()?);
        let place = Place { offset, minor, append_first, append_events, recorded_at };
        events.push(Accepted { stream, event, version, place });
    }
    Ok(events)
}
