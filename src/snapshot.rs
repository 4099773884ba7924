//! Typed snapshots, and folding a stream from the newest that can be used.

use annalist_core::{
    Error, ErrorKind, Invalid, Position, Read, RecordedEvent, Snapshot, SnapshotSchema, StreamId, Version,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::Store;
use crate::trace::{self, Plain, observe};

/// A state that can be kept as a snapshot, in JSON.
///
/// ```
/// use annalist::{SnapshotState, Version};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct Order { total: u32 }
///
/// impl SnapshotState for Order {
///     const SCHEMA: &'static str = "order/1";
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// # let store = annalist::connect("memory:").await?;
/// store.save_snapshot("Order-7", Version::new(40), &Order { total: 12 }).await?;
/// let newest = store.load_snapshot::<Order>("Order-7").await?;
/// assert_eq!(newest.map(|snapshot| snapshot.state), Some(Order { total: 12 }));
/// # Ok(())
/// # }
/// ```
pub trait SnapshotState: Serialize + DeserializeOwned {
    /// The name of its form, which changes when old snapshots no longer fit: `order/2`.
    const SCHEMA: &'static str;
}

/// A state as a snapshot kept it.
///
/// ```
/// # use annalist::{SnapshotState, Version};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Order { total: u32 }
/// # impl SnapshotState for Order { const SCHEMA: &'static str = "order/1"; }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// # let store = annalist::connect("memory:").await?;
/// store.save_snapshot("Order-7", Version::new(40), &Order { total: 12 }).await?;
/// let newest = store.load_snapshot::<Order>("Order-7").await?.expect("it was just saved");
/// assert_eq!((newest.version, newest.state.total), (Version::new(40), 12));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Snapshotted<S> {
    /// The state.
    pub state: S,
    /// The version of the last event that is folded into it.
    pub version: Version,
}

/// The present state of a stream.
///
/// ```
/// # use annalist::{Error, ExpectedVersion, NewEvent, SnapshotState, Version};
/// # #[derive(serde::Serialize, serde::Deserialize, Default)]
/// # struct Order { events: u32 }
/// # impl SnapshotState for Order { const SCHEMA: &'static str = "order/1"; }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// # let store = annalist::connect("memory:").await?;
/// store.append("Order-7", ExpectedVersion::Any, [NewEvent::new("OrderPlaced", "{}")?]).await?;
/// let order = store.rehydrate("Order-7", Order::default(), |order, _| Ok::<(), Error>(order.events += 1)).await?;
/// assert_eq!((order.version, order.state.events), (Version::FIRST, 1));
/// assert_eq!(order.events_folded, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Rehydrated<S> {
    /// The state, every event of the stream folded into it.
    pub state: S,
    /// The version of the stream, fit as an `Exact`.
    pub version: Version,
    /// The head of the log that was read, fit as the `after` of a condition.
    pub head: Position,
    /// How many events were folded: when they are many, it is time for a snapshot.
    pub events_folded: u64,
}

impl Store {
    /// Keeps the state of a stream as of a version, in place of an earlier snapshot of that version.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the state has no JSON form or is too large; else as
    /// [`SnapshotStore::save_snapshot`](crate::SnapshotStore::save_snapshot).
    pub async fn save_snapshot<S>(
        &self,
        stream: impl TryInto<StreamId, Error: Into<Error>>,
        version: Version,
        state: &S,
    ) -> Result<(), Error>
    where
        S: SnapshotState,
    {
        let (stream, schema) = (stream.try_into().map_err(Into::into)?, SnapshotSchema::new(S::SCHEMA)?);
        // The cause stays untold: it may quote the state (E2).
        let data = serde_json::to_vec(state)
            .map_err(|_| Invalid::new("snapshot", "must have a JSON form", std::any::type_name::<S>()))?;
        let snapshot = Snapshot::new(&stream, &schema, version, data);
        let save = async { self.snapshots.save_snapshot(snapshot).await.map(Plain) };
        let span = trace::snapshot("save_snapshot", &stream, &schema);
        observe(span, "save_snapshot", Some(&stream), save).await.map(|Plain(())| ())
    }

    /// The newest snapshot of a stream that can be decoded. It may be ahead of its stream where the log was restored:
    /// [`rehydrate`](Self::rehydrate) is what notices.
    ///
    /// # Errors
    ///
    /// As [`SnapshotStore::load_snapshot`](crate::SnapshotStore::load_snapshot).
    pub async fn load_snapshot<S>(
        &self,
        stream: impl TryInto<StreamId, Error: Into<Error>>,
    ) -> Result<Option<Snapshotted<S>>, Error>
    where
        S: SnapshotState,
    {
        self.newest_decodable(&stream.try_into().map_err(Into::into)?, Version::MAX).await
    }

    /// Removes all but the newest `keep` snapshots of a stream.
    ///
    /// # Errors
    ///
    /// As [`SnapshotStore::prune_snapshots`](crate::SnapshotStore::prune_snapshots).
    pub async fn prune_snapshots<S>(
        &self,
        stream: impl TryInto<StreamId, Error: Into<Error>>,
        keep: usize,
    ) -> Result<(), Error>
    where
        S: SnapshotState,
    {
        let (stream, schema) = (stream.try_into().map_err(Into::into)?, SnapshotSchema::new(S::SCHEMA)?);
        let prune = async { self.snapshots.prune_snapshots(&stream, &schema, keep).await.map(Plain) };
        let span = trace::snapshot("prune_snapshots", &stream, &schema);
        observe(span, "prune_snapshots", Some(&stream), prune).await.map(|Plain(())| ())
    }

    /// The present state of a stream: the newest usable snapshot, or `initial` where there is none, and the events after it folded in.
    ///
    /// A snapshot that cannot be decoded, or is ahead of its stream, is skipped for the next older one (N5).
    ///
    /// # Errors
    ///
    /// What `fold` gives; else as [`read`](Self::read) and [`load_snapshot`](Self::load_snapshot).
    pub async fn rehydrate<S, E>(
        &self,
        stream: impl TryInto<StreamId, Error: Into<Error>>,
        initial: S,
        mut fold: impl FnMut(&mut S, &RecordedEvent) -> Result<(), E>,
    ) -> Result<Rehydrated<S>, E>
    where
        S: SnapshotState,
        E: From<Error>,
    {
        let stream = stream.try_into().map_err(Into::into)?;
        let (snapshot, mut page) = self.snapshot_and_tail::<S>(&stream).await?;
        let (mut state, mut events_folded) = (snapshot.map_or(initial, |snapshot| snapshot.state), 0);
        loop {
            for event in &page.events {
                fold(&mut state, event)?;
                events_folded += 1;
            }
            let Some(next) = page.next else { break };
            page = self.read(next).await?;
        }
        Ok(Rehydrated { state, version: page.version, head: page.head, events_folded })
    }

    /// The newest snapshot that can be decoded and is not ahead of its stream, and the first page of the events after it.
    async fn snapshot_and_tail<S: SnapshotState>(
        &self,
        stream: &StreamId,
    ) -> Result<(Option<Snapshotted<S>>, annalist_core::Page), Error> {
        let mut at_most = Version::MAX;
        loop {
            let snapshot = self.newest_decodable::<S>(stream, at_most).await?;
            let folded = snapshot.as_ref().map_or(Version::NONE, |snapshot| snapshot.version);
            let page = self.read(Read::stream(stream).from(folded.next())).await?;
            if folded <= page.version {
                return Ok((snapshot, page));
            }
            warn!(%stream, snapshot = folded.get(), version = page.version.get(), "a snapshot is ahead of its stream and is skipped");
            at_most = page.version;
        }
    }

    async fn newest_decodable<S: SnapshotState>(
        &self,
        stream: &StreamId,
        mut at_most: Version,
    ) -> Result<Option<Snapshotted<S>>, Error> {
        let schema = SnapshotSchema::new(S::SCHEMA)?;
        loop {
            let load = async { self.snapshots.load_snapshot(stream, &schema, at_most).await.map(Plain) };
            let span = trace::snapshot("load_snapshot", stream, &schema);
            let found = match observe(span, "load_snapshot", Some(stream), load).await {
                Ok(Plain(found)) => found,
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt(_)) => {
                    // The store cannot even tell its version, hence not which one is older: the whole stream is folded.
                    warn!(%error, "no snapshot can be used");
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            let Some(Snapshot { version, data, .. }) = found else { return Ok(None) };
            if let Ok(state) = serde_json::from_slice(&data) {
                return Ok(Some(Snapshotted { state, version }));
            }
            warn!(%stream, %schema, version = version.get(), "a snapshot cannot be decoded and is skipped");
            let Some(older) = version.get().checked_sub(1) else { return Ok(None) };
            at_most = Version::new(older);
        }
    }
}
