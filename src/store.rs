//! The handle that applications hold.

use std::sync::Arc;

use annalist_core::{
    Capabilities, Checkpoint, CheckpointName, CheckpointStore, Claim, Error, EventStore, Owner, Position,
    SnapshotStore,
};

use crate::trace::{self, Plain, observe};
use crate::turns::Turns;

/// An opened store, as an application holds it: cheap to clone, one type for all backends.
///
/// [`connect`](crate::connect) gives one by URL, [`Store::new`] makes one of any backend. Everything that is convenient stands here, so
/// that a backend need only implement what is necessary.
///
/// ```
/// use annalist::{ExpectedVersion, NewEvent};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// let store = annalist::connect("memory:").await?;
/// let placed = NewEvent::new("OrderPlaced", r#"{"total": 12}"#)?;
/// store.append("Order-7", ExpectedVersion::NoStream, [placed]).await?;
///
/// let order = store.read_stream("Order-7").await?;
/// assert_eq!(order.events.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) snapshots: Arc<dyn SnapshotStore>,
    pub(crate) checkpoints: Arc<dyn CheckpointStore>,
    pub(crate) turns: Turns,
}

impl Store {
    /// A handle on a backend.
    #[must_use]
    pub fn new<B: EventStore + SnapshotStore + CheckpointStore>(backend: B) -> Self {
        let backend = Arc::new(backend);
        Self::from_parts(backend.clone(), backend.clone(), backend)
    }

    /// A handle on three parts: say, events here and snapshots there.
    #[must_use]
    pub fn from_parts(
        events: Arc<dyn EventStore>,
        snapshots: Arc<dyn SnapshotStore>,
        checkpoints: Arc<dyn CheckpointStore>,
    ) -> Self {
        Self { events, snapshots, checkpoints, turns: Turns::default() }
    }

    /// The part that keeps the events.
    #[must_use]
    pub fn event_store(&self) -> &Arc<dyn EventStore> {
        &self.events
    }

    /// The part that keeps snapshots.
    #[must_use]
    pub fn snapshot_store(&self) -> &Arc<dyn SnapshotStore> {
        &self.snapshots
    }

    /// The part that keeps checkpoints.
    #[must_use]
    pub fn checkpoint_store(&self) -> &Arc<dyn CheckpointStore> {
        &self.checkpoints
    }

    /// What this store promises, and within which limits.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        self.events.capabilities()
    }

    /// Finishes what is in flight and releases everything; from then on all clones answer
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    ///
    /// # Errors
    ///
    /// What went wrong in finishing; the store is closed nevertheless.
    pub async fn close(&self) -> Result<(), Error> {
        self.events.close().await.map_err(|error| error.in_operation("close"))
    }

    /// Makes the caller the owner of a checkpoint, in place of any earlier one. [`consumer`](Self::consumer) does it by itself.
    ///
    /// # Errors
    ///
    /// As [`CheckpointStore::claim_checkpoint`].
    pub async fn claim_checkpoint(
        &self,
        name: impl TryInto<CheckpointName, Error: Into<Error>>,
    ) -> Result<Claim, Error> {
        let name = name.try_into().map_err(Into::into)?;
        self.checkpoint("claim_checkpoint", &name, self.checkpoints.claim_checkpoint(&name)).await
    }

    /// Moves a checkpoint forward; at or below the stored position it does nothing.
    ///
    /// # Errors
    ///
    /// As [`CheckpointStore::save_checkpoint`].
    pub async fn save_checkpoint(&self, owner: &Owner, position: Position) -> Result<(), Error> {
        let save = self.checkpoints.save_checkpoint(owner, position);
        self.checkpoint("save_checkpoint", owner.name(), save).await
    }

    /// Where a checkpoint stands; `None` where nothing was saved yet.
    ///
    /// # Errors
    ///
    /// As [`CheckpointStore::load_checkpoint`].
    pub async fn load_checkpoint(
        &self,
        name: impl TryInto<CheckpointName, Error: Into<Error>>,
    ) -> Result<Option<Checkpoint>, Error> {
        let name = name.try_into().map_err(Into::into)?;
        self.checkpoint("load_checkpoint", &name, self.checkpoints.load_checkpoint(&name)).await
    }

    /// Puts a checkpoint at a position, also backward and also out of a wrong history, and fences every running consumer of
    /// that name: an operator's act.
    ///
    /// # Errors
    ///
    /// As [`CheckpointStore::reset_checkpoint`].
    pub async fn reset_checkpoint(
        &self,
        name: impl TryInto<CheckpointName, Error: Into<Error>>,
        position: Position,
    ) -> Result<Owner, Error> {
        let name = name.try_into().map_err(Into::into)?;
        self.checkpoint("reset_checkpoint", &name, self.checkpoints.reset_checkpoint(&name, position)).await
    }

    async fn checkpoint<T>(
        &self,
        operation: &'static str,
        name: &CheckpointName,
        run: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let run = async { run.await.map(Plain) };
        observe(trace::checkpoint(operation, name), operation, None, run).await.map(|Plain(done)| done)
    }
}
