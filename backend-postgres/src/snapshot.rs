//! Snapshots: a row each.

use annalist_core::{Error, Metadata, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Version};
use async_trait::async_trait;
use sqlx::Row;

use crate::call::Effect;
use crate::error::of_read;
use crate::row::refuse_replica;
use crate::store::PostgresStore;
use crate::types::clamped;
use crate::verdict::number;

#[async_trait]
impl SnapshotStore for PostgresStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.check_open()?;
        self.limits().check_snapshot(&snapshot)?;
        const TEXT: &str = "INSERT INTO {schema}.snapshot (stream, schema, version, data, metadata) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (stream, schema, version) DO UPDATE SET data = excluded.data, metadata = excluded.metadata";
        let metadata = (!snapshot.metadata.is_none()).then(|| snapshot.metadata.as_str());
        let call = sqlx::query(self.fill(TEXT))
            .bind(snapshot.stream.as_str())
            .bind(snapshot.schema.as_str())
            .bind(clamped(snapshot.version.get()))
            .bind(&snapshot.data[..])
            .bind(metadata);
        self.ask(call, Effect::Writes).await.map(drop)
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        self.check_open()?;
        const TEXT: &str =
            "SELECT pg_is_in_recovery(), s.version, s.data, s.metadata FROM {schema}.log LEFT JOIN LATERAL (
                SELECT version, data, metadata FROM {schema}.snapshot
                WHERE stream = $1 AND schema = $2 AND version <= $3 ORDER BY version DESC LIMIT 1
            ) s ON true";
        let call = sqlx::query(self.fill(TEXT))
            .bind(stream.as_str())
            .bind(schema.as_str())
            .bind(clamped(at_most.get()));
        let row = self.ask_one(call, Effect::Reads).await?;
        refuse_replica(row.try_get(0).map_err(of_read)?)?;
        let Some(version) = row.try_get::<Option<i64>, _>(1).map_err(of_read)? else { return Ok(None) };
        let version = Version::new(number(version));
        let data: Vec<u8> = row.try_get(2).map_err(of_read)?;
        let metadata: Option<String> = row.try_get(3).map_err(of_read)?;
        let metadata = Metadata::new(metadata.unwrap_or_default())?;
        Ok(Some(Snapshot::new(stream, schema, version, data).with_metadata(metadata)))
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        self.check_open()?;
        const TEXT: &str = "DELETE FROM {schema}.snapshot WHERE stream = $1 AND schema = $2 AND version <= (
            SELECT version FROM {schema}.snapshot WHERE stream = $1 AND schema = $2 ORDER BY version DESC OFFSET $3 LIMIT 1)";
        let call = sqlx::query(self.fill(TEXT))
            .bind(stream.as_str())
            .bind(schema.as_str())
            .bind(clamped(keep as u64));
        self.ask(call, Effect::Writes).await.map(drop)
    }
}
