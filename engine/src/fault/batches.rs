//! Faults of the way that batches take: between the queue of a group commit and the store.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use annalist_core::{Append, Error, ErrorKind, EventId, Receipt};
use async_trait::async_trait;
use tokio::sync::Notify;

use crate::group_commit::{BatchError, BatchWriter};

/// Breaks the way of batches to a store, and heals it. Clones are for the same way, on which any number of writers may send.
///
/// ```
/// use std::sync::Arc;
/// use annalist_core::{Append, Error, EventStore, ExpectedVersion, NewEvent, Receipt, StreamId};
/// use annalist_engine::GroupCommit;
/// use annalist_engine::fault::BatchFaults;
/// use annalist_engine::group_commit::{BatchError, BatchWriter, Config};
///
/// # struct Writer(annalist_memory::MemoryStore);
/// # #[async_trait::async_trait]
/// # impl BatchWriter for Writer {
/// #     async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
/// #         let mut answers = Vec::with_capacity(batch.len());
/// #         for append in batch {
/// #             answers.push(self.0.append(append.clone()).await);
/// #         }
/// #         Ok(answers)
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let writer = Writer(annalist_memory::MemoryStore::new());
/// let faults = BatchFaults::default();
/// let commits = GroupCommit::new(Arc::new(faults.before(Arc::new(writer))), Config::default());
///
/// faults.lose_replies(1);
/// let append = Append::to(&StreamId::new("Order-7")?, ExpectedVersion::Any, [NewEvent::new("OrderPlaced", "{}")?]);
/// // It is sent again, and found.
/// assert!(commits.append(append).await?.already_committed());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct BatchFaults(Arc<Way>);

#[derive(Default)]
struct Way {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    fault: Fault,
    held: Vec<EventId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Fault {
    #[default]
    None,
    Refuse(u32),
    LoseReplies(u32),
    Stall,
}

impl BatchFaults {
    /// Lets everything through, and whatever was held up.
    pub fn heal(&self) {
        self.set(Fault::None);
    }

    /// The next so many batches are not sent.
    pub fn refuse(&self, batches: u32) {
        self.set(if batches == 0 { Fault::None } else { Fault::Refuse(batches) });
    }

    /// The next so many batches are carried out, and their replies are lost.
    pub fn lose_replies(&self, batches: u32) {
        self.set(if batches == 0 { Fault::None } else { Fault::LoseReplies(batches) });
    }

    /// Batches are held up on their way, until the fault is another one; then they arrive, even where nobody waits for them any more.
    pub fn stall(&self) {
        self.set(Fault::Stall);
    }

    /// The ids of the events that are held up.
    #[must_use]
    pub fn held(&self) -> Vec<EventId> {
        self.state().held.clone()
    }

    /// Whether the next batch must not leave at all, which uses up one of those refused: for a writer that has a way of its own beyond.
    #[must_use]
    pub fn refuses(&self) -> bool {
        let refuses = matches!(self.state().fault, Fault::Refuse(_));
        refuses && matches!(self.meet(), Fault::Refuse(_))
    }

    /// A writer that sends its batches this way to another.
    #[must_use]
    pub fn before(&self, writer: Arc<dyn BatchWriter>) -> FaultyWriter {
        FaultyWriter { faults: self.clone(), writer }
    }

    fn set(&self, fault: Fault) {
        self.state().fault = fault;
        self.0.changed.notify_waiters();
    }

    // Nothing panics while it holds this lock, so a poisoned one protects a whole state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that the next batch meets, which uses up one of them.
    fn meet(&self) -> Fault {
        let mut state = self.state();
        let met = state.fault;
        state.fault = match met {
            Fault::Refuse(n) if n > 1 => Fault::Refuse(n - 1),
            Fault::LoseReplies(n) if n > 1 => Fault::LoseReplies(n - 1),
            Fault::Stall => Fault::Stall,
            _ => Fault::None,
        };
        met
    }

    async fn hold(&self, batch: &[Append]) {
        let ids: Vec<_> = batch.iter().flat_map(Append::events).map(|(_, event)| event.id()).collect();
        self.state().held.extend(&ids);
        loop {
            // Made before the look: a change between the two is not lost.
            let changed = self.0.changed.notified();
            if self.state().fault != Fault::Stall {
                break;
            }
            changed.await;
        }
        self.state().held.retain(|id| !ids.contains(id));
    }
}

impl fmt::Debug for BatchFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchFaults").field("held", &self.state().held.len()).finish_non_exhaustive()
    }
}

/// A writer whose way is broken at will, see [`BatchFaults`].
///
/// ```
/// # fn example(writer: std::sync::Arc<dyn annalist_engine::group_commit::BatchWriter>) {
/// let faults = annalist_engine::fault::BatchFaults::default();
/// let faulty: annalist_engine::fault::FaultyWriter = faults.before(writer);
/// # }
/// ```
pub struct FaultyWriter {
    faults: BatchFaults,
    writer: Arc<dyn BatchWriter>,
}

impl fmt::Debug for FaultyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyWriter").field("faults", &self.faults).finish_non_exhaustive()
    }
}

fn lost() -> BatchError {
    BatchError::Unknown(ErrorKind::Indeterminate("the reply was lost".into()).into())
}

#[async_trait]
impl BatchWriter for FaultyWriter {
    async fn ready(&self) -> Result<(), BatchError> {
        self.writer.ready().await
    }

    async fn prepare(&self, batch: &[Append]) -> Result<(), BatchError> {
        self.writer.prepare(batch).await
    }

    async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        let met = self.faults.meet();
        if matches!(met, Fault::Refuse(_)) {
            return Err(BatchError::NotSent(ErrorKind::Unavailable("the way is broken".into()).into()));
        }
        // In a task: what has been sent arrives, also where nobody waits for the reply any more.
        let (faults, writer, batch) = (self.faults.clone(), self.writer.clone(), batch.to_vec());
        let travelling = tokio::spawn(async move {
            if met == Fault::Stall {
                faults.hold(&batch).await;
            }
            writer.write(&batch).await
        });
        match travelling.await {
            Ok(_) if matches!(met, Fault::LoseReplies(_)) => Err(lost()),
            Ok(answers) => answers,
            Err(_) => Err(lost()),
        }
    }
}
