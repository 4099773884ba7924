//! The facts about the log that admission asks for, in the transaction that commits what it accepts.

use std::cell::RefCell;
use std::time::SystemTime;

use annalist_core::{Append, Error, EventId, NewEvent, Position, Query, Receipt, StreamId, Version, backend};
use annalist_engine::admission::{Facts, Stored, Verdict, admit};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error;
use crate::insert::{Inserter, Place};
use crate::log::Seen;
use crate::query;
use crate::row::{EVENT, Id, Rows, number};

/// The log in a transaction that has the lock: nobody else changes it.
pub(crate) struct Locked<'c> {
    connection: &'c Connection,
    seen: Seen,
    /// The highest id that stands in the log. Ids are mostly made in the order of time, and one above it need not be looked for.
    highest: Option<Id>,
    /// Made for the first append that is accepted.
    inserter: Option<Inserter<'c>>,
    /// The stream that was looked at last, and its version: it is asked for to decide, and again to write.
    last: RefCell<Option<(StreamId, Version)>>,
}

impl<'c> Locked<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Result<Self, Error> {
        let (seen, highest) = Seen::with_highest(connection)?;
        Ok(Self { connection, seen, highest, inserter: None, last: RefCell::default() })
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
        let mut inserter = match self.inserter.take() {
            Some(inserter) => inserter,
            None => Inserter::new(self.connection, SystemTime::now())?,
        };
        let (mut offset, size) = (0, append.event_count());
        let mut written = Vec::with_capacity(append.writes().len());
        for write in append.writes().iter().filter(|write| !write.events.is_empty()) {
            let before = self.version(&write.stream)?;
            let mut version = before;
            let mut positions = Vec::with_capacity(write.events.len());
            for event in &write.events {
                version = version.next();
                let place = Place { offset, size, version: version.get() };
                self.seen.head = inserter.insert(&write.stream, place, event)?;
                self.highest = self.highest.max(Some(Id(event.id().as_uuid())));
                positions.push(self.seen.head());
                offset += 1;
            }
            self.last.replace(Some((write.stream.clone(), version)));
            written.push(backend::written(write.stream.clone(), before.next(), positions));
        }
        self.inserter = Some(inserter);
        Ok(backend::receipt(false, written))
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
        let mut last = self.last.borrow_mut();
        if let Some((_, version)) = last.as_ref().filter(|(name, _)| name == stream) {
            return Ok(*version);
        }
        let version = version(self.connection, stream)?;
        *last = Some((stream.clone(), version));
        Ok(version)
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
