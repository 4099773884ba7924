//! Folded state kept beside a stream, so that it need not be folded again.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Error, Metadata, SnapshotSchema, StreamId, Version};

/// The state of a stream as of a version. Its key is stream, schema and version.
///
/// ```
/// use annalist_core::{Snapshot, SnapshotSchema, StreamId, Version};
///
/// let order = StreamId::new("Order-7")?;
/// let snapshot = Snapshot::new(&order, &SnapshotSchema::new("order/1")?, Version::new(40), r#"{"total":12}"#);
/// assert_eq!(snapshot.version, Version::new(40));
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The stream whose state it is.
    pub stream: StreamId,
    /// What the data is to be read as.
    pub schema: SnapshotSchema,
    /// The version of the last event that is folded into it.
    pub version: Version,
    /// The state, byte for byte.
    pub data: Bytes,
    /// What else there is to say of it.
    pub metadata: Metadata,
}

impl Snapshot {
    /// A snapshot without metadata.
    #[must_use]
    pub fn new(stream: &StreamId, schema: &SnapshotSchema, version: Version, data: impl Into<Bytes>) -> Self {
        let (stream, schema, data) = (stream.clone(), schema.clone(), data.into());
        Self { stream, schema, version, data, metadata: Metadata::NONE }
    }

    /// The same with this metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Its size as the limit counts it: data and metadata, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.data.len() + self.metadata.len()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("stream", &self.stream)
            .field("schema", &self.schema)
            .field("version", &self.version)
            .field("data", &format_args!("{} bytes", self.data.len()))
            .field("metadata", &self.metadata)
            .finish()
    }
}

/// Keeps snapshots.
///
/// # Contract
///
/// - **N1** [`load`](Self::load_snapshot) must give the newest at or below a version, whatever the order of saving.
/// - **N2** Saving the same key again must replace it atomically.
/// - **N3** A snapshot must never be an event: no stream, log, version or subscription shows it.
/// - **N4** Saving must be atomic, and [`prune`](Self::prune_snapshots) must keep the newest.
/// - **R3** A load must see every save that was acknowledged before it began.
/// - Snapshots of different streams, schemas and namespaces must never mix. The store does not compare a snapshot with its
///   stream: one ahead of it is kept, and is skipped by whoever rehydrates (N5).
/// - Limits are checked before anything is sent (L1). Dropping a future at any point must corrupt nothing (C1).
///
/// ```
/// use annalist_core::{Snapshot, SnapshotSchema, SnapshotStore, StreamId, Version};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let (order, schema) = (StreamId::new("Order-7")?, SnapshotSchema::new("order/1")?);
/// store.save_snapshot(Snapshot::new(&order, &schema, Version::new(40), "{}")).await?;
///
/// let newest = store.load_snapshot(&order, &schema, Version::MAX).await?;
/// assert_eq!(newest.map(|snapshot| snapshot.version), Some(Version::new(40)));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SnapshotStore: Send + Sync + fmt::Debug + 'static {
    /// Keeps a snapshot, in place of one with the same key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is over the declared size, and all that a connection can
    /// cause.
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error>;

    /// The newest snapshot of a stream under a schema at or below a version; [`Version::MAX`] for the newest of all.
    ///
    /// # Errors
    ///
    /// All that a connection can cause; that there is none is no error.
    async fn load_snapshot(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error>;

    /// Removes all but the newest `keep` snapshots of a stream under a schema.
    ///
    /// # Errors
    ///
    /// All that a connection can cause.
    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error>;
}
