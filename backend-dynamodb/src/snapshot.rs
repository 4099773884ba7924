//! Snapshots: an item each.

use annalist_core::{Error, Metadata, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Version};
use async_trait::async_trait;

use crate::codec::corrupt;
use crate::key::number_of;
use crate::store::DynamoStore;
use crate::table::{Item, Key, Range};

mod attribute {
    pub(super) const DATA: &str = "b";
    pub(super) const METADATA: &str = "m";
}

impl DynamoStore {
    /// The snapshots up to a version, the newest first.
    fn snapshots(&self, stream: &StreamId, schema: &SnapshotSchema, at_most: Version) -> Range {
        let key = |version| self.0.log.keys.snapshot(stream, schema, version);
        Range {
            partition: key(at_most).partition,
            low: key(Version::NONE).sort,
            high: key(at_most).sort,
            descending: true,
            limit: Some(1),
            keys_only: false,
        }
    }
}

#[async_trait]
impl SnapshotStore for DynamoStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.check_open()?;
        self.limits().check_snapshot(&snapshot)?;
        let key = self.0.log.keys.snapshot(&snapshot.stream, &snapshot.schema, snapshot.version);
        let item = Item::new(key)
            .bytes(attribute::DATA, snapshot.data)
            .text(attribute::METADATA, snapshot.metadata.as_str());
        self.0.log.requests.put(&item, self.deadline()).await
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        self.check_open()?;
        let range = self.snapshots(stream, schema, at_most);
        let mut found = self.0.log.requests.query(&range, self.deadline()).await?;
        let Some(mut item) = found.items.pop() else { return Ok(None) };
        let version = number_of(&item.key.sort).ok_or_else(|| corrupt("the key of a snapshot"))?;
        let metadata = Metadata::new(item.get_text(attribute::METADATA)?)?;
        let data = item.take_bytes(attribute::DATA)?;
        Ok(Some(Snapshot::new(stream, schema, Version::new(version), data).with_metadata(metadata)))
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        self.check_open()?;
        let deadline = self.deadline();
        let mut range = self.snapshots(stream, schema, Version::MAX);
        (range.limit, range.keys_only) = (None, true);
        let mut keys: Vec<Key> = Vec::new();
        loop {
            let found = self.0.log.requests.query(&range, deadline).await?;
            keys.extend(found.items.into_iter().map(|item| item.key));
            let lower = found.last.as_deref().and_then(number_of).and_then(|number| number.checked_sub(1));
            let Some(lower) = lower else { break };
            range.high = self.0.log.keys.snapshot(stream, schema, Version::new(lower)).sort;
        }
        let pruned = keys.split_off(keep.min(keys.len()));
        self.0.log.requests.delete_all(pruned, deadline).await
    }
}
