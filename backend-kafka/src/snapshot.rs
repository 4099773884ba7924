//! Snapshots: commands that the fold carries out.

use annalist_core::{Error, EventStore, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Version};
use async_trait::async_trait;
use bytes::Bytes;

use crate::codec::{Malformed, Reader, put_bytes, put_text};
use crate::keys;
use crate::local::{Table, Way};
use crate::record::Body;
use crate::store::KafkaStore;

pub(crate) fn value(snapshot: &Snapshot) -> Vec<u8> {
    let mut value = Vec::with_capacity(snapshot.size() + 8);
    put_bytes(&mut value, &snapshot.data);
    put_text(&mut value, snapshot.metadata.as_str());
    value
}

fn stored(
    stream: &StreamId,
    schema: &SnapshotSchema,
    key: &[u8],
    value: Bytes,
) -> Result<Snapshot, Malformed> {
    let version = Version::new(keys::last_number(key)?);
    let mut reader = Reader::new(value);
    let data = reader.bytes()?;
    let metadata = reader.metadata()?;
    reader.end()?;
    Ok(Snapshot::new(stream, schema, version, data).with_metadata(metadata))
}

#[async_trait]
impl SnapshotStore for KafkaStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.check_open()?;
        self.capabilities().limits().check_snapshot(&snapshot)?;
        self.command(&Body::Snapshot(snapshot)).await.map(drop)
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        let (stream, schema) = (stream.clone(), schema.clone());
        self.look(move |local| {
            let from = keys::snapshot(&stream, &schema, 0);
            let to = match at_most.get().checked_add(1) {
                Some(next) => keys::snapshot(&stream, &schema, next),
                None => keys::snapshot_end(&stream, &schema),
            };
            let newest = local.first(Table::Snapshots, &from, &to, Way::Down)?;
            Ok(newest.map(|(key, value)| stored(&stream, &schema, &key, value)).transpose()?)
        })
        .await
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        let keep = keep as u64;
        let body = Body::Prune { stream: stream.clone(), schema: schema.clone(), keep };
        self.command(&body).await.map(drop)
    }
}
