//! Checkpoints: an item each, put whole on condition that it is still what was read.

use annalist_core::{
    Checkpoint, CheckpointName, CheckpointStore, Claim, Error, ErrorKind, EventId, Fenced, LogId, Owner,
    Position, backend,
};
use async_trait::async_trait;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::Instant;
use uuid::Uuid;

use crate::store::DynamoStore;
use crate::table::{Condition, Item};

mod attribute {
    pub(super) const EPOCH: &str = "e";
    /// What tells each put from every other: a claim that has read an older one must not undo a save.
    pub(super) const TOKEN: &str = "t";
    pub(super) const POSITION: &str = "p";
    pub(super) const LOG: &str = "l";
    pub(super) const EVENT: &str = "i";
}

/// What stands in an item.
struct Stored {
    epoch: u64,
    token: Uuid,
    checkpoint: Option<Checkpoint>,
}

fn stored(item: &Item) -> Result<Stored, Error> {
    let checkpoint = if item.has(attribute::POSITION) {
        let position: Result<Position, Error> = item.get_text(attribute::POSITION)?.parse();
        let position = position.map_err(|error| Error::new(unreadable(item)).with_source(error))?;
        let event = if item.has(attribute::EVENT) { Some(item.get_id(attribute::EVENT)?) } else { None };
        let log = LogId::from_uuid(item.get_id(attribute::LOG)?);
        Some(backend::checkpoint(position, log, event.map(EventId::from_uuid)))
    } else {
        None
    };
    Ok(Stored {
        epoch: item.get_number(attribute::EPOCH)?,
        token: item.get_id(attribute::TOKEN)?,
        checkpoint,
    })
}

fn unreadable(item: &Item) -> ErrorKind {
    ErrorKind::Corrupt(format!("the checkpoint {:?} cannot be understood", item.key))
}

/// The texts of positions sort as they do, so that the service can compare them.
fn text(position: Position) -> AttributeValue {
    AttributeValue::S(position.to_string())
}

fn epoch(epoch: u64) -> (&'static str, AttributeValue) {
    (attribute::EPOCH, AttributeValue::N(epoch.to_string()))
}

fn token(token: Uuid) -> (&'static str, AttributeValue) {
    (attribute::TOKEN, AttributeValue::B(Blob::new(*token.as_bytes())))
}

impl DynamoStore {
    fn checkpoint_item(&self, name: &CheckpointName, stored: &Stored) -> Item {
        let item = Item::new(self.0.log.keys.checkpoint(name))
            .number(attribute::EPOCH, stored.epoch)
            .id(attribute::TOKEN, stored.token);
        let Some(checkpoint) = &stored.checkpoint else { return item };
        let item = item
            .text(attribute::POSITION, checkpoint.position.to_string())
            .id(attribute::LOG, checkpoint.log.as_uuid());
        match checkpoint.event {
            Some(event) => item.id(attribute::EVENT, event.as_uuid()),
            None => item,
        }
    }

    async fn stored(&self, name: &CheckpointName, deadline: Instant) -> Result<Option<Stored>, Error> {
        let item = self.0.log.requests.get(&self.0.log.keys.checkpoint(name), deadline).await?;
        item.as_ref().map(stored).transpose()
    }

    /// The place in the log as it is now.
    async fn place(&self, position: Position, deadline: Instant) -> Result<Checkpoint, Error> {
        let log = &self.0.log;
        if backend::check_position(position, log.id(), log.head()).is_err() || log.is_in_doubt() {
            log.sync(deadline).await?;
        }
        backend::check_position(position, log.id(), log.head())?;
        Ok(backend::checkpoint(position, log.id(), log.event_at(position, deadline).await?))
    }

    /// Refuses a stored place that the log does not hold any more.
    async fn verified(
        &self,
        stored: Option<Checkpoint>,
        deadline: Instant,
    ) -> Result<Option<Checkpoint>, Error> {
        let Some(checkpoint) = stored else { return Ok(None) };
        let log = &self.0.log;
        log.sync(deadline).await?;
        let (id, head) = (log.id(), log.head());
        // Only a position of this log can be looked up.
        let is_within =
            checkpoint.log == id && backend::check_position(checkpoint.position, id, head).is_ok();
        let found = if is_within { log.event_at(checkpoint.position, deadline).await? } else { None };
        backend::check_checkpoint(&checkpoint, id, head, found)?;
        Ok(Some(checkpoint))
    }

    /// Puts the next epoch in the place of what was read; `false` where somebody has claimed or saved since.
    async fn replace(
        &self,
        name: &CheckpointName,
        read: Option<&Stored>,
        next: &Stored,
        deadline: Instant,
    ) -> Result<bool, Error> {
        let item = self.checkpoint_item(name, next);
        let condition = match read {
            Some(read) => Condition { equal: Some(token(read.token)), below: None },
            None => Condition::ABSENT,
        };
        match self.0.log.requests.put_if(&item, &condition, deadline).await? {
            Ok(()) => Ok(true),
            // An attempt whose answer was lost has done it.
            Err(Some(there)) => Ok(stored(&there)?.token == next.token),
            Err(None) => Ok(false),
        }
    }
}

#[async_trait]
impl CheckpointStore for DynamoStore {
    async fn claim_checkpoint(&self, name: &CheckpointName) -> Result<Claim, Error> {
        self.check_open()?;
        let deadline = self.deadline();
        loop {
            let read = self.stored(name, deadline).await?;
            let checkpoint = read.as_ref().and_then(|read| read.checkpoint.clone());
            let checkpoint = self.verified(checkpoint, deadline).await?;
            let epoch = read.as_ref().map_or(0, |read| read.epoch) + 1;
            let next = Stored { epoch, token: Uuid::now_v7(), checkpoint: checkpoint.clone() };
            if self.replace(name, read.as_ref(), &next, deadline).await? {
                return Ok(backend::claim(backend::owner(name.clone(), epoch), checkpoint));
            }
        }
    }

    async fn save_checkpoint(&self, owner: &Owner, position: Position) -> Result<(), Error> {
        self.check_open()?;
        let deadline = self.deadline();
        let Some(read) = self.stored(owner.name(), deadline).await? else {
            return Err(Fenced::new(owner.name().clone(), owner.epoch(), 0).into());
        };
        if read.epoch != owner.epoch() {
            return Err(Fenced::new(owner.name().clone(), owner.epoch(), read.epoch).into());
        }
        let checkpoint = Some(self.place(position, deadline).await?);
        let next = Stored { epoch: read.epoch, token: Uuid::now_v7(), checkpoint };
        let item = self.checkpoint_item(owner.name(), &next);
        let condition = Condition {
            equal: Some(epoch(owner.epoch())),
            below: Some((attribute::POSITION, text(position))),
        };
        let current = match self.0.log.requests.put_if(&item, &condition, deadline).await? {
            Ok(()) => return Ok(()),
            Err(there) => there.as_ref().map(stored).transpose()?.map_or(0, |there| there.epoch),
        };
        if current == owner.epoch() {
            // It stands there, or a later one does.
            return Ok(());
        }
        Err(Fenced::new(owner.name().clone(), owner.epoch(), current).into())
    }

    async fn load_checkpoint(&self, name: &CheckpointName) -> Result<Option<Checkpoint>, Error> {
        self.check_open()?;
        let deadline = self.deadline();
        let stored = self.stored(name, deadline).await?;
        self.verified(stored.and_then(|stored| stored.checkpoint), deadline).await
    }

    async fn reset_checkpoint(&self, name: &CheckpointName, position: Position) -> Result<Owner, Error> {
        self.check_open()?;
        let deadline = self.deadline();
        loop {
            let place = self.place(position, deadline).await?;
            let read = self.stored(name, deadline).await?;
            let epoch = read.as_ref().map_or(0, |read| read.epoch) + 1;
            let next = Stored { epoch, token: Uuid::now_v7(), checkpoint: Some(place) };
            if self.replace(name, read.as_ref(), &next, deadline).await? {
                return Ok(backend::owner(name.clone(), epoch));
            }
        }
    }
}
