//! The raw side: what a good user of the driver would write who knows his streams. It calls SQLite where it stands, without a thread in between, one
//! caller at a time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annalist_core::{EventId, LogId, RecordedEvent};
use annalist_sqlite::rusqlite::{Connection, ErrorCode, Params, TransactionBehavior, params};
use tokio::time::sleep;

use super::row::Rows;
use crate::payload::{number, payload};
use crate::subject::{Expected, Follow, Result, Subject, Verdict};

/// Columns and indexes as Annalist has them.
pub(super) const TABLE: &str = "
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    append_offset INTEGER NOT NULL,
    append_size INTEGER NOT NULL,
    version INTEGER NOT NULL,
    id BLOB NOT NULL,
    recorded_at INTEGER NOT NULL,
    stream TEXT NOT NULL,
    category TEXT NOT NULL AS (substr(stream, 1, instr(stream || '-', '-') - 1)) VIRTUAL,
    type TEXT NOT NULL,
    content_type TEXT,
    data BLOB NOT NULL,
    metadata TEXT,
    tags TEXT
) STRICT;
CREATE UNIQUE INDEX event_version ON event (stream, version);
CREATE UNIQUE INDEX event_id ON event (id, stream);
CREATE INDEX event_type ON event (type);
CREATE INDEX event_category ON event (category);
";

const INSERT: &str =
    "INSERT INTO event (append_offset, append_size, version, id, recorded_at, stream, type, data)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const STREAM: &str =
    "SELECT position, version, id, recorded_at, stream, type, content_type, data, metadata, tags
    FROM event WHERE stream = ?1 ORDER BY version";
const PAGE: &str =
    "SELECT position, version, id, recorded_at, stream, type, content_type, data, metadata, tags
    FROM event WHERE position > ?1 ORDER BY position LIMIT 1000";
const TYPE: &str = "BenchmarkTicked";

/// How often the tail asks.
const INTERVAL: Duration = Duration::from_millis(2);

pub(super) fn connect(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
    connection.busy_timeout(Duration::from_secs(30))?;
    Ok(connection)
}

pub(crate) struct RawSqlite {
    file: PathBuf,
    log: LogId,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl RawSqlite {
    pub(super) fn open(file: PathBuf) -> Result<Self> {
        let [writer, reader] = [connect(&file)?, connect(&file)?].map(Mutex::new);
        Ok(Self { file, log: LogId::new(), writer, reader })
    }

    fn read(&self, text: &str, values: impl Params) -> Result<Vec<RecordedEvent>> {
        collect(&lock(&self.reader), text, values, self.log)
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn collect(
    connection: &Connection,
    text: &str,
    values: impl Params,
    log: LogId,
) -> Result<Vec<RecordedEvent>> {
    let mut statement = connection.prepare_cached(text)?;
    let (mut found, mut rows) = (statement.query(values)?, Rows::of(log));
    while let Some(row) = found.next()? {
        rows.take(row)?;
    }
    Ok(rows.events)
}

/// An insert that is ready to be sent.
pub(crate) struct Insert {
    stream: Arc<str>,
    /// The version before it: who writes to a stream alone counts for himself.
    version: i64,
    events: Vec<([u8; 16], Vec<u8>)>,
}

impl Insert {
    fn run(&self, connection: &Connection) -> annalist_sqlite::rusqlite::Result<()> {
        let mut insert = connection.prepare_cached(INSERT)?;
        let (size, now) = (self.events.len() as i64, super::row::now());
        for ((id, data), offset) in self.events.iter().zip(0_i64..) {
            let version = self.version + offset + 1;
            insert.execute(params![offset, size, version, id, now, &*self.stream, TYPE, data])?;
        }
        Ok(())
    }

    fn commit(&self, connection: &mut Connection) -> annalist_sqlite::rusqlite::Result<()> {
        // A single statement is a transaction of its own.
        if self.events.len() == 1 {
            return self.run(connection);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.run(&transaction)?;
        transaction.commit()
    }
}

impl Subject for RawSqlite {
    const NAME: &'static str = "raw";
    type Append = Insert;
    type Follower = Poll;

    fn prepare(&self, stream: &str, expected: Expected, first: u64, events: u64) -> Result<Insert> {
        let version = match expected {
            Expected::Version(version) => version,
            Expected::Any => first,
        };
        let event = |n| (*EventId::new().as_uuid().as_bytes(), payload(n));
        Ok(Insert {
            stream: stream.into(),
            // The number of the very last event is beyond what a version can be.
            version: i64::try_from(version).unwrap_or(i64::MAX - 1),
            events: (first..first + events).map(event).collect(),
        })
    }

    async fn append(&self, insert: Insert) -> Result<Verdict> {
        match insert.commit(&mut lock(&self.writer)) {
            Ok(()) => Ok(Verdict::Written),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Ok(Verdict::Conflict)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn version(&self, stream: &str) -> Result<u64> {
        let reader = lock(&self.reader);
        let mut statement =
            reader.prepare_cached("SELECT coalesce(max(version), 0) FROM event WHERE stream = ?1")?;
        let version: i64 = statement.query_row([stream], |row| row.get(0))?;
        Ok(u64::try_from(version)?)
    }

    async fn read_stream(&self, stream: &str) -> Result<u64> {
        Ok(self.read(STREAM, [stream])?.len() as u64)
    }

    async fn read_log(&self) -> Result<u64> {
        let (mut count, mut after) = (0, 0);
        loop {
            let events = self.read(PAGE, [after])?;
            count += events.len() as u64;
            match events.last() {
                Some(last) => after = Rows::position(last),
                None => return Ok(count),
            }
        }
    }

    async fn follow(&self) -> Result<Poll> {
        let connection = Mutex::new(connect(&self.file)?);
        Ok(Poll { connection, log: self.log, after: 0, events: Vec::new().into_iter() })
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// A tail that asks again and again what has a higher position than the last: one writer at a time makes that enough.
pub(crate) struct Poll {
    connection: Mutex<Connection>,
    log: LogId,
    after: i64,
    events: std::vec::IntoIter<RecordedEvent>,
}

impl Follow for Poll {
    async fn next(&mut self) -> Result<u64> {
        loop {
            if let Some(event) = self.events.next() {
                return Ok(number(event.data()).ok_or("an event without a number")?);
            }
            let events = collect(&lock(&self.connection), PAGE, [self.after], self.log)?;
            match events.last() {
                Some(last) => self.after = Rows::position(last),
                None => sleep(INTERVAL).await,
            }
            self.events = events.into_iter();
        }
    }
}
