//! Where a consumer stands, and who may say so.

use std::fmt;

use async_trait::async_trait;

use crate::{CheckpointName, Error, EventId, LogId, Position};

/// The right to move a checkpoint, until someone else claims it.
///
/// ```
/// use annalist_core::{CheckpointName, CheckpointStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let name = CheckpointName::new("mailer")?;
/// let first = store.claim_checkpoint(&name).await?.owner;
/// let second = store.claim_checkpoint(&name).await?.owner;
/// assert!(second.epoch() > first.epoch());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Owner {
    pub(crate) name: CheckpointName,
    pub(crate) epoch: u64,
}

impl Owner {
    /// The checkpoint that is owned.
    #[must_use]
    pub fn name(&self) -> &CheckpointName {
        &self.name
    }

    /// The number of the claim; every later claim of the same name has a higher one.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// A stored place in a log.
///
/// ```
/// use annalist_core::{CheckpointName, CheckpointStore, Position};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let claim = store.claim_checkpoint(&CheckpointName::new("mailer")?).await?;
/// assert_eq!(claim.checkpoint, None);
/// store.save_checkpoint(&claim.owner, Position::START).await?;
/// let stored = store.load_checkpoint(claim.owner.name()).await?;
/// assert_eq!(stored.map(|checkpoint| checkpoint.position), Some(Position::START));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Everything at or below it has been handled.
    pub position: Position,
    /// The log that the position belongs to.
    pub log: LogId,
    /// The event at or before the position when it was saved; `None` where there was none.
    pub event: Option<EventId>,
}

impl Checkpoint {
    pub(crate) fn from_parts(position: Position, log: LogId, event: Option<EventId>) -> Self {
        Self { position, log, event }
    }
}

/// What a claim gives.
///
/// ```
/// use annalist_core::{CheckpointName, CheckpointStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let claim = store.claim_checkpoint(&CheckpointName::new("mailer")?).await?;
/// assert_eq!(claim.owner.name().as_str(), "mailer");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Claim {
    /// The right to save.
    pub owner: Owner,
    /// Where to resume; `None` where nothing was saved yet.
    pub checkpoint: Option<Checkpoint>,
}

impl Claim {
    pub(crate) fn from_parts(owner: Owner, checkpoint: Option<Checkpoint>) -> Self {
        Self { owner, checkpoint }
    }
}

/// Keeps the places of consumers.
///
/// # Contract
///
/// - **S5 claims.** [`claim_checkpoint`](Self::claim_checkpoint) must make a new owner with a higher epoch and fence all
///   earlier ones at once; no lease and no clock may take part in that.
/// - **S5 saves.** A save at or below the stored position must change nothing and succeed; a save of a fenced owner must be
///   refused as [`ErrorKind::Fenced`](crate::ErrorKind::Fenced), whatever its position.
/// - **S5 history.** A checkpoint must keep the id of its log and of the event at or before its position. Claiming and
///   loading must verify both against the log as it is now, and a difference must be
///   [`ErrorKind::WrongHistory`](crate::ErrorKind::WrongHistory), which claims nothing. A position of another log or past
///   the head must be refused likewise when it is saved.
/// - **R3** A load must see every save that was acknowledged before it began.
/// - Names must be independent of one another, and of other namespaces.
/// - Dropping a future at any point must corrupt nothing (C1).
///
/// ```
/// use annalist_core::{CheckpointName, CheckpointStore, ErrorKind, Position};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let name = CheckpointName::new("mailer")?;
/// let old = store.claim_checkpoint(&name).await?.owner;
/// let new = store.claim_checkpoint(&name).await?.owner;
///
/// store.save_checkpoint(&new, Position::START).await?;
/// let refused = store.save_checkpoint(&old, Position::START).await.expect_err("fenced");
/// assert!(matches!(refused.kind(), ErrorKind::Fenced(_)));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait CheckpointStore: Send + Sync + fmt::Debug + 'static {
    /// Makes the caller the owner of a checkpoint, in place of any earlier one, and tells where to resume.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongHistory`](crate::ErrorKind::WrongHistory) if the stored place is not in this log any more; then
    /// nobody is fenced, and [`reset_checkpoint`](Self::reset_checkpoint) is the way on.
    async fn claim_checkpoint(&self, name: &CheckpointName) -> Result<Claim, Error>;

    /// Moves a checkpoint forward; at or below the stored position it does nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Fenced`](crate::ErrorKind::Fenced) if another owner has claimed it since,
    /// [`ErrorKind::WrongHistory`](crate::ErrorKind::WrongHistory) if the position is of another log or past the head.
    async fn save_checkpoint(&self, owner: &Owner, position: Position) -> Result<(), Error>;

    /// Where a checkpoint stands; `None` where nothing was saved yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongHistory`](crate::ErrorKind::WrongHistory) if the stored place is not in this log any more.
    async fn load_checkpoint(&self, name: &CheckpointName) -> Result<Option<Checkpoint>, Error>;

    /// Claims a checkpoint and puts it at a position, also backward and also out of a wrong history. An operator's act:
    /// every running consumer of that name is fenced.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongHistory`](crate::ErrorKind::WrongHistory) if the new position is of another log or past the head.
    async fn reset_checkpoint(&self, name: &CheckpointName, position: Position) -> Result<Owner, Error>;
}
