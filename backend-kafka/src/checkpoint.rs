//! Checkpoints: commands that the fold decides.

use annalist_core::{
    Checkpoint, CheckpointName, CheckpointStore, Claim, Error, EventId, LogId, Owner, Position, backend,
};
use async_trait::async_trait;

use crate::codec::{Malformed, Reader, put_number, put_position};
use crate::error::internal;
use crate::fold::Verdict;
use crate::local::{Local, Table};
use crate::record::Body;
use crate::store::KafkaStore;

/// The claim that holds, and the place that was saved with the event at or before it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Claimed {
    pub(crate) epoch: u64,
    pub(crate) place: Option<(Position, Option<EventId>)>,
}

impl Claimed {
    pub(crate) fn load(local: &Local, name: &CheckpointName) -> Result<Self, Error> {
        let Some(value) = local.get(Table::Checkpoints, name.as_str().as_bytes())? else {
            return Ok(Self::default());
        };
        Ok(Self::of(&mut Reader::new(value))?)
    }

    fn of(reader: &mut Reader) -> Result<Self, Malformed> {
        let epoch = reader.number()?;
        if reader.is_at_end() {
            return Ok(Self { epoch, place: None });
        }
        let position = reader.position()?;
        let event = match reader.byte()? {
            0 => None,
            _ => Some(EventId::from_uuid(reader.uuid()?)),
        };
        reader.end()?;
        Ok(Self { epoch, place: Some((position, event)) })
    }

    pub(crate) fn value(&self) -> Vec<u8> {
        let mut value = Vec::new();
        put_number(&mut value, self.epoch);
        if let Some((position, event)) = &self.place {
            put_position(&mut value, *position);
            match event {
                None => value.push(0),
                Some(event) => {
                    value.push(1);
                    value.extend_from_slice(event.as_uuid().as_bytes());
                }
            }
        }
        value
    }

    /// It needs no look at the log: it stands in the log itself, behind the event that it names, and goes wherever that goes.
    pub(crate) fn checkpoint(&self, log: LogId) -> Option<Checkpoint> {
        self.place.map(|(position, event)| backend::checkpoint(position, log, event))
    }
}

fn another(verdict: &Verdict) -> Error {
    internal(&format!("the fold gave another verdict than was asked for: {verdict:?}"))
}

#[async_trait]
impl CheckpointStore for KafkaStore {
    async fn claim_checkpoint(&self, name: &CheckpointName) -> Result<Claim, Error> {
        match self.command(&Body::Claim { name: name.clone() }).await? {
            Verdict::Claim(claim) => Ok(claim),
            verdict => Err(another(&verdict)),
        }
    }

    async fn save_checkpoint(&self, owner: &Owner, position: Position) -> Result<(), Error> {
        let body = Body::Save { name: owner.name().clone(), epoch: owner.epoch(), position };
        match self.command(&body).await? {
            Verdict::Save(answer) => answer,
            verdict => Err(another(&verdict)),
        }
    }

    async fn load_checkpoint(&self, name: &CheckpointName) -> Result<Option<Checkpoint>, Error> {
        let name = name.clone();
        let log = self.log();
        self.look(move |local| Ok(Claimed::load(local, &name)?.checkpoint(log))).await
    }

    async fn reset_checkpoint(&self, name: &CheckpointName, position: Position) -> Result<Owner, Error> {
        match self.command(&Body::Reset { name: name.clone(), position }).await? {
            Verdict::Reset(answer) => answer,
            verdict => Err(another(&verdict)),
        }
    }
}
