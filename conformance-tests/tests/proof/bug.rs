//! A store with one bug: the honest memory store, with some of its operations done wrongly.

use std::fmt;
use std::sync::{Arc, Weak};

use annalist_core::{
    Append, Capabilities, Checkpoint, CheckpointName, CheckpointStore, Claim, Error, EventStore, Owner, Page,
    Position, Query, Read, Receipt, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Subscribe,
    Subscription, Version,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

/// One bug: what it does wrongly is overridden, all else is passed on. `honest` is the right store beneath.
#[async_trait]
pub trait Bug: Send + Sync + 'static {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        honest.append(append).await
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        honest.read(read).await
    }

    /// Runs the engine over `store`, which is the broken store itself, so that broken reads show in subscriptions.
    async fn subscribe(
        &self,
        honest: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let _ = honest;
        annalist_engine::subscribe(store, subscribe).await
    }

    async fn wait_for_more(&self, honest: &MemoryStore, after: Position) -> Result<(), Error> {
        honest.wait_for_more(after).await
    }

    fn capabilities<'a>(&'a self, honest: &'a MemoryStore) -> &'a Capabilities {
        honest.capabilities()
    }

    async fn close(&self, honest: &MemoryStore) -> Result<(), Error> {
        honest.close().await
    }

    async fn save_snapshot(&self, honest: &MemoryStore, snapshot: Snapshot) -> Result<(), Error> {
        honest.save_snapshot(snapshot).await
    }

    async fn load_snapshot(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        honest.load_snapshot(stream, schema, at_most).await
    }

    async fn prune_snapshots(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        honest.prune_snapshots(stream, schema, keep).await
    }

    async fn claim_checkpoint(&self, honest: &MemoryStore, name: &CheckpointName) -> Result<Claim, Error> {
        honest.claim_checkpoint(name).await
    }

    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        honest.save_checkpoint(owner, position).await
    }

    async fn load_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
    ) -> Result<Option<Checkpoint>, Error> {
        honest.load_checkpoint(name).await
    }

    async fn reset_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
        position: Position,
    ) -> Result<Owner, Error> {
        honest.reset_checkpoint(name, position).await
    }
}

/// Refuses what is asked of a handle that was closed: for what a bug answers without the honest store.
pub async fn check_open(honest: &MemoryStore) -> Result<(), Error> {
    honest.read(Read::log(Query::all()).limit(0)).await.map(drop)
}

/// The store that a bug makes of the honest one.
pub struct Broken {
    honest: MemoryStore,
    bug: Arc<dyn Bug>,
    itself: Weak<Broken>,
}

impl Broken {
    pub fn new(honest: MemoryStore, bug: Arc<dyn Bug>) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self { honest, bug, itself: itself.clone() })
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broken")
    }
}

#[async_trait]
impl EventStore for Broken {
    async fn append(&self, append: Append) -> Result<Receipt, Error> {
        self.bug.append(&self.honest, append).await
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.bug.read(&self.honest, read).await
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        let itself = self.itself.upgrade().expect("a store that is called is alive");
        self.bug.subscribe(&self.honest, itself, subscribe).await
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        self.bug.wait_for_more(&self.honest, after).await
    }

    fn capabilities(&self) -> &Capabilities {
        self.bug.capabilities(&self.honest)
    }

    async fn close(&self) -> Result<(), Error> {
        self.bug.close(&self.honest).await
    }
}

#[async_trait]
impl SnapshotStore for Broken {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.bug.save_snapshot(&self.honest, snapshot).await
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        self.bug.load_snapshot(&self.honest, stream, schema, at_most).await
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        self.bug.prune_snapshots(&self.honest, stream, schema, keep).await
    }
}

#[async_trait]
impl CheckpointStore for Broken {
    async fn claim_checkpoint(&self, name: &CheckpointName) -> Result<Claim, Error> {
        self.bug.claim_checkpoint(&self.honest, name).await
    }

    async fn save_checkpoint(&self, owner: &Owner, position: Position) -> Result<(), Error> {
        self.bug.save_checkpoint(&self.honest, owner, position).await
    }

    async fn load_checkpoint(&self, name: &CheckpointName) -> Result<Option<Checkpoint>, Error> {
        self.bug.load_checkpoint(&self.honest, name).await
    }

    async fn reset_checkpoint(&self, name: &CheckpointName, position: Position) -> Result<Owner, Error> {
        self.bug.reset_checkpoint(&self.honest, name, position).await
    }
}
