//! Rows as events, and values as columns hold them.

use std::time::{Duration, SystemTime};

use annalist_core::{
    ContentType, Error, ErrorKind, EventId, EventType, LogId, Metadata, RecordedEvent, StreamId, Tag,
    Version, backend,
};
use bytes::Bytes;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Row, ToSql};
use uuid::Uuid;

use crate::error;
use crate::log::position;

/// The columns of an event, in the order in which [`Rows`] takes them.
pub(crate) const EVENT: &str =
    "position, version, id, recorded_at, stream, type, content_type, data, metadata, tags";

/// What no tag holds, and what stands between two.
const SEPARATOR: char = '\u{1f}';

/// A UUID as its 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Id(pub(crate) Uuid);

impl FromSql for Id {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        Ok(Self(Uuid::from_slice(bytes).map_err(|error| FromSqlError::Other(error.into()))?))
    }
}

impl ToSql for Id {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.0.as_bytes())))
    }
}

/// A number as signed integers can hold it; those above their range are above everything that is stored.
pub(crate) fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Versions, positions and epochs are never negative.
pub(crate) fn number(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Microseconds since 1970.
pub(crate) fn micros(time: SystemTime) -> i64 {
    let micros = |distance: Duration| i64::try_from(distance.as_micros()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    }
}

fn time(micros: i64) -> Result<SystemTime, Error> {
    let (epoch, distance) = (SystemTime::UNIX_EPOCH, Duration::from_micros(micros.unsigned_abs()));
    let time = if micros < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
    time.ok_or_else(|| error::corrupt("a time out of range"))
}

/// Tags as one text; `None` where there are none.
pub(crate) fn joined(tags: &[Tag]) -> Option<String> {
    let mut tags = tags.iter().map(Tag::as_str);
    let mut text = tags.next()?.to_owned();
    for tag in tags {
        text.push(SEPARATOR);
        text.push_str(tag);
    }
    Some(text)
}

/// Takes in the rows of a page.
pub(crate) struct Rows {
    log: LogId,
    pub(crate) events: Vec<RecordedEvent>,
    /// The size of the events so far.
    pub(crate) bytes: usize,
    /// The names that the row before had.
    stream: Option<StreamId>,
    event_type: Option<EventType>,
}

impl Rows {
    pub(crate) fn of(log: LogId) -> Self {
        Self { log, events: Vec::new(), bytes: 0, stream: None, event_type: None }
    }

    pub(crate) fn push(&mut self, event: RecordedEvent) {
        self.bytes += event.event().size();
        self.events.push(event);
    }

    /// The event of a row.
    pub(crate) fn event(&mut self, row: &Row<'_>) -> Result<RecordedEvent, Error> {
        let stream = kept(&mut self.stream, text(row, 4)?, |name| StreamId::new(name))?;
        let event_type = kept(&mut self.event_type, text(row, 5)?, |name| EventType::new(name))?;
        let content_type = optional(row, 6)?.map(ContentType::new).transpose().map_err(stored)?;
        let data = row.get_ref(7).map_err(error::of_file)?;
        let data = Bytes::copy_from_slice(data.as_blob().map_err(|_| not_of_its_kind())?);
        let metadata = match optional(row, 8)? {
            Some(json) => Metadata::new(json).map_err(stored)?,
            None => Metadata::NONE,
        };
        let tags = match optional(row, 9)? {
            Some(tags) => tags.split(SEPARATOR).map(Tag::new).collect::<Result<_, _>>().map_err(stored)?,
            None => Vec::new(),
        };
        let id = EventId::from_uuid(row.get::<_, Id>(2).map_err(error::of_file)?.0);
        let event = backend::event(id, event_type, data, metadata, content_type, tags);
        let version = Version::new(number(row.get(1).map_err(error::of_file)?));
        let position = position(self.log, number(row.get(0).map_err(error::of_file)?));
        let recorded_at = time(row.get(3).map_err(error::of_file)?)?;
        Ok(backend::recorded(event, stream, version, position, recorded_at))
    }
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, Error> {
    row.get_ref(column).map_err(error::of_file)?.as_str().map_err(|_| not_of_its_kind())
}

fn optional<'r>(row: &'r Row<'_>, column: usize) -> Result<Option<&'r str>, Error> {
    row.get_ref(column).map_err(error::of_file)?.as_str_or_null().map_err(|_| not_of_its_kind())
}

/// A name that is kept for the next row: where that has the same, one in memory serves both.
fn kept<N: Clone + AsRef<str>>(
    kept: &mut Option<N>,
    text: &str,
    make: impl Fn(&str) -> Result<N, Error>,
) -> Result<N, Error> {
    if let Some(name) = kept.as_ref().filter(|name| name.as_ref() == text) {
        return Ok(name.clone());
    }
    Ok(kept.insert(make(text).map_err(stored)?).clone())
}

/// What is stored breaks a rule that it was checked against when it was appended.
pub(crate) fn stored(error: Error) -> Error {
    Error::new(ErrorKind::Corrupt("what is stored breaks the rules of its kind".into())).with_source(error)
}

fn not_of_its_kind() -> Error {
    error::corrupt("a column holds what is not of its kind")
}
