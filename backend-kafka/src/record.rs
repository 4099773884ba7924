//! What stands in the topic: the format of a record, version 1.
//!
//! A record has no key and no headers; its value is all there is. All numbers of fixed length have the highest byte first; the others, texts, ids,
//! positions and events are as [`codec`](crate::codec) says.
//!
//! | bytes | what |
//! |---|---|
//! | 0 … 3 | `ANLS`. A record that begins otherwise is not ours: it is skipped, by every process alike |
//! | 4 | 1, the version of the format and of the rules by which a record is decided. Another one stops whoever reads it |
//! | 5 | the kind: 0 genesis, 1 appends, 2 barrier, 3 claim, 4 save, 5 reset, 6 snapshot, 7 prune |
//! | 6 … 21 | the id of the log. A record of another log is skipped: it was meant for a topic that was since made anew |
//! | 22 … 37 | the writer: an id that each opened store makes for itself |
//! | 38 … 45 | the writer's number of the record, counted from 1. One that is not above the last one of its writer is skipped |
//! | 46 … 53 | the offset up to which the writer had applied the log, exclusive |
//! | 54 … 61 | the digest of its verdicts up to there |
//! | 62 … | the body |
//!
//! | kind | body |
//! |---|---|
//! | genesis | nothing. It stands at offset 0 and gives the log its id; a later one is skipped |
//! | appends | the number of appends; the appends |
//! | barrier | nothing |
//! | claim | name |
//! | save | name; epoch; position |
//! | reset | name; position |
//! | snapshot | stream; schema; version; data; metadata |
//! | prune | stream; schema; how many to keep |
//!
//! | part | bytes |
//! |---|---|
//! | append | the number of writes; for each: stream, expectation, the number of events, the events; the number of checks; for each: stream, expectation; the number of conditions; for each: query, position |
//! | expectation | one byte: 0 any, 1 no stream, 2 exists, 3 exactly, which the version follows |
//! | query | 0 for all events, else the number of items and 1; for each item its streams, prefixes, categories, types and tags, each as a number and that many texts |

use annalist_core::{
    Append, CheckpointName, Condition, ExpectedVersion, LogId, NewEvent, Position, Query, QueryItem,
    Snapshot, SnapshotSchema, StreamId, Version, Write,
};
use bytes::Bytes;
use uuid::Uuid;

use crate::codec::{Malformed, Reader, put_bytes, put_event, put_number, put_position, put_text};

pub(crate) const MAGIC: [u8; 4] = *b"ANLS";
/// The version of the format and of the rules of the fold.
pub(crate) const VERSION: u8 = 1;
/// Where the body begins.
pub(crate) const HEADER_LEN: usize = 62;

/// What stands before the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) log: LogId,
    pub(crate) writer: Uuid,
    pub(crate) number: u64,
    pub(crate) applied: u64,
    pub(crate) digest: u64,
}

/// A record that is ours, and what it asks for.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) header: Header,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Genesis,
    Appends(Vec<Proposal>),
    Barrier,
    Claim { name: CheckpointName },
    Save { name: CheckpointName, epoch: u64, position: Position },
    Reset { name: CheckpointName, position: Position },
    Snapshot(Snapshot),
    Prune { stream: StreamId, schema: SnapshotSchema, keep: u64 },
}

/// An append that was proposed, with the bytes of each of its events as they came.
#[derive(Debug)]
pub(crate) struct Proposal {
    pub(crate) append: Append,
    /// In log order.
    pub(crate) raw_events: Vec<Bytes>,
}

/// What the bytes of a record turn out to be.
#[derive(Debug)]
pub(crate) enum Decoded {
    Ours(Record),
    /// Somebody else's.
    Foreign,
    /// Of a version that this code does not know.
    Newer(u8),
}

impl Body {
    fn kind(&self) -> u8 {
        match self {
            Self::Genesis => 0,
            Self::Appends(_) => 1,
            Self::Barrier => 2,
            Self::Claim { .. } => 3,
            Self::Save { .. } => 4,
            Self::Reset { .. } => 5,
            Self::Snapshot(_) => 6,
            Self::Prune { .. } => 7,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Genesis | Self::Barrier => {}
            Self::Appends(proposals) => {
                put_number(out, proposals.len() as u64);
                proposals.iter().for_each(|proposal| put_append(out, &proposal.append));
            }
            Self::Claim { name } => put_text(out, name.as_str()),
            Self::Save { name, epoch, position } => {
                put_text(out, name.as_str());
                put_number(out, *epoch);
                put_position(out, *position);
            }
            Self::Reset { name, position } => {
                put_text(out, name.as_str());
                put_position(out, *position);
            }
            Self::Snapshot(snapshot) => {
                put_text(out, snapshot.stream.as_str());
                put_text(out, snapshot.schema.as_str());
                put_number(out, snapshot.version.get());
                put_bytes(out, &snapshot.data);
                put_text(out, snapshot.metadata.as_str());
            }
            Self::Prune { stream, schema, keep } => {
                put_text(out, stream.as_str());
                put_text(out, schema.as_str());
                put_number(out, *keep);
            }
        }
    }
}

/// The body of a record before its header is known: the header is made at the moment of sending.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    kind: u8,
    bytes: Vec<u8>,
}

impl Sealed {
    pub(crate) fn new(body: &Body) -> Self {
        let mut bytes = vec![0; HEADER_LEN];
        body.put(&mut bytes);
        Self { kind: body.kind(), bytes }
    }

    /// The appends of one record.
    pub(crate) fn appends<'a>(appends: impl ExactSizeIterator<Item = &'a Append>) -> Self {
        let size: usize = 64 * appends.len();
        let mut bytes = Vec::with_capacity(HEADER_LEN + size);
        bytes.resize(HEADER_LEN, 0);
        put_number(&mut bytes, appends.len() as u64);
        appends.for_each(|append| put_append(&mut bytes, append));
        Self { kind: 1, bytes }
    }

    /// The value of the record.
    pub(crate) fn with(&mut self, header: &Header) -> &[u8] {
        let front = &mut self.bytes[..HEADER_LEN];
        front[..4].copy_from_slice(&MAGIC);
        (front[4], front[5]) = (VERSION, self.kind);
        front[6..22].copy_from_slice(header.log.as_uuid().as_bytes());
        front[22..38].copy_from_slice(header.writer.as_bytes());
        front[38..46].copy_from_slice(&header.number.to_be_bytes());
        front[46..54].copy_from_slice(&header.applied.to_be_bytes());
        front[54..62].copy_from_slice(&header.digest.to_be_bytes());
        &self.bytes
    }
}

/// Takes the value of a record apart.
pub(crate) fn decode(value: &Bytes) -> Result<Decoded, Malformed> {
    if value.get(..4) != Some(&MAGIC[..]) {
        return Ok(Decoded::Foreign);
    }
    let mut reader = Reader::new(value.clone());
    let _magic: [u8; 4] = reader.array()?;
    let version = reader.byte()?;
    if version != VERSION {
        return Ok(Decoded::Newer(version));
    }
    let kind = reader.byte()?;
    let header = Header {
        log: LogId::from_uuid(reader.uuid()?),
        writer: reader.uuid()?,
        number: u64::from_be_bytes(reader.array()?),
        applied: u64::from_be_bytes(reader.array()?),
        digest: u64::from_be_bytes(reader.array()?),
    };
    let body = body(kind, &mut reader)?;
    reader.end()?;
    Ok(Decoded::Ours(Record { header, body }))
}

fn body(kind: u8, reader: &mut Reader) -> Result<Body, Malformed> {
    Ok(match kind {
        0 => Body::Genesis,
        1 => {
            let count = reader.count()?;
            let proposals = (0..count).map(|_| append(reader)).collect::<Result<_, _>>()?;
            Body::Appends(proposals)
        }
        2 => Body::Barrier,
        3 => Body::Claim { name: CheckpointName::new(reader.text()?)? },
        4 => Body::Save {
            name: CheckpointName::new(reader.text()?)?,
            epoch: reader.number()?,
            position: reader.position()?,
        },
        5 => Body::Reset { name: CheckpointName::new(reader.text()?)?, position: reader.position()? },
        6 => {
            let (stream, schema) = (reader.stream()?, SnapshotSchema::new(reader.text()?)?);
            let (version, data) = (Version::new(reader.number()?), reader.bytes()?);
            let snapshot = Snapshot::new(&stream, &schema, version, data);
            Body::Snapshot(snapshot.with_metadata(reader.metadata()?))
        }
        7 => Body::Prune {
            stream: reader.stream()?,
            schema: SnapshotSchema::new(reader.text()?)?,
            keep: reader.number()?,
        },
        _ => return Err(Malformed),
    })
}

/// How many bytes an append takes in a record.
pub(crate) fn append_len(append: &Append) -> usize {
    let mut out = Vec::new();
    put_append(&mut out, append);
    out.len()
}

fn put_append(out: &mut Vec<u8>, append: &Append) {
    put_number(out, append.writes().len() as u64);
    for Write { stream, expected, events, .. } in append.writes() {
        put_text(out, stream.as_str());
        put_expected(out, *expected);
        put_number(out, events.len() as u64);
        events.iter().for_each(|event| put_event(out, event));
    }
    put_number(out, append.checks().len() as u64);
    for check in append.checks() {
        put_text(out, check.stream.as_str());
        put_expected(out, check.expected);
    }
    put_number(out, append.conditions().len() as u64);
    for Condition { query, after, .. } in append.conditions() {
        put_query(out, query);
        put_position(out, *after);
    }
}

fn append(reader: &mut Reader) -> Result<Proposal, Malformed> {
    let (mut append, mut raw_events) = (Append::new(), Vec::new());
    for _ in 0..reader.count()? {
        let (stream, expected) = (reader.stream()?, expected(reader)?);
        let count = reader.count()?;
        let mut events: Vec<NewEvent> = Vec::with_capacity(count.min(1_024));
        for _ in 0..count {
            let from = reader.at();
            events.push(reader.event()?);
            raw_events.push(reader.since(from));
        }
        append = append.write(&stream, expected, events);
    }
    for _ in 0..reader.count()? {
        let (stream, expected) = (reader.stream()?, expected(reader)?);
        append = append.check(&stream, expected);
    }
    for _ in 0..reader.count()? {
        let (query, after) = (query(reader)?, reader.position()?);
        append = append.condition(query, after);
    }
    Ok(Proposal { append, raw_events })
}

fn put_expected(out: &mut Vec<u8>, expected: ExpectedVersion) {
    match expected {
        ExpectedVersion::Any => out.push(0),
        ExpectedVersion::NoStream => out.push(1),
        ExpectedVersion::Exists => out.push(2),
        ExpectedVersion::Exact(version) => {
            out.push(3);
            put_number(out, version.get());
        }
    }
}

fn expected(reader: &mut Reader) -> Result<ExpectedVersion, Malformed> {
    Ok(match reader.byte()? {
        0 => ExpectedVersion::Any,
        1 => ExpectedVersion::NoStream,
        2 => ExpectedVersion::Exists,
        3 => ExpectedVersion::Exact(Version::new(reader.number()?)),
        _ => return Err(Malformed),
    })
}

fn put_query(out: &mut Vec<u8>, query: &Query) {
    if query.is_all() {
        return out.push(0);
    }
    put_number(out, query.items().len() as u64 + 1);
    for item in query.items() {
        let parts =
            [item.stream_part(), item.prefix_part(), item.category_part(), item.type_part(), item.tag_part()];
        for part in parts {
            put_number(out, part.len() as u64);
            part.iter().for_each(|name| put_text(out, name));
        }
    }
}

fn query(reader: &mut Reader) -> Result<Query, Malformed> {
    let Some(count) = reader.number()?.checked_sub(1) else { return Ok(Query::all()) };
    let mut items = Vec::new();
    for _ in 0..count {
        let mut item = QueryItem::new();
        item = item.streams(texts(reader)?);
        item = texts(reader)?.into_iter().fold(item, QueryItem::stream_prefix);
        item = texts(reader)?.into_iter().fold(item, QueryItem::category);
        item = item.types(texts(reader)?);
        items.push(item.tags(texts(reader)?));
    }
    Ok(Query::any_of(items))
}

fn texts(reader: &mut Reader) -> Result<Vec<String>, Malformed> {
    let count = reader.count()?;
    (0..count).map(|_| Ok(reader.text()?.to_owned())).collect()
}
