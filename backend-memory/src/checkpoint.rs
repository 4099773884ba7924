//! Checkpoints: a map of claims and places.

use annalist_core::{
    Checkpoint, CheckpointName, CheckpointStore, Claim, Error, Fenced, Owner, Position, backend,
};
use async_trait::async_trait;
use hashbrown::HashMap;

use crate::log::Log;
use crate::store::MemoryStore;

pub(crate) type Checkpoints = HashMap<CheckpointName, Claimed>;

/// The claim that holds, and the place that was saved.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    epoch: u64,
    checkpoint: Option<Checkpoint>,
}

/// A place in the log as it is now.
fn place(log: &Log, position: Position) -> Result<Checkpoint, Error> {
    backend::check_position(position, log.id(), log.head())?;
    Ok(backend::checkpoint(position, log.id(), log.event_at(position)))
}

/// A stored place, if the log still holds it.
fn verified(log: &Log, claimed: &Claimed) -> Result<Option<Checkpoint>, Error> {
    let Some(stored) = &claimed.checkpoint else { return Ok(None) };
    backend::check_checkpoint(stored, log.id(), log.head(), log.event_at(stored.position))?;
    Ok(Some(stored.clone()))
}

#[async_trait]
impl CheckpointStore for MemoryStore {
    async fn claim_checkpoint(&self, name: &CheckpointName) -> Result<Claim, Error> {
        self.check_open()?;
        let (log, mut checkpoints) = (self.log(), self.checkpoints());
        let claimed = checkpoints.entry_ref(name).or_default();
        let checkpoint = verified(&log, claimed)?;
        claimed.epoch += 1;
        Ok(backend::claim(backend::owner(name.clone(), claimed.epoch), checkpoint))
    }

    async fn save_checkpoint(&self, owner: &Owner, position: Position) -> Result<(), Error> {
        self.check_open()?;
        let (log, mut checkpoints) = (self.log(), self.checkpoints());
        let claimed = checkpoints.entry_ref(owner.name()).or_default();
        if claimed.epoch != owner.epoch() {
            return Err(Fenced::new(owner.name().clone(), owner.epoch(), claimed.epoch).into());
        }
        let next = place(&log, position)?;
        if claimed.checkpoint.as_ref().is_none_or(|stored| position > stored.position) {
            claimed.checkpoint = Some(next);
        }
        Ok(())
    }

    async fn load_checkpoint(&self, name: &CheckpointName) -> Result<Option<Checkpoint>, Error> {
        self.check_open()?;
        let (log, checkpoints) = (self.log(), self.checkpoints());
        checkpoints.get(name).map_or(Ok(None), |claimed| verified(&log, claimed))
    }

    async fn reset_checkpoint(&self, name: &CheckpointName, position: Position) -> Result<Owner, Error> {
        self.check_open()?;
        let (log, mut checkpoints) = (self.log(), self.checkpoints());
        let place = place(&log, position)?;
        let claimed = checkpoints.entry_ref(name).or_default();
        claimed.epoch += 1;
        claimed.checkpoint = Some(place);
        Ok(backend::owner(name.clone(), claimed.epoch))
    }
}
