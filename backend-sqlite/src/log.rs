//! What a handle knows of its log, and what a transaction sees of it.

use std::sync::{PoisonError, RwLock};

use annalist_core::{Error, EventId, LogId, Position, backend};
use annalist_engine::{HeadWatch, Pace};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::error;
use crate::row::{Id, number};

/// The identity of the log as the file told it last, and the watch of its head. The identity changes only where somebody puts another log in
/// the place of this one.
#[derive(Debug)]
pub(crate) struct Log {
    known: RwLock<(LogId, HeadWatch)>,
}

impl Log {
    pub(crate) fn new(id: LogId) -> Self {
        Self { known: RwLock::new((id, HeadWatch::of(id))) }
    }

    pub(crate) fn id(&self) -> LogId {
        self.known.read().unwrap_or_else(PoisonError::into_inner).0
    }

    fn watch(&self) -> HeadWatch {
        self.known.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Takes in which log the file says this is.
    pub(crate) fn learn(&self, id: LogId) {
        if id != self.id() {
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = (id, HeadWatch::of(id));
        }
    }

    /// Wakes whoever waits for more than there was.
    pub(crate) fn grown_to(&self, head: Position) {
        self.watch().grown_to(head);
    }

    pub(crate) async fn wait<L>(&self, than: Position, pace: Pace, look: impl Fn() -> L) -> Result<(), Error>
    where
        L: Future<Output = Result<Position, Error>>,
    {
        self.watch().wait(than, pace, look).await
    }
}

/// The log as one transaction sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) log: LogId,
    /// The number of the newest position.
    pub(crate) head: u64,
}

impl Seen {
    pub(crate) fn by(connection: &Connection) -> Result<Self, Error> {
        const TEXT: &str = "SELECT id, coalesce((SELECT max(position) FROM event), 0) FROM log";
        let mut statement = connection.prepare_cached(TEXT).map_err(error::of_file)?;
        statement.query_row([], Self::of).map_err(error::of_file)
    }

    /// The same, and the highest id in the log.
    pub(crate) fn with_highest(connection: &Connection) -> Result<(Self, Option<Id>), Error> {
        const TEXT: &str = "SELECT id, coalesce((SELECT max(position) FROM event), 0),
            (SELECT id FROM event INDEXED BY event_id ORDER BY id DESC LIMIT 1) FROM log";
        let mut statement = connection.prepare_cached(TEXT).map_err(error::of_file)?;
        let seen = statement.query_row([], |row| Ok((Self::of(row)?, row.get(2)?)));
        seen.map_err(error::of_file)
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { log: LogId::from_uuid(row.get::<_, Id>(0)?.0), head: number(row.get(1)?) })
    }

    pub(crate) fn position(self, number: u64) -> Position {
        position(self.log, number)
    }

    pub(crate) fn head(self) -> Position {
        self.position(self.head)
    }

    /// The event at or before a position.
    pub(crate) fn event_at(self, connection: &Connection, place: Position) -> Result<Option<EventId>, Error> {
        const TEXT: &str = "SELECT id FROM event WHERE position <= ?1 ORDER BY position DESC LIMIT 1";
        let (major, _) = backend::numbers(place);
        let mut statement = connection.prepare_cached(TEXT).map_err(error::of_file)?;
        let found = statement.query_row([crate::row::clamped(major)], |row| row.get::<_, Id>(0)).optional();
        Ok(found.map_err(error::of_file)?.map(|id| EventId::from_uuid(id.0)))
    }
}

/// The position with a number; 0 is before every event.
pub(crate) fn position(log: LogId, number: u64) -> Position {
    if number == 0 { Position::START } else { backend::position(log, number, 0) }
}
