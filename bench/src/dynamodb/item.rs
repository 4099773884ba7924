//! Events as items of the raw side, and back, into the type that Annalist gives.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annalist_core::{EventId, EventType, LogId, Metadata, RecordedEvent, StreamId, Version, backend};
use annalist_dynamodb::aws_sdk_dynamodb::primitives::Blob;
use annalist_dynamodb::aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use crate::subject::Result;

pub(super) type Item = HashMap<String, AttributeValue>;

/// Stream and version: the key of the table.
pub(super) const STREAM: &str = "stream";
pub(super) const VERSION: &str = "version";
/// One name for all events, and their ids, which begin with the time: the key of the index by which all of them are read.
pub(super) const FEED: &str = "feed";
pub(super) const ID: &str = "id";
const TYPE: &str = "type";
const DATA: &str = "data";
const TIME: &str = "time";

pub(super) const ALL: &str = "all";

const TICKED: &str = "BenchmarkTicked";

pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(super) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(super) fn of_event(stream: &str, version: u64, data: Vec<u8>) -> Item {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let attributes = [
        (STREAM, text(stream)),
        (VERSION, number(version)),
        (FEED, text(ALL)),
        (ID, text(EventId::new().to_string())),
        (TYPE, text(TICKED)),
        (DATA, AttributeValue::B(Blob::new(data))),
        (TIME, number(micros)),
    ];
    attributes.map(|(name, value)| (name.to_owned(), value)).into()
}

fn get<'a, T: ?Sized>(
    item: &'a Item,
    name: &str,
    of: impl Fn(&'a AttributeValue) -> Option<&'a T>,
) -> Result<&'a T> {
    item.get(name).and_then(of).ok_or_else(|| format!("an item without {name}").into())
}

pub(super) fn get_text<'a>(item: &'a Item, name: &str) -> Result<&'a str> {
    get(item, name, |value| value.as_s().ok().map(String::as_str))
}

pub(super) fn get_number(item: &Item, name: &str) -> Result<u64> {
    Ok(get(item, name, |value| value.as_n().ok())?.parse()?)
}

/// The event of an item, as the one with this number, from 0, of what is read.
pub(super) fn event(mut item: Item, log: LogId, number: u64) -> Result<RecordedEvent> {
    let Some(AttributeValue::B(data)) = item.remove(DATA) else { return Err("an item without data".into()) };
    let id = EventId::from_uuid(Uuid::parse_str(get_text(&item, ID)?)?);
    let event_type = EventType::new(get_text(&item, TYPE)?)?;
    let event = backend::event(id, event_type, data.into_inner().into(), Metadata::NONE, None, Vec::new());
    let stream = StreamId::new(get_text(&item, STREAM)?)?;
    let version = Version::new(get_number(&item, VERSION)?);
    let time = UNIX_EPOCH + Duration::from_micros(get_number(&item, TIME)?);
    Ok(backend::recorded(event, stream, version, backend::position(log, number + 1, 0), time))
}
