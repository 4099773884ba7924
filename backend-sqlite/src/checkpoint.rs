//! Checkpoints: a row each, with the claim that holds and the place that was saved.

use annalist_core::{
    Checkpoint, CheckpointName, CheckpointStore, Claim, Error, EventId, Fenced, LogId, Owner, Position,
    backend,
};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error;
use crate::log::Seen;
use crate::row::{Id, clamped, number};
use crate::store::SqliteStore;

/// The claim that holds, and the place that was saved.
#[derive(Default)]
struct Claimed {
    epoch: u64,
    checkpoint: Option<Checkpoint>,
}

fn claimed(connection: &Connection, name: &CheckpointName) -> Result<Claimed, Error> {
    const TEXT: &str = "SELECT epoch, log, position, fraction, event FROM checkpoint WHERE name = ?1";
    let mut statement = connection.prepare_cached(TEXT).map_err(error::of_file)?;
    let found = statement.query_row([name.as_str()], |row| {
        let epoch = number(row.get(0)?);
        let Some(log) = row.get::<_, Option<Id>>(1)? else { return Ok(Claimed { epoch, checkpoint: None }) };
        let log = LogId::from_uuid(log.0);
        let place = match (number(row.get(2)?), row.get::<_, u32>(3)?) {
            (0, 0) => Position::START,
            (major, minor) => backend::position(log, major, minor),
        };
        let event = row.get::<_, Option<Id>>(4)?.map(|id| EventId::from_uuid(id.0));
        Ok(Claimed { epoch, checkpoint: Some(backend::checkpoint(place, log, event)) })
    });
    Ok(found.optional().map_err(error::of_file)?.unwrap_or_default())
}

fn store(connection: &Connection, name: &CheckpointName, claimed: &Claimed) -> Result<(), Error> {
    const TEXT: &str = "REPLACE INTO checkpoint (name, epoch, log, position, fraction, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let stored = claimed.checkpoint.as_ref();
    let place = stored.map(|stored| backend::numbers(stored.position));
    let mut statement = connection.prepare_cached(TEXT).map_err(error::of_file)?;
    let values = params![
        name.as_str(),
        clamped(claimed.epoch),
        stored.map(|stored| Id(stored.log.as_uuid())),
        place.map(|(major, _)| clamped(major)),
        place.map(|(_, minor)| minor),
        stored.and_then(|stored| stored.event).map(|event| Id(event.as_uuid())),
    ];
    statement.execute(values).map(drop).map_err(error::of_file)
}

/// A place in the log as it is now.
fn place(connection: &Connection, position: Position) -> Result<Checkpoint, Error> {
    let seen = Seen::by(connection)?;
    backend::check_position(position, seen.log, seen.head())?;
    Ok(backend::checkpoint(position, seen.log, seen.event_at(connection, position)?))
}

/// A stored place, if the log still holds it.
fn verified(connection: &Connection, claimed: &Claimed) -> Result<Option<Checkpoint>, Error> {
    let Some(stored) = &claimed.checkpoint else { return Ok(None) };
    let seen = Seen::by(connection)?;
    let found = seen.event_at(connection, stored.position)?;
    backend::check_checkpoint(stored, seen.log, seen.head(), found)?;
    Ok(Some(stored.clone()))
}

fn claim(connection: &Connection, name: &CheckpointName) -> Result<Claim, Error> {
    let mut claimed = claimed(connection, name)?;
    let checkpoint = verified(connection, &claimed)?;
    claimed.epoch += 1;
    store(connection, name, &claimed)?;
    Ok(backend::claim(backend::owner(name.clone(), claimed.epoch), checkpoint))
}

fn save(connection: &Connection, owner: &Owner, position: Position) -> Result<(), Error> {
    let mut claimed = claimed(connection, owner.name())?;
    if claimed.epoch != owner.epoch() {
        return Err(Fenced::new(owner.name().clone(), owner.epoch(), claimed.epoch).into());
    }
    let next = place(connection, position)?;
    if claimed.checkpoint.as_ref().is_some_and(|stored| position <= stored.position) {
        return Ok(());
    }
    claimed.checkpoint = Some(next);
    store(connection, owner.name(), &claimed)
}

fn reset(connection: &Connection, name: &CheckpointName, position: Position) -> Result<Owner, Error> {
    let next = place(connection, position)?;
    let epoch = claimed(connection, name)?.epoch + 1;
    store(connection, name, &Claimed { epoch, checkpoint: Some(next) })?;
    Ok(backend::owner(name.clone(), epoch))
}

#[async_trait]
impl CheckpointStore for SqliteStore {
    async fn claim_checkpoint(&self, name: &CheckpointName) -> Result<Claim, Error> {
        self.check_open()?;
        let name = name.clone();
        self.decide(move |connection| claim(connection, &name)).await
    }

    async fn save_checkpoint(&self, owner: &Owner, position: Position) -> Result<(), Error> {
        self.check_open()?;
        let owner = owner.clone();
        self.decide(move |connection| save(connection, &owner, position)).await
    }

    async fn load_checkpoint(&self, name: &CheckpointName) -> Result<Option<Checkpoint>, Error> {
        self.check_open()?;
        let name = name.clone();
        self.look(move |connection| verified(connection, &claimed(connection, &name)?)).await
    }

    async fn reset_checkpoint(&self, name: &CheckpointName, position: Position) -> Result<Owner, Error> {
        self.check_open()?;
        let name = name.clone();
        self.decide(move |connection| reset(connection, &name, position)).await
    }
}
