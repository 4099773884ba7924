//! Snapshots: a map whose order is their key's.

use std::collections::BTreeMap;

use annalist_core::{Error, EventStore, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Version};
use async_trait::async_trait;

use crate::TemplateStore;

pub(crate) type Snapshots = BTreeMap<(StreamId, SnapshotSchema, Version), Snapshot>;

#[async_trait]
impl SnapshotStore for TemplateStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.capabilities().limits().check_snapshot(&snapshot)?;
        let key = (snapshot.stream.clone(), snapshot.schema.clone(), snapshot.version);
        self.state()?.snapshots.insert(key, snapshot);
        Ok(())
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        let key = |version| (stream.clone(), schema.clone(), version);
        let state = self.state()?;
        let newest = state.snapshots.range(key(Version::NONE)..=key(at_most)).next_back();
        Ok(newest.map(|(_, snapshot)| snapshot.clone()))
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        let snapshots = &mut self.state()?.snapshots;
        let of_stream = snapshots.keys().filter(|(s, c, _)| s == stream && c == schema);
        let old: Vec<_> = of_stream.rev().skip(keep).cloned().collect();
        for key in old {
            snapshots.remove(&key);
        }
        Ok(())
    }
}
