//! Rows as events, decoded as Annalist's store decodes them, into the same type.

use std::time::{Duration, SystemTime};

use annalist_core::{
    ContentType, Error, EventId, EventType, LogId, Metadata, RecordedEvent, StreamId, Tag, Version, backend,
};
use annalist_sqlite::rusqlite::Row;
use bytes::Bytes;
use uuid::Uuid;

use crate::subject::Result;

/// Takes in rows.
pub(super) struct Rows {
    log: LogId,
    pub(super) events: Vec<RecordedEvent>,
}

impl Rows {
    pub(super) fn of(log: LogId) -> Self {
        Self { log, events: Vec::new() }
    }

    pub(super) fn take(&mut self, row: &Row<'_>) -> Result<()> {
        let last = self.events.last();
        let stream =
            same_or(last.map(RecordedEvent::stream), row.get_ref(4)?.as_str()?, |name| StreamId::new(name))?;
        let event_type = same_or(last.map(RecordedEvent::event_type), row.get_ref(5)?.as_str()?, |name| {
            EventType::new(name)
        })?;
        let content_type = row.get_ref(6)?.as_str_or_null()?.map(ContentType::new).transpose()?;
        let data = Bytes::copy_from_slice(row.get_ref(7)?.as_blob()?);
        let metadata = match row.get_ref(8)?.as_str_or_null()? {
            Some(json) => Metadata::new(json)?,
            None => Metadata::NONE,
        };
        let tags = row.get_ref(9)?.as_str_or_null()?.map(|tags| tags.split('\u{1f}').map(Tag::new).collect());
        let tags = tags.transpose()?.unwrap_or_default();
        let id = EventId::from_uuid(Uuid::from_slice(row.get_ref(2)?.as_blob()?)?);
        let event = backend::event(id, event_type, data, metadata, content_type, tags);
        let version = Version::new(u64::try_from(row.get::<_, i64>(1)?)?);
        let position = backend::position(self.log, u64::try_from(row.get::<_, i64>(0)?)?, 0);
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(row.get::<_, i64>(3)?)?);
        self.events.push(backend::recorded(event, stream, version, position, time));
        Ok(())
    }

    /// The number of an event's position.
    pub(super) fn position(event: &RecordedEvent) -> i64 {
        i64::try_from(backend::numbers(event.position()).0).unwrap_or(i64::MAX)
    }
}

/// The name of the row before, where this one has the same.
fn same_or<N: Clone + AsRef<str>>(
    last: Option<&N>,
    text: &str,
    make: impl Fn(&str) -> std::result::Result<N, Error>,
) -> Result<N> {
    match last {
        Some(last) if last.as_ref() == text => Ok(last.clone()),
        _ => Ok(make(text)?),
    }
}

/// Microseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
