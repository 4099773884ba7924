//! Snapshots: a map in the order of its keys.

use std::collections::BTreeMap;

use annalist_core::{Error, EventStore, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Version};
use async_trait::async_trait;

use crate::store::MemoryStore;

pub(crate) type Snapshots = BTreeMap<(StreamId, SnapshotSchema), BTreeMap<Version, Snapshot>>;

#[async_trait]
impl SnapshotStore for MemoryStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.check_open()?;
        self.capabilities().limits().check_snapshot(&snapshot)?;
        let key = (snapshot.stream.clone(), snapshot.schema.clone());
        self.snapshots().entry(key).or_default().insert(snapshot.version, snapshot);
        Ok(())
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        self.check_open()?;
        let snapshots = self.snapshots();
        let of_stream = snapshots.get(&(stream.clone(), schema.clone()));
        Ok(of_stream
            .and_then(|versions| versions.range(..=at_most).next_back())
            .map(|(_, newest)| newest.clone()))
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        self.check_open()?;
        if let Some(versions) = self.snapshots().get_mut(&(stream.clone(), schema.clone())) {
            while versions.len() > keep {
                versions.pop_first();
            }
        }
        Ok(())
    }
}
