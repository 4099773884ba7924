//! Checkpoints: a function of the server each.

use annalist_core::{
    Checkpoint, CheckpointName, CheckpointStore, Claim, Error, ErrorKind, EventId, Fenced, LogId, Owner,
    Position, backend,
};
use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query as Call;
use sqlx::{Postgres, Row};

use crate::call::Effect;
use crate::error::of_read;
use crate::log::position;
use crate::row::refuse_replica;
use crate::store::PostgresStore;
use crate::types::{Id, clamped};
use crate::verdict::number;

/// The state of the log that a function saw.
struct Seen {
    log: LogId,
    head: Position,
    is_done: bool,
}

fn seen(row: &PgRow) -> Result<Seen, sqlx::Error> {
    let log = LogId::from_uuid(row.try_get::<Id, _>("log")?.0);
    Ok(Seen { log, head: position(log, number(row.try_get("head")?)), is_done: row.try_get("done")? })
}

/// What stands in a checkpoint, and whether it is a place of the log as it is now.
fn stored(row: &PgRow, seen: &Seen) -> Result<Option<Checkpoint>, Error> {
    let read = || -> Result<_, sqlx::Error> {
        let event = |name| {
            Ok::<_, sqlx::Error>(row.try_get::<Option<Id>, _>(name)?.map(|id| EventId::from_uuid(id.0)))
        };
        let Some(log) = row.try_get::<Option<Id>, _>("stored_log")? else { return Ok(None) };
        let log = LogId::from_uuid(log.0);
        let place = place(log, row.try_get("stored_position")?, row.try_get("stored_fraction")?);
        Ok(Some((backend::checkpoint(place, log, event("stored_event")?), event("found_event")?)))
    };
    let Some((checkpoint, found)) = read().map_err(of_read)? else { return Ok(None) };
    backend::check_checkpoint(&checkpoint, seen.log, seen.head, found)?;
    Ok(Some(checkpoint))
}

/// A position as it was saved: it may be one between two events.
fn place(log: LogId, position: i64, fraction: i32) -> Position {
    match (number(position), u32::try_from(fraction).unwrap_or_default()) {
        (0, 0) => Position::START,
        (major, minor) => backend::position(log, major, minor),
    }
}

fn fraction(minor: u32) -> i32 {
    i32::try_from(minor).unwrap_or(i32::MAX)
}

fn epoch(row: &PgRow) -> Result<u64, Error> {
    Ok(number(row.try_get::<Option<i64>, _>("epoch").map_err(of_read)?.unwrap_or_default()))
}

/// A save of a place: the name, the epoch, the log and the position, as the function takes them.
pub(crate) const SAVE: &str = "SELECT * FROM {schema}.save_v1($1, $2, $3, $4, $5)";

pub(crate) fn save<'q>(
    text: &'q str,
    owner: &'q Owner,
    log: LogId,
    place: Position,
) -> Call<'q, Postgres, PgArguments> {
    let (major, minor) = backend::numbers(place);
    sqlx::query(sqlx::AssertSqlSafe(text.to_owned()))
        .bind(owner.name().as_str())
        .bind(clamped(owner.epoch()))
        .bind(Id(log.as_uuid()))
        .bind(clamped(major))
        .bind(fraction(minor))
}

/// What a save was answered. `None`: it must be sent again, because the log is another one than the caller took it for.
pub(crate) fn saved(row: &PgRow, owner: &Owner, place: Position, log: LogId) -> Result<Option<LogId>, Error> {
    let seen = seen(row).map_err(of_read)?;
    let current = epoch(row)?;
    if current != owner.epoch() {
        return Err(Fenced::new(owner.name().clone(), owner.epoch(), current).into());
    }
    if seen.is_done {
        return Ok(None);
    }
    backend::check_position(place, seen.log, seen.head)?;
    if seen.log == log {
        return Err(ErrorKind::Corrupt("a checkpoint was not saved, without a reason".to_owned()).into());
    }
    Ok(Some(seen.log))
}

#[async_trait]
impl CheckpointStore for PostgresStore {
    async fn claim_checkpoint(&self, name: &CheckpointName) -> Result<Claim, Error> {
        self.check_open()?;
        const TEXT: &str = "SELECT * FROM {schema}.claim_v1($1)";
        let row = self.ask_one(sqlx::query(self.fill(TEXT)).bind(name.as_str()), Effect::Writes).await?;
        let seen = seen(&row).map_err(of_read)?;
        let checkpoint = stored(&row, &seen)?;
        Ok(backend::claim(backend::owner(name.clone(), epoch(&row)?), checkpoint))
    }

    async fn save_checkpoint(&self, owner: &Owner, place: Position) -> Result<(), Error> {
        self.check_open()?;
        let (text, mut log) = (self.0.schema.fill(SAVE), self.log_of(place));
        loop {
            let row = self.ask_one(save(&text, owner, log, place), Effect::Writes).await?;
            match saved(&row, owner, place, log)? {
                None => return Ok(()),
                Some(other) => log = other,
            }
        }
    }

    async fn load_checkpoint(&self, name: &CheckpointName) -> Result<Option<Checkpoint>, Error> {
        self.check_open()?;
        const TEXT: &str = "SELECT l.id AS log, l.head, pg_is_in_recovery() AS done, c.log AS stored_log, c.position AS stored_position, c.fraction AS stored_fraction,
                c.event AS stored_event, {schema}.event_at_v1(c.position) AS found_event
            FROM {schema}.log_state l LEFT JOIN {schema}.checkpoint c ON c.name = $1";
        let row = self.ask_one(sqlx::query(self.fill(TEXT)).bind(name.as_str()), Effect::Reads).await?;
        let seen = seen(&row).map_err(of_read)?;
        refuse_replica(seen.is_done)?;
        stored(&row, &seen)
    }

    async fn reset_checkpoint(&self, name: &CheckpointName, place: Position) -> Result<Owner, Error> {
        self.check_open()?;
        const TEXT: &str = "SELECT * FROM {schema}.reset_v1($1, $2, $3, $4)";
        let (mut log, (major, minor)) = (self.log_of(place), backend::numbers(place));
        loop {
            let call = sqlx::query(self.fill(TEXT)).bind(name.as_str()).bind(Id(log.as_uuid()));
            let call = call.bind(clamped(major)).bind(fraction(minor));
            let row = self.ask_one(call, Effect::Writes).await?;
            let seen = seen(&row).map_err(of_read)?;
            if seen.is_done {
                return Ok(backend::owner(name.clone(), epoch(&row)?));
            }
            backend::check_position(place, seen.log, seen.head)?;
            log = seen.log;
        }
    }
}

impl PostgresStore {
    /// The log that a place is taken to be of; none at all where it is of another than this one.
    pub(crate) fn log_of(&self, place: Position) -> LogId {
        let log = self.log();
        if backend::is_of(place, log) { log } else { LogId::from_uuid(uuid::Uuid::nil()) }
    }
}
