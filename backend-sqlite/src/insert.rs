//! Inserting events. What one has in common with the one before it stays bound, which for a batch is most of it.

use std::time::SystemTime;

use annalist_core::{Error, EventType, NewEvent, StreamId};
use rusqlite::{CachedStatement, Connection, ToSql, params};

use crate::error;
use crate::row::{Id, clamped, joined, micros, number};

/// What the log makes of an event that says nothing of its content.
const CONTENT_TYPE_DEFAULT: &str = "application/json";

/// Where an event stands in its append and in its stream.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// How many events of the append are before it.
    pub(crate) offset: usize,
    /// How many events the append has.
    pub(crate) size: usize,
    pub(crate) version: u64,
}

/// Inserts events in one transaction.
pub(crate) struct Inserter<'c> {
    connection: &'c Connection,
    event: CachedStatement<'c>,
    stream: Option<StreamId>,
    event_type: Option<EventType>,
    /// Whether the columns that most events leave empty were given values.
    has_more: bool,
}

impl<'c> Inserter<'c> {
    pub(crate) fn new(connection: &'c Connection, now: SystemTime) -> Result<Self, Error> {
        // Without a position: SQLite gives the one above the highest, as positions go, and does not look whether it is taken.
        const TEXT: &str = "INSERT INTO event
            (append_offset, append_size, version, id, data, recorded_at, stream, type, content_type, metadata, tags)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let event = connection.prepare_cached(TEXT).map_err(error::of_file)?;
        let mut inserter = Self { connection, event, stream: None, event_type: None, has_more: false };
        inserter.bind(6, micros(now))?;
        Ok(inserter)
    }

    /// Inserts an event; gives the number of its position.
    pub(crate) fn insert(&mut self, stream: &StreamId, place: Place, event: &NewEvent) -> Result<u64, Error> {
        self.bind(1, clamped(place.offset as u64))?;
        self.bind(2, clamped(place.size as u64))?;
        self.bind(3, clamped(place.version))?;
        self.bind(4, Id(event.id().as_uuid()))?;
        self.bind(5, &event.data()[..])?;
        self.bind_names(stream, event.event_type())?;
        self.bind_more(event)?;
        self.event.raw_execute().map_err(error::of_file)?;
        let position = number(self.connection.last_insert_rowid());
        self.insert_tags(position, event)?;
        Ok(position)
    }

    fn bind(&mut self, parameter: usize, value: impl ToSql) -> Result<(), Error> {
        self.event.raw_bind_parameter(parameter, value).map_err(error::of_file)
    }

    fn bind_names(&mut self, stream: &StreamId, event_type: &EventType) -> Result<(), Error> {
        if self.stream.as_ref() != Some(stream) {
            self.bind(7, stream.as_str())?;
            self.stream = Some(stream.clone());
        }
        if self.event_type.as_ref() != Some(event_type) {
            self.bind(8, event_type.as_str())?;
            self.event_type = Some(event_type.clone());
        }
        Ok(())
    }

    fn bind_more(&mut self, event: &NewEvent) -> Result<(), Error> {
        let content_type = Some(event.content_type()).filter(|given| *given != CONTENT_TYPE_DEFAULT);
        let metadata = (!event.metadata().is_none()).then(|| event.metadata().as_str());
        let tags = joined(event.tags());
        let has_more = content_type.is_some() || metadata.is_some() || tags.is_some();
        if has_more || self.has_more {
            self.bind(9, content_type)?;
            self.bind(10, metadata)?;
            self.bind(11, tags)?;
        }
        self.has_more = has_more;
        Ok(())
    }

    fn insert_tags(&self, position: u64, event: &NewEvent) -> Result<(), Error> {
        const TEXT: &str = "INSERT INTO event_tag (tag, position) VALUES (?1, ?2)";
        for tag in event.tags() {
            let mut statement = self.connection.prepare_cached(TEXT).map_err(error::of_file)?;
            statement.execute(params![tag.as_str(), clamped(position)]).map_err(error::of_file)?;
        }
        Ok(())
    }
}
