//! Remote stores with one flaw: the honest client, with some of its operations done wrongly.

use std::fmt;
use std::sync::Arc;

use annalist_conformance::Opened;
use annalist_core::{
    Append, Capabilities, Checkpoint, CheckpointName, CheckpointStore, Claim, Error, EventStore, Owner, Page,
    Position, Read, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Subscribe, Subscription, Version,
};
use async_trait::async_trait;

use super::RemoteStore;
use crate::faulty::{Answer, MakeSender, Sender};

/// One flaw: what is done wrongly is overridden.
#[async_trait]
pub trait Flaw: Send + Sync + 'static {
    async fn append(&self, honest: &RemoteStore, append: Append) -> Answer {
        honest.append(append).await
    }

    async fn read(&self, honest: &RemoteStore, read: Read) -> Result<Page, Error> {
        honest.read(read).await
    }

    async fn subscribe(
        &self,
        honest: &RemoteStore,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        honest.subscribe(subscribe).await
    }

    async fn close(&self, honest: &RemoteStore) -> Result<(), Error> {
        honest.close().await
    }

    async fn save_snapshot(&self, honest: &RemoteStore, snapshot: Snapshot) -> Result<(), Error> {
        honest.save_snapshot(snapshot).await
    }

    async fn claim(&self, honest: &RemoteStore, name: &CheckpointName) -> Result<Claim, Error> {
        honest.claim_checkpoint(name).await
    }

    async fn save_checkpoint(
        &self,
        honest: &RemoteStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        honest.save_checkpoint(owner, position).await
    }

    /// What every error becomes.
    fn told(&self, error: Error) -> Error {
        error
    }
}

/// The store that a flaw makes of the honest one.
pub fn flawed(honest: RemoteStore, flaw: impl Flaw) -> Opened {
    Opened::new(Flawed { honest, flaw: Arc::new(flaw) })
}

/// The store that appends through a sender.
pub fn sending(honest: RemoteStore, sender: MakeSender) -> Opened {
    let sender = sender(honest.carrier());
    flawed(honest, BySender(sender))
}

struct BySender(Arc<dyn Sender>);

#[async_trait]
impl Flaw for BySender {
    async fn append(&self, honest: &RemoteStore, append: Append) -> Answer {
        honest.capabilities().limits().check_append(&append)?;
        self.0.append(append).await
    }

    async fn close(&self, honest: &RemoteStore) -> Result<(), Error> {
        self.0.close().await;
        honest.close().await
    }
}

struct Flawed {
    honest: RemoteStore,
    flaw: Arc<dyn Flaw>,
}

impl Flawed {
    fn told<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        answer.map_err(|error| self.flaw.told(error))
    }
}

impl fmt::Debug for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flawed")
    }
}

#[async_trait]
impl EventStore for Flawed {
    async fn append(&self, append: Append) -> Answer {
        self.told(self.flaw.append(&self.honest, append).await)
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.told(self.flaw.read(&self.honest, read).await)
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        self.told(self.flaw.subscribe(&self.honest, subscribe).await)
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        self.told(self.honest.wait_for_more(after).await)
    }

    fn capabilities(&self) -> &Capabilities {
        self.honest.capabilities()
    }

    async fn close(&self) -> Result<(), Error> {
        self.told(self.flaw.close(&self.honest).await)
    }
}

#[async_trait]
impl SnapshotStore for Flawed {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.told(self.flaw.save_snapshot(&self.honest, snapshot).await)
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        self.told(self.honest.load_snapshot(stream, schema, at_most).await)
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        self.told(self.honest.prune_snapshots(stream, schema, keep).await)
    }
}

#[async_trait]
impl CheckpointStore for Flawed {
    async fn claim_checkpoint(&self, name: &CheckpointName) -> Result<Claim, Error> {
        self.told(self.flaw.claim(&self.honest, name).await)
    }

    async fn save_checkpoint(&self, owner: &Owner, position: Position) -> Result<(), Error> {
        self.told(self.flaw.save_checkpoint(&self.honest, owner, position).await)
    }

    async fn load_checkpoint(&self, name: &CheckpointName) -> Result<Option<Checkpoint>, Error> {
        self.told(self.honest.load_checkpoint(name).await)
    }

    async fn reset_checkpoint(&self, name: &CheckpointName, position: Position) -> Result<Owner, Error> {
        self.told(self.honest.reset_checkpoint(name, position).await)
    }
}
