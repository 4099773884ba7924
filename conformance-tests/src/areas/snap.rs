//! Checks of the area `snap`: snapshots.

use annalist_core::{Metadata, Snapshot, SnapshotSchema, StreamId, Version};

use crate::{Check, Handle, Verdict, ensure_eq, schema, stream};

mod apart;
mod cut;
mod keep;
mod limits;
mod prune;
mod race;

pub(crate) const PARTS: &[&[Check]] =
    &[keep::CHECKS, apart::CHECKS, prune::CHECKS, limits::CHECKS, race::CHECKS, cut::CHECKS];

/// A stream and a schema that a check works with, and what it does with their snapshots.
struct Shelf<'a> {
    handle: &'a Handle,
    stream: StreamId,
    schema: SnapshotSchema,
}

/// The metadata of a snapshot whose data are `state`.
fn labelled(state: &str) -> Verdict<Metadata> {
    Ok(Metadata::new(format!(r#"{{"of": "{state}"}}"#))?)
}

impl<'a> Shelf<'a> {
    fn new(handle: &'a Handle, stream_name: &str, schema_name: &str) -> Self {
        Self { handle, stream: stream(stream_name), schema: schema(schema_name) }
    }

    /// A snapshot with this state, and metadata that belong to it.
    fn made(&self, version: u64, state: &str) -> Verdict<Snapshot> {
        let snapshot = Snapshot::new(&self.stream, &self.schema, Version::new(version), state.to_owned());
        Ok(snapshot.with_metadata(labelled(state)?))
    }

    async fn save(&self, version: u64, state: &str) -> Verdict {
        Ok(self.handle.snapshots().save_snapshot(self.made(version, state)?).await?)
    }

    async fn load(&self, at_most: u64) -> Verdict<Option<Snapshot>> {
        let at_most = Version::new(at_most);
        Ok(self.handle.snapshots().load_snapshot(&self.stream, &self.schema, at_most).await?)
    }

    async fn prune(&self, keep: usize) -> Verdict {
        Ok(self.handle.snapshots().prune_snapshots(&self.stream, &self.schema, keep).await?)
    }

    /// Sees to it that a load gives the snapshot of this version with this state, or none.
    async fn holds(&self, at_most: u64, expected: Option<(u64, &str)>) -> Verdict {
        let expected = expected.map(|(version, state)| self.made(version, state)).transpose()?;
        let found = self.load(at_most).await?;
        let (stream, schema) = (&self.stream, &self.schema);
        ensure_eq!(found, expected, "the snapshot of {stream:?} under {schema:?} at or below {at_most}");
        Ok(())
    }

    /// Sees to it that there are snapshots of exactly these versions, each with its state, in falling order.
    async fn holds_all(&self, expected: &[(u64, &str)]) -> Verdict {
        let mut at_most = u64::MAX;
        for (version, state) in expected {
            self.holds(at_most, Some((*version, *state))).await?;
            let Some(below) = version.checked_sub(1) else { return Ok(()) };
            at_most = below;
        }
        self.holds(at_most, None).await
    }
}
