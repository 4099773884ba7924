//! A store that injects faults, for tests of what an application or a part of a backend does then.
//!
//! Nothing here is left to chance that a test did not ask for: a fault is put before the next call of an operation, or drawn from
//! a seed.

mod batches;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annalist_core::{
    Append, Capabilities, Checkpoint, CheckpointName, CheckpointStore, Claim, Error, ErrorKind, EventStore,
    Owner, Page, Position, Read, Receipt, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Subscribe,
    Subscription, Version,
};
use async_trait::async_trait;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

pub use batches::{BatchFaults, FaultyWriter};

/// What goes wrong.
///
/// ```
/// use annalist_engine::fault::{Fault, Operation};
///
/// assert!(Fault::LandsLater.applies_to(Operation::Append));
/// assert!(!Fault::LandsLater.applies_to(Operation::Read));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The request never leaves: `Unavailable`.
    NotSent,
    /// The request is carried out and its answer is lost: `Indeterminate`, or `Unavailable` where nothing is written.
    ReplyLost,
    /// Of an append: `Indeterminate` now, and carried out only at [`Faults::land`].
    LandsLater,
    /// The request waits this long before it is carried out.
    Delayed(Duration),
    /// Of a checkpoint's save: someone else claims it just before, so that it is refused as `Fenced`.
    Fenced,
    /// The request is refused with this kind of error and not carried out.
    Refused(ErrorKind),
}

impl Fault {
    /// Whether it can happen to an operation. Where it cannot, the call is answered with `Internal`.
    #[must_use]
    pub fn applies_to(&self, operation: Operation) -> bool {
        match self {
            Self::LandsLater => operation == Operation::Append,
            Self::Fenced => operation == Operation::SaveCheckpoint,
            Self::NotSent | Self::ReplyLost | Self::Delayed(_) | Self::Refused(_) => true,
        }
    }
}

/// What a fault can happen to.
///
/// ```
/// use annalist_engine::fault::Operation;
///
/// assert!(Operation::Append.writes() && !Operation::Read.writes());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Operation {
    /// [`EventStore::append`].
    Append,
    /// [`EventStore::read`], also by a subscription.
    Read,
    /// [`EventStore::subscribe`].
    Subscribe,
    /// [`SnapshotStore::save_snapshot`].
    SaveSnapshot,
    /// [`SnapshotStore::load_snapshot`].
    LoadSnapshot,
    /// [`SnapshotStore::prune_snapshots`].
    PruneSnapshots,
    /// [`CheckpointStore::claim_checkpoint`].
    ClaimCheckpoint,
    /// [`CheckpointStore::save_checkpoint`].
    SaveCheckpoint,
    /// [`CheckpointStore::load_checkpoint`].
    LoadCheckpoint,
    /// [`CheckpointStore::reset_checkpoint`].
    ResetCheckpoint,
}

impl Operation {
    /// Whether it changes anything, so that a lost answer leaves doubt.
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(self, Self::Read | Self::Subscribe | Self::LoadSnapshot | Self::LoadCheckpoint)
    }
}

/// Says which faults happen in a [`FaultyStore`]. Clones are for the same store.
///
/// ```
/// use annalist_core::{Append, ErrorKind, EventStore, ExpectedVersion, NewEvent, StreamId};
/// use annalist_engine::fault::{Fault, FaultyStore, Operation};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = FaultyStore::new(annalist_memory::MemoryStore::new());
/// store.faults().next(Operation::Append, Fault::ReplyLost);
///
/// let order = StreamId::new("Order-7")?;
/// let append = Append::to(&order, ExpectedVersion::NoStream, [NewEvent::new("OrderPlaced", "{}")?]);
/// let lost = store.append(append.clone()).await.expect_err("the answer was lost");
/// assert!(matches!(lost.kind(), ErrorKind::Indeterminate(_)));
/// assert!(store.append(append).await?.already_committed());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Faults(Arc<Shared>);

struct Shared {
    events: Arc<dyn EventStore>,
    snapshots: Arc<dyn SnapshotStore>,
    checkpoints: Arc<dyn CheckpointStore>,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    scripts: HashMap<Operation, VecDeque<Fault>>,
    random: HashMap<Operation, (SmallRng, Vec<(f64, Fault)>)>,
    calls: HashMap<Operation, u64>,
    on_their_way: Vec<Append>,
}

impl Plan {
    fn draw(&mut self, operation: Operation) -> Option<Fault> {
        *self.calls.entry(operation).or_default() += 1;
        if let Some(fault) = self.scripts.get_mut(&operation).and_then(VecDeque::pop_front) {
            return Some(fault);
        }
        let (random, chances) = self.random.get_mut(&operation)?;
        let mut left: f64 = random.random();
        let drawn = chances.iter().find(|(chance, _)| {
            left -= chance;
            left < 0.0
        });
        drawn.map(|(_, fault)| fault.clone())
    }
}

impl Faults {
    /// Lets a fault happen to the next call of an operation, after those that were put before it.
    pub fn next(&self, operation: Operation, fault: Fault) {
        self.next_times(operation, fault, 1);
    }

    /// Lets a fault happen to each of the next `times` calls of an operation.
    pub fn next_times(&self, operation: Operation, fault: Fault, times: usize) {
        let mut plan = self.plan();
        plan.scripts.entry(operation).or_default().extend(std::iter::repeat_n(fault, times));
    }

    /// Lets faults happen to an operation by chance, each with a probability of 0 to 1, drawn from a seed: the same calls meet
    /// the same faults. Replaces what was set for the operation before.
    pub fn randomly(&self, operation: Operation, seed: u64, chances: impl IntoIterator<Item = (f64, Fault)>) {
        let random = (SmallRng::seed_from_u64(seed), chances.into_iter().collect());
        self.plan().random.insert(operation, random);
    }

    /// Lets nothing happen any more. What is on its way stays so.
    pub fn clear(&self) {
        let mut plan = self.plan();
        plan.scripts.clear();
        plan.random.clear();
    }

    /// How often an operation was called, with and without a fault.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.plan().calls.get(&operation).copied().unwrap_or_default()
    }

    /// Carries out every append that was to land later, in the order in which they were sent. Their answers are lost; what
    /// comes back says what became of them.
    pub async fn land(&self) -> Vec<Result<Receipt, Error>> {
        let appends = std::mem::take(&mut self.plan().on_their_way);
        let mut landed = Vec::with_capacity(appends.len());
        for append in appends {
            landed.push(self.0.events.append(append).await);
        }
        landed
    }

    // Nothing panics while it holds this lock, so a poisoned one protects a whole state.
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a call under the fault that is drawn for it.
    async fn call<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let drawn = self.plan().draw(operation);
        self.under(drawn, operation, call).await
    }

    async fn under<T>(
        &self,
        fault: Option<Fault>,
        operation: Operation,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match fault {
            None => call.await,
            Some(Fault::NotSent) => Err(ErrorKind::Unavailable("injected fault, not sent".to_owned()).into()),
            Some(Fault::ReplyLost) => {
                drop(call.await);
                let message = "injected fault, reply lost".to_owned();
                let writes = operation.writes();
                let kind =
                    if writes { ErrorKind::Indeterminate(message) } else { ErrorKind::Unavailable(message) };
                Err(kind.into())
            }
            Some(Fault::Delayed(time)) => {
                sleep(time).await;
                call.await
            }
            Some(Fault::Refused(kind)) => Err(kind.into()),
            Some(fault) => {
                let message = format!("the injected fault {fault:?} does not apply to {operation:?}");
                Err(ErrorKind::Internal(message).into())
            }
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("events", &self.0.events).finish_non_exhaustive()
    }
}

/// A store that does what another one does, but for the faults that [`Faults`] asks for.
///
/// Its subscriptions pull by [`read`](EventStore::read), so that they meet the faults of reads.
///
/// ```
/// use annalist_core::{ErrorKind, EventStore, Query, Read};
/// use annalist_engine::fault::{Fault, FaultyStore, Operation};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = FaultyStore::new(annalist_memory::MemoryStore::new());
/// store.faults().next(Operation::Read, Fault::NotSent);
/// assert!(store.read(Read::log(Query::all())).await.is_err());
/// assert!(store.read(Read::log(Query::all())).await.is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FaultyStore {
    faults: Faults,
}

impl FaultyStore {
    /// Wraps a backend; no fault happens yet.
    #[must_use]
    pub fn new<B: EventStore + SnapshotStore + CheckpointStore>(backend: B) -> Self {
        let backend = Arc::new(backend);
        Self::from_parts(backend.clone(), backend.clone(), backend)
    }

    /// Wraps the parts of a store.
    #[must_use]
    pub fn from_parts(
        events: Arc<dyn EventStore>,
        snapshots: Arc<dyn SnapshotStore>,
        checkpoints: Arc<dyn CheckpointStore>,
    ) -> Self {
        let shared = Shared { events, snapshots, checkpoints, plan: Mutex::default() };
        Self { faults: Faults(Arc::new(shared)) }
    }

    /// What says which faults happen.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    fn inner(&self) -> &Shared {
        &self.faults.0
    }
}

#[async_trait]
#[deny(
    clippy::missing_trait_methods,
    reason = "a method that is not forwarded would bypass the store beneath"
)]
impl EventStore for FaultyStore {
    async fn append(&self, append: Append) -> Result<Receipt, Error> {
        let fault = self.faults.plan().draw(Operation::Append);
        if fault == Some(Fault::LandsLater) {
            self.faults.plan().on_their_way.push(append);
            return Err(ErrorKind::Indeterminate("injected fault, still on its way".to_owned()).into());
        }
        self.faults.under(fault, Operation::Append, self.inner().events.append(append)).await
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.faults.call(Operation::Read, self.inner().events.read(read)).await
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        let begin = crate::subscribe(Arc::new(self.clone()), subscribe);
        self.faults.call(Operation::Subscribe, begin).await
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        self.inner().events.wait_for_more(after).await
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner().events.capabilities()
    }

    async fn close(&self) -> Result<(), Error> {
        self.inner().events.close().await
    }
}

#[async_trait]
#[deny(
    clippy::missing_trait_methods,
    reason = "a method that is not forwarded would bypass the store beneath"
)]
impl SnapshotStore for FaultyStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.faults.call(Operation::SaveSnapshot, self.inner().snapshots.save_snapshot(snapshot)).await
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        let load = self.inner().snapshots.load_snapshot(stream, schema, at_most);
        self.faults.call(Operation::LoadSnapshot, load).await
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        let prune = self.inner().snapshots.prune_snapshots(stream, schema, keep);
        self.faults.call(Operation::PruneSnapshots, prune).await
    }
}

#[async_trait]
#[deny(
    clippy::missing_trait_methods,
    reason = "a method that is not forwarded would bypass the store beneath"
)]
impl CheckpointStore for FaultyStore {
    async fn claim_checkpoint(&self, name: &CheckpointName) -> Result<Claim, Error> {
        self.faults.call(Operation::ClaimCheckpoint, self.inner().checkpoints.claim_checkpoint(name)).await
    }

    async fn save_checkpoint(&self, owner: &Owner, position: Position) -> Result<(), Error> {
        let mut fault = self.faults.plan().draw(Operation::SaveCheckpoint);
        if fault == Some(Fault::Fenced) {
            self.inner().checkpoints.claim_checkpoint(owner.name()).await?;
            fault = None;
        }
        let save = self.inner().checkpoints.save_checkpoint(owner, position);
        self.faults.under(fault, Operation::SaveCheckpoint, save).await
    }

    async fn load_checkpoint(&self, name: &CheckpointName) -> Result<Option<Checkpoint>, Error> {
        self.faults.call(Operation::LoadCheckpoint, self.inner().checkpoints.load_checkpoint(name)).await
    }

    async fn reset_checkpoint(&self, name: &CheckpointName, position: Position) -> Result<Owner, Error> {
        let reset = self.inner().checkpoints.reset_checkpoint(name, position);
        self.faults.call(Operation::ResetCheckpoint, reset).await
    }
}
