//! The facts about the log that admission asks for, in the transaction that commits what it accepts.

use std::time::SystemTime;

use annalist_core::{Append, Error, EventId, NewEvent, Position, Query, Receipt, StreamId, Version, backend};
use annalist_engine::admission::{Facts, Stored, Verdict, admit};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error;
use crate::log::Seen;
use crate::query;
use crate::row::{EVENT, Id, Rows, clamped, joined, micros, number};

/// The log in a transaction that has the lock: nobody else changes it.
pub(crate) struct Locked<'c> {
    connection: &'c Connection,
    seen: Seen,
    /// The highest id that stands in the log. Ids are mostly made in the order of time, and one above it need not be looked for.
    highest: Option<Id>,
    now: SystemTime,
}

/// What the log makes of an event that says nothing of its content.
const CONTENT_TYPE_DEFAULT: &str = "application/json";

impl<'c> Locked<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Result<Self, Error> {
        const HIGHEST: &str = "SELECT id FROM event INDEXED BY event_id ORDER BY id DESC LIMIT 1";
        let seen = Seen::by(connection)?;
        let mut statement = connection.prepare_cached(HIGHEST).map_err(error::of_file)?;
        let highest = statement.query_row([], |row| row.get(0)).optional().map_err(error::of_file)?;
        Ok(Self { connection, seen, highest, now: SystemTime::now() })
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen
    }

    pub(crate) fn append(&mut self, append: &Append) -> Result<Result<Receipt, Error>, Error> {
        match admit(append, self)? {
            Verdict::Accepted => self.insert(append).map(Ok),
            Verdict::AlreadyCommitted(receipt) => Ok(Ok(receipt)),
            Verdict::Refused(refusal) => Ok(Err(refusal)),
        }
    }

    fn insert(&mut self, append: &Append) -> Result<Receipt, Error> {
        const TEXT: &str = "INSERT INTO event
            (position, append_offset, append_size, version, id, recorded_at, stream, type, content_type, data, metadata, tags)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let mut statement = self.connection.prepare_cached(TEXT).map_err(error::of_file)?;
        let (mut offset, size, now) = (0_i64, append.event_count() as i64, micros(self.now));
        let mut written = Vec::with_capacity(append.writes().len());
        for write in append.writes().iter().filter(|write| !write.events.is_empty()) {
            let first = self.version(&write.stream)?.next();
            let mut version = clamped(first.get());
            let mut positions = Vec::with_capacity(write.events.len());
            for event in &write.events {
                let position = self.seen.head + 1;
                let id = Id(event.id().as_uuid());
                let content_type = Some(event.content_type()).filter(|given| *given != CONTENT_TYPE_DEFAULT);
                let metadata = (!event.metadata().is_none()).then(|| event.metadata().as_str());
                let inserted = statement.execute(params![
                    clamped(position),
                    offset,
                    size,
                    version,
                    id,
                    now,
                    write.stream.as_str(),
                    event.event_type().as_str(),
                    content_type,
                    &event.data()[..],
                    metadata,
                    joined(event.tags()),
                ]);
                inserted.map_err(error::of_file)?;
                self.insert_tags(position, event)?;
                self.seen.head = position;
                self.highest = self.highest.max(Some(id));
                positions.push(self.seen.head());
                (offset, version) = (offset + 1, version + 1);
            }
            written.push(backend::written(write.stream.clone(), first, positions));
        }
        Ok(backend::receipt(false, written))
    }

    fn insert_tags(&self, position: u64, event: &NewEvent) -> Result<(), Error> {
        const TEXT: &str = "INSERT INTO event_tag (tag, position) VALUES (?1, ?2)";
        for tag in event.tags() {
            let mut statement = self.connection.prepare_cached(TEXT).map_err(error::of_file)?;
            statement.execute(params![tag.as_str(), clamped(position)]).map_err(error::of_file)?;
        }
        Ok(())
    }

    fn look_up(&self, stream: &StreamId, id: EventId, event: &NewEvent) -> Result<Option<Stored>, Error> {
        let text = format!(
            "SELECT {EVENT}, append_offset, append_size FROM event INDEXED BY event_id WHERE id = ?1 AND stream = ?2"
        );
        let mut statement = self.connection.prepare_cached(&text).map_err(error::of_file)?;
        let mut found =
            statement.query(params![Id(id.as_uuid()), stream.as_str()]).map_err(error::of_file)?;
        let Some(row) = found.next().map_err(error::of_file)? else { return Ok(None) };
        let extent = || Ok((number(row.get(10)?), number(row.get(11)?)));
        let (offset, size) = extent().map_err(error::of_file)?;
        let stored = Rows::of(self.seen.log).event(row)?;
        let (position, _) = backend::numbers(stored.position());
        Ok(Some(Stored {
            version: stored.version(),
            position: stored.position(),
            append_first: self.seen.position(position.saturating_sub(offset)),
            append_events: usize::try_from(size).unwrap_or(usize::MAX),
            same_content: stored.event().same_content(event),
        }))
    }
}

impl Facts for Locked<'_> {
    fn version(&self, stream: &StreamId) -> Result<Version, Error> {
        version(self.connection, stream)
    }

    fn stored(&self, stream: &StreamId, event: &NewEvent) -> Result<Option<Stored>, Error> {
        let id = event.id();
        if self.highest.is_none_or(|highest| Id(id.as_uuid()) > highest) {
            return Ok(None);
        }
        self.look_up(stream, id, event)
    }

    fn first_match(&self, query: &Query, after: Position) -> Result<Option<Position>, Error> {
        backend::check_position(after, self.seen.log, self.seen.head())?;
        query::first_match(self.connection, self.seen, query, after)
    }
}

/// The version of a stream: that of its newest event.
pub(crate) fn version(connection: &Connection, stream: &StreamId) -> Result<Version, Error> {
    const TEXT: &str =
        "SELECT version FROM event INDEXED BY event_version WHERE stream = ?1 ORDER BY version DESC LIMIT 1";
    let mut statement = connection.prepare_cached(TEXT).map_err(error::of_file)?;
    let found =
        statement.query_row([stream.as_str()], |row| row.get(0)).optional().map_err(error::of_file)?;
    Ok(found.map_or(Version::NONE, |version| Version::new(number(version))))
}
