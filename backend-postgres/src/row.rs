//! Rows as events.

use annalist_core::{
    ContentType, Error, ErrorKind, EventId, EventType, LogId, Metadata, RecordedEvent, StreamId, Tag,
    Version, backend,
};
use bytes::Bytes;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::log::position;
use crate::read::PageError;
use crate::types::{Id, Time};
use crate::verdict::number;

/// The state of the log that a statement saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) log: LogId,
    pub(crate) position: u64,
    /// The version of the stream that was asked for.
    pub(crate) version: u64,
}

/// Takes in the rows of a page: one of the head, and those of its events.
pub(crate) struct Rows<'a> {
    stream: Option<&'a StreamId>,
    head: Option<Head>,
    events: Vec<RecordedEvent>,
    /// The size of the events so far.
    pub(crate) bytes: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(stream: Option<&'a StreamId>) -> Self {
        Self { stream, head: None, events: Vec::new(), bytes: 0 }
    }

    pub(crate) fn take(&mut self, row: &PgRow) -> Result<(), PageError> {
        match row.try_get::<Option<Time>, _>(3)? {
            Some(time) => self.take_event(row, time),
            None => self.take_head(row),
        }
    }

    fn take_head(&mut self, row: &PgRow) -> Result<(), PageError> {
        refuse_replica(row.try_get::<Option<&str>, _>(4)?.is_some())?;
        let log = LogId::from_uuid(row.try_get::<Id, _>(2)?.0);
        self.head = Some(Head { log, position: number(row.try_get(0)?), version: number(row.try_get(1)?) });
        Ok(())
    }

    fn take_event(&mut self, row: &PgRow, time: Time) -> Result<(), PageError> {
        let log = self.head.ok_or_else(|| corrupt("an event came before the head of its log"))?.log;
        let last = self.events.last();
        let stream = match self.stream {
            Some(stream) => stream.clone(),
            None => same_or(last.map(RecordedEvent::stream), row.try_get(4)?, |name| StreamId::new(name))?,
        };
        let event_type =
            same_or(last.map(RecordedEvent::event_type), row.try_get(5)?, |name| EventType::new(name))?;
        let content_type =
            row.try_get::<Option<&str>, _>(6)?.map(ContentType::new).transpose().map_err(stored)?;
        let data = Bytes::copy_from_slice(row.try_get(7)?);
        let metadata = match row.try_get::<Option<&str>, _>(8)? {
            Some(json) => Metadata::new(json).map_err(stored)?,
            None => Metadata::NONE,
        };
        let id = EventId::from_uuid(row.try_get::<Id, _>(2)?.0);
        let event = backend::event(id, event_type, data, metadata, content_type, tags(row)?);
        self.bytes += event.size();
        let version = Version::new(number(row.try_get(1)?));
        let position = position(log, number(row.try_get(0)?));
        self.events.push(backend::recorded(event, stream, version, position, time.0));
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(Head, Vec<RecordedEvent>), PageError> {
        let head = self.head.ok_or_else(|| corrupt("the schema holds no log"))?;
        Ok((head, self.events))
    }
}

/// The name that the row before had, where this one has the same; one name in memory serves both.
fn same_or<N: Clone + AsRef<str>>(
    last: Option<&N>,
    text: &str,
    make: impl Fn(&str) -> Result<N, Error>,
) -> Result<N, PageError> {
    match last {
        Some(last) if last.as_ref() == text => Ok(last.clone()),
        _ => Ok(make(text).map_err(stored)?),
    }
}

fn tags(row: &PgRow) -> Result<Vec<Tag>, PageError> {
    let Some(texts) = row.try_get::<Option<Vec<String>>, _>(9)? else { return Ok(Vec::new()) };
    let tags = texts.into_iter().map(Tag::new).collect::<Result<_, _>>();
    Ok(tags.map_err(stored)?)
}

/// What is stored breaks a rule that it was checked against when it was appended.
fn stored(error: Error) -> Error {
    Error::new(ErrorKind::Corrupt("a stored event breaks the rules of its kind".into())).with_source(error)
}

fn corrupt(message: &str) -> Error {
    ErrorKind::Corrupt(message.into()).into()
}

/// A replica lags behind, and a read must not (R3).
pub(crate) fn refuse_replica(is_recovering: bool) -> Result<(), Error> {
    let message = "the server is recovering, or a replica: it is read-only and may lag behind";
    if is_recovering { Err(ErrorKind::Misconfigured(message.to_owned()).into()) } else { Ok(()) }
}
