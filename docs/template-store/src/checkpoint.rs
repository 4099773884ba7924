//! Checkpoints: who may move one, and where it stands.

use std::collections::BTreeMap;

use annalist_core::{
    Checkpoint, CheckpointName, CheckpointStore, Claim, Error, Fenced, Owner, Position, backend,
};
use async_trait::async_trait;

use crate::TemplateStore;
use crate::rows::Rows;

pub(crate) type Checkpoints = BTreeMap<CheckpointName, (u64, Option<Checkpoint>)>;

/// A place, with what will show later whether the log is still the same.
fn place(rows: &Rows, position: Position) -> Result<Checkpoint, Error> {
    backend::check_position(position, rows.log(), rows.head())?;
    Ok(backend::checkpoint(position, rows.log(), rows.event_at(position)))
}

fn verify(rows: &Rows, stored: Option<&Checkpoint>) -> Result<(), Error> {
    stored.map_or(Ok(()), |stored| {
        backend::check_checkpoint(stored, rows.log(), rows.head(), rows.event_at(stored.position))
    })
}

#[async_trait]
impl CheckpointStore for TemplateStore {
    async fn claim_checkpoint(&self, name: &CheckpointName) -> Result<Claim, Error> {
        let mut state = self.state()?;
        let (epoch, stored) = state.checkpoints.get(name).cloned().unwrap_or_default();
        verify(&state.rows, stored.as_ref())?;
        state.checkpoints.insert(name.clone(), (epoch + 1, stored.clone()));
        Ok(backend::claim(backend::owner(name.clone(), epoch + 1), stored))
    }

    async fn save_checkpoint(&self, owner: &Owner, position: Position) -> Result<(), Error> {
        let mut state = self.state()?;
        let (epoch, stored) = state.checkpoints.get(owner.name()).cloned().unwrap_or_default();
        if epoch != owner.epoch() {
            return Err(Fenced::new(owner.name().clone(), owner.epoch(), epoch).into());
        }
        let next = place(&state.rows, position)?;
        if stored.is_none_or(|stored| position > stored.position) {
            state.checkpoints.insert(owner.name().clone(), (epoch, Some(next)));
        }
        Ok(())
    }

    async fn load_checkpoint(&self, name: &CheckpointName) -> Result<Option<Checkpoint>, Error> {
        let state = self.state()?;
        let stored = state.checkpoints.get(name).and_then(|(_, stored)| stored.clone());
        verify(&state.rows, stored.as_ref())?;
        Ok(stored)
    }

    async fn reset_checkpoint(&self, name: &CheckpointName, position: Position) -> Result<Owner, Error> {
        let mut state = self.state()?;
        let next = place(&state.rows, position)?;
        let epoch = state.checkpoints.get(name).map_or(0, |(epoch, _)| *epoch) + 1;
        state.checkpoints.insert(name.clone(), (epoch, Some(next)));
        Ok(backend::owner(name.clone(), epoch))
    }
}
