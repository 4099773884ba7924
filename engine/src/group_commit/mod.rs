//! Group commit: many appends travel to the store as one.
//!
//! A round trip and a commit cost a store about the same for one append as for a hundred. So appends are not sent one by
//! one but wait in a queue, and one task takes whatever has gathered while the last batch was in flight, sends it as one,
//! and answers each caller for itself. Nobody waits for a batch to fill: the first append goes at once, and batches grow
//! by themselves as the store falls behind. Where a total order makes appends take turns, that is worth more than any
//! choice of ordering scheme. A backend gives a [`BatchWriter`] and appends through a [`GroupCommit`].
//!
//! # What it guarantees
//!
//! - **One at a time, in order.** One batch is in flight. Of two appends that touch one another (see [`Mates`]), the one
//!   that came first goes first, and under [`Mates::Apart`] in a batch of its own.
//! - **Twins share (I4).** An append that asks for exactly the same as one that waits or is in flight is not sent: both
//!   get one result, of which one caller alone is told that it wrote. Appends without events write nothing, and are
//!   verified each for itself. A caller that came while its twin was in flight never gets a refusal that was decided before
//!   it came, unless it is one that stays true.
//! - **A dropped future (C1)** withdraws its append, which is certainly absent then, as long as it is in no batch and no
//!   twin waits for it. One in flight completes in the background.
//! - **A deadline (C2)** that passes in the queue, or before it while it is full, is `Unavailable`; in flight it is
//!   `Indeterminate`. Places in a full queue are given in the order of arrival. A reply that does not come within
//!   [`Config::attempt_timeout`] counts as lost.
//! - **Faults are bridged (E1).** What was not sent, or whose reply was lost, is sent again after a pause that doubles,
//!   until the deadline of each append. Meanwhile other appends go on, unless they touch it. Once any attempt may have
//!   left, the answer is a receipt, `Indeterminate`, or a refusal that can never become untrue; any other refusal becomes
//!   the source of an `Indeterminate`. An append whose deadline has passed is not sent again.
//! - **No append harms another (C3).** A batch that is refused for its data, or whose reply was lost, is halved until
//!   whatever broke it is alone; only the culprit gets the error.
//! - **Nobody waits for ever (E3).** A writer that panics, or gives the wrong number of answers, is an `Indeterminate`
//!   for its batch and a logged error, and the next batch goes on. So does the end of the runtime.
//! - **Nothing runs while nothing waits.** The task lives while there is something to do, and is started anew by the next
//!   append. [`GroupCommit::close`] flushes; after dropping, only what is in flight is finished.
//!
//! ```
//! use std::sync::Arc;
//! use annalist_core::{Append, Error, EventStore, ExpectedVersion, NewEvent, Receipt, StreamId, Version};
//! use annalist_engine::group_commit::{BatchError, BatchWriter, Config, GroupCommit, Mates};
//! use annalist_memory::MemoryStore;
//!
//! struct Writer(MemoryStore);
//!
//! #[async_trait::async_trait]
//! impl BatchWriter for Writer {
//!     async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
//!         let mut answers = Vec::with_capacity(batch.len());
//!         for append in batch {
//!             answers.push(self.0.append(append.clone()).await);
//!         }
//!         Ok(answers)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! let mut config = Config::default();
//! config.mates = Mates::InOrder;
//! let commits = GroupCommit::new(Arc::new(Writer(MemoryStore::new())), config);
//!
//! let order = StreamId::new("Order-7")?;
//! let placed = Append::to(&order, ExpectedVersion::NoStream, [NewEvent::new("OrderPlaced", "{}")?]);
//! let paid = Append::to(&order, Version::FIRST, [NewEvent::new("OrderPaid", "{}")?]);
//! // Both travel in one batch, and are decided in order.
//! let (placed, paid) = tokio::join!(commits.append(placed), commits.append(paid));
//! assert_eq!(placed?.version_of(&order), Some(Version::new(1)));
//! assert_eq!(paid?.version_of(&order), Some(Version::new(2)));
//!
//! commits.close().await;
//! # Ok(())
//! # }
//! ```

mod committer;
mod config;
mod entry;
mod pick;
mod queue;
mod touch;
mod verdict;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use annalist_core::{Append, Error, ErrorKind, Receipt};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

pub use config::{Config, Mates};
pub use touch::Touching;
pub use writer::{BatchError, BatchWriter};

use crate::later;
use committer::Shared;
use entry::Answer;
use queue::{Entered, Queue};

/// A queue of appends and the task that sends them in batches; see the [module](self) for what it guarantees.
///
/// ```
/// use std::sync::Arc;
/// use annalist_core::{Append, Error, ErrorKind, EventStore, ExpectedVersion, NewEvent, Receipt, StreamId};
/// use annalist_engine::group_commit::{BatchError, BatchWriter, Config, GroupCommit};
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
/// let commits = GroupCommit::new(Arc::new(writer), Config::default());
/// let append = Append::to(&StreamId::new("Order-7")?, ExpectedVersion::Any, [NewEvent::new("OrderPlaced", "{}")?]);
/// // Twins: one is sent, both get the same versions and positions.
/// let (first, second) = tokio::join!(commits.append(append.clone()), commits.append(append.clone()));
/// assert_eq!(first?.position(), second?.position());
///
/// commits.close().await;
/// let refused = commits.append(append).await.expect_err("closed");
/// assert_eq!(refused.kind(), &ErrorKind::Closed);
/// # Ok(())
/// # }
/// ```
pub struct GroupCommit {
    shared: Arc<Shared>,
    timeout: Duration,
}

impl GroupCommit {
    /// A group commit over a writer, with nothing in its queue and no task.
    #[must_use]
    pub fn new(writer: Arc<impl BatchWriter>, config: Config) -> Self {
        let timeout = config.timeout;
        Self { shared: Arc::new(Shared::new(writer, Queue::new(config))), timeout }
    }

    /// Sends an append with the next batch that it can go in, and waits for its answer, until its deadline at most.
    ///
    /// It has its place in the order of arrival from the first poll on. Dropping the future withdraws it if it is in no
    /// batch yet.
    ///
    /// # Errors
    ///
    /// What the writer answers; [`ErrorKind::Unavailable`] and [`ErrorKind::Indeterminate`] at the deadline;
    /// [`ErrorKind::Closed`]; [`ErrorKind::Misconfigured`] outside a Tokio runtime.
    ///
    /// # Panics
    ///
    /// If the Tokio runtime has no timer, as Tokio's own timeouts do.
    pub async fn append(&self, append: Append) -> Result<Receipt, Error> {
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Misconfigured("a Tokio runtime is needed".into())).with_source(error)
        })?;
        let deadline = later(Instant::now(), append.timeout_after().unwrap_or(self.timeout));
        let entered = self.shared.queue().enter(append, deadline)?;
        self.shared.stir(entered.stir, &runtime);
        Ticket { shared: &self.shared, runtime, entered, is_answered: false }.wait(deadline).await
    }

    /// Refuses whatever comes from now on, and waits until all that came before is answered, and what is in flight has
    /// ended. A second time waits as well, and does nothing else.
    pub async fn close(&self) {
        self.shared.queue().close();
        loop {
            // Made before the look, so that an end between the two is not missed.
            let ended = self.shared.ended.notified();
            if !self.shared.queue().is_served() {
                return;
            }
            ended.await;
        }
    }
}

impl fmt::Debug for GroupCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupCommit").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// The place of one caller in the queue, given up when it is dropped.
struct Ticket<'a> {
    shared: &'a Arc<Shared>,
    runtime: Handle,
    entered: Entered,
    is_answered: bool,
}

impl Ticket<'_> {
    async fn wait(mut self, deadline: Instant) -> Answer {
        match timeout_at(deadline, &mut self.entered.answer).await {
            Ok(Ok(answer)) => {
                self.is_answered = true;
                answer
            }
            Ok(Err(_)) => Err(verdict::indeterminate("the group commit lost the append", None)),
            Err(_) => self.overdue(),
        }
    }

    fn overdue(&mut self) -> Answer {
        match self.shared.queue().overdue(self.entered.arrival) {
            Some(error) => Err(error),
            // Answered between the clock's look and this one.
            None => self
                .entered
                .answer
                .try_recv()
                .unwrap_or_else(|_| Err(verdict::indeterminate("no answer", None))),
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            let stir = self.shared.queue().leave(self.entered.arrival, self.entered.number, Instant::now());
            self.shared.stir(stir, &self.runtime);
        }
    }
}
