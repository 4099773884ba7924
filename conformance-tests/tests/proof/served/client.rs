//! What a client does wrongly over an honest remote store.

use std::fmt;
use std::sync::Arc;

use annalist_conformance::{BoxError, Opened};
use annalist_core::{
    Append, Capabilities, Checkpoint, CheckpointName, CheckpointStore, Claim, Error, EventStore, Owner, Page,
    Position, Read, Receipt, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Subscribe, Subscription,
    Survives, Version,
};
use async_trait::async_trait;

use crate::remote::RemoteStore;

/// A client: what it does wrongly is overridden, all else is passed on to the server. One is made for each process.
#[async_trait]
pub trait Client: Send + Sync + 'static {
    /// Called for each handle before it is given out. `other` opens another namespace of the same server.
    async fn set_up(&self, other: RemoteStore) -> Result<(), BoxError> {
        let _ = other;
        Ok(())
    }

    async fn append(&self, remote: &RemoteStore, append: Append) -> Result<Receipt, Error> {
        remote.append(append).await
    }

    async fn read(&self, remote: &RemoteStore, read: Read) -> Result<Page, Error> {
        remote.read(read).await
    }

    async fn subscribe(
        &self,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        annalist_engine::subscribe(store, subscribe).await
    }

    async fn wait_for_more(&self, remote: &RemoteStore, after: Position) -> Result<(), Error> {
        remote.wait_for_more(after).await
    }

    async fn save_checkpoint(
        &self,
        remote: &RemoteStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        remote.save_checkpoint(owner, position).await
    }
}

pub struct Honest;

impl Client for Honest {}

/// One handle of a client. Clones are the same handle.
#[derive(Clone)]
pub struct Opening {
    remote: RemoteStore,
    client: Arc<dyn Client>,
    capabilities: Arc<Capabilities>,
}

impl Opening {
    pub fn of(remote: RemoteStore, client: Arc<dyn Client>) -> Opened {
        // The servers here keep everything, whatever becomes of them.
        let declared = remote.capabilities();
        let capabilities = Capabilities::full(*declared.limits())
            .durability(Survives::PowerLoss, "default settings")
            .recorded_at_resolution(declared.recorded_at_precision())
            .queries_scan()
            .without(annalist_core::Capability::LocalReads, "every read is linearizable");
        Opened::new(Self { remote, client, capabilities: Arc::new(capabilities) })
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opening")
    }
}

#[async_trait]
impl EventStore for Opening {
    async fn append(&self, append: Append) -> Result<Receipt, Error> {
        self.client.append(&self.remote, append).await
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.client.read(&self.remote, read).await
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        self.client.subscribe(Arc::new(self.clone()), subscribe).await
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        self.client.wait_for_more(&self.remote, after).await
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn close(&self) -> Result<(), Error> {
        self.remote.close().await
    }
}

#[async_trait]
impl SnapshotStore for Opening {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.remote.save_snapshot(snapshot).await
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        self.remote.load_snapshot(stream, schema, at_most).await
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        self.remote.prune_snapshots(stream, schema, keep).await
    }
}

#[async_trait]
impl CheckpointStore for Opening {
    async fn claim_checkpoint(&self, name: &CheckpointName) -> Result<Claim, Error> {
        self.remote.claim_checkpoint(name).await
    }

    async fn save_checkpoint(&self, owner: &Owner, position: Position) -> Result<(), Error> {
        self.client.save_checkpoint(&self.remote, owner, position).await
    }

    async fn load_checkpoint(&self, name: &CheckpointName) -> Result<Option<Checkpoint>, Error> {
        self.remote.load_checkpoint(name).await
    }

    async fn reset_checkpoint(&self, name: &CheckpointName, position: Position) -> Result<Owner, Error> {
        self.remote.reset_checkpoint(name, position).await
    }
}
