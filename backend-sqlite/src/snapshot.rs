//! Snapshots: a row each.

use annalist_core::{
    Error, EventStore, Metadata, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Version,
};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error;
use crate::row::{clamped, number, stored};
use crate::store::SqliteStore;

fn save(connection: &Connection, snapshot: &Snapshot) -> Result<(), Error> {
    const TEXT: &str = "INSERT INTO snapshot (stream, schema, version, data, metadata) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (stream, schema, version) DO UPDATE SET data = excluded.data, metadata = excluded.metadata";
    let metadata = (!snapshot.metadata.is_none()).then(|| snapshot.metadata.as_str());
    let mut statement = connection.prepare_cached(TEXT).map_err(error::of_file)?;
    let values = params![
        snapshot.stream.as_str(),
        snapshot.schema.as_str(),
        clamped(snapshot.version.get()),
        &snapshot.data[..],
        metadata,
    ];
    statement.execute(values).map(drop).map_err(error::of_file)
}

fn load(
    connection: &Connection,
    stream: &StreamId,
    schema: &SnapshotSchema,
    at_most: Version,
) -> Result<Option<Snapshot>, Error> {
    const TEXT: &str = "SELECT version, data, metadata FROM snapshot
        WHERE stream = ?1 AND schema = ?2 AND version <= ?3 ORDER BY version DESC LIMIT 1";
    let mut statement = connection.prepare_cached(TEXT).map_err(error::of_file)?;
    let found = statement
        .query_row(params![stream.as_str(), schema.as_str(), clamped(at_most.get())], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Option<String>>(2)?))
        })
        .optional();
    let Some((version, data, metadata)) = found.map_err(error::of_file)? else { return Ok(None) };
    let metadata = Metadata::new(metadata.unwrap_or_default()).map_err(stored)?;
    let version = Version::new(number(version));
    Ok(Some(Snapshot::new(stream, schema, version, data).with_metadata(metadata)))
}

fn prune(
    connection: &Connection,
    stream: &StreamId,
    schema: &SnapshotSchema,
    keep: usize,
) -> Result<(), Error> {
    const TEXT: &str = "DELETE FROM snapshot WHERE stream = ?1 AND schema = ?2 AND version <= (
        SELECT version FROM snapshot WHERE stream = ?1 AND schema = ?2 ORDER BY version DESC LIMIT 1 OFFSET ?3)";
    let mut statement = connection.prepare_cached(TEXT).map_err(error::of_file)?;
    let values = params![stream.as_str(), schema.as_str(), clamped(keep as u64)];
    statement.execute(values).map(drop).map_err(error::of_file)
}

#[async_trait]
impl SnapshotStore for SqliteStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.check_open()?;
        self.capabilities().limits().check_snapshot(&snapshot)?;
        self.write(move |connection| save(connection, &snapshot)).await
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        self.check_open()?;
        let (stream, schema) = (stream.clone(), schema.clone());
        self.look(move |connection| load(connection, &stream, &schema, at_most)).await
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        self.check_open()?;
        let (stream, schema) = (stream.clone(), schema.clone());
        self.write(move |connection| prune(connection, &stream, &schema, keep)).await
    }
}
