//! What a backend gives: how one batch is written.

use std::sync::Arc;

use annalist_core::{Append, Error, Receipt};
use async_trait::async_trait;

/// Writes batches, one at a time: what a backend gives to a [`GroupCommit`](super::GroupCommit).
///
/// # Contract
///
/// - Each append must be decided as the contract of [`EventStore`](annalist_core::EventStore) demands, by its own right:
///   a batch is a way to travel, not a transaction. The same append may come again in a batch of any other mates, after an
///   earlier attempt landed, or while it may yet land, and must be answered as a retry then (I1).
/// - The answers must be those of the appends, one for each, in their order.
/// - Appends are sent again, until their deadlines, when their answer is [`ErrorKind::Unavailable`] (certainly not
///   written) or [`ErrorKind::Indeterminate`], each by itself, or when the whole batch fails as [`BatchError`] tells. So
///   a writer answers `Unavailable` for an append that would hold up its mates, such as one whose row is locked elsewhere
///   (and, under [`Mates::InOrder`](super::Mates), for those behind it that touch it, or they overtake it).
/// - The future is dropped when no reply comes in time. It must leave nothing half done that a later batch could meet:
///   no open transaction on a connection that is used again.
///
/// [`ErrorKind::Unavailable`]: annalist_core::ErrorKind::Unavailable
/// [`ErrorKind::Indeterminate`]: annalist_core::ErrorKind::Indeterminate
///
/// ```
/// use annalist_core::{Append, Error, EventStore, Receipt};
/// use annalist_engine::group_commit::{BatchError, BatchWriter};
/// use annalist_memory::MemoryStore;
///
/// /// Decides the appends of a batch in order.
/// struct Writer(MemoryStore);
///
/// #[async_trait::async_trait]
/// impl BatchWriter for Writer {
///     async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
///         let mut answers = Vec::with_capacity(batch.len());
///         for append in batch {
///             answers.push(self.0.append(append.clone()).await);
///         }
///         Ok(answers)
///     }
/// }
/// ```
#[async_trait]
pub trait BatchWriter: Send + Sync + 'static {
    /// Makes ready for a batch: a connection, say. Called before each, and nothing may leave in it, so that whatever goes wrong here, also
    /// a time-out, leaves no doubt.
    ///
    /// # Errors
    ///
    /// [`BatchError::NotSent`].
    async fn ready(&self) -> Result<(), BatchError> {
        Ok(())
    }

    /// Looks up what the batch needs, which is known from now on. Called after [`ready`](Self::ready), and nothing may leave in it either.
    ///
    /// # Errors
    ///
    /// [`BatchError::NotSent`].
    async fn prepare(&self, batch: &[Append]) -> Result<(), BatchError> {
        let _ = batch;
        Ok(())
    }

    /// Writes one batch and answers each of its appends, in their order.
    ///
    /// # Errors
    ///
    /// [`BatchError`] where no append has an answer of its own.
    async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError>;
}

/// A shared writer is a writer: one that is chosen while the program runs.
#[async_trait]
impl<W: BatchWriter + ?Sized> BatchWriter for Arc<W> {
    async fn ready(&self) -> Result<(), BatchError> {
        (**self).ready().await
    }

    async fn prepare(&self, batch: &[Append]) -> Result<(), BatchError> {
        (**self).prepare(batch).await
    }

    async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        (**self).write(batch).await
    }
}

/// Why a whole batch has no answers, told apart by what may have become of it.
///
/// ```
/// use annalist_core::{Error, ErrorKind};
/// use annalist_engine::group_commit::BatchError;
///
/// fn refused(_: std::io::Error) -> BatchError {
///     BatchError::NotSent(ErrorKind::Unavailable("no connection".into()).into())
/// }
/// # let error = refused(std::io::ErrorKind::ConnectionRefused.into());
/// # assert!(matches!(error, BatchError::NotSent(_)));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BatchError {
    /// Certainly nothing of it was, or ever will be, committed. Where the error is [`Unavailable`](annalist_core::ErrorKind::Unavailable) it is sent
    /// again; any other kind is the answer to each of its appends.
    NotSent(Error),
    /// It may have landed, or may yet: the reply was lost.
    Unknown(Error),
    /// It was refused as a whole, and nothing committed, because of what one or some of its appends hold. The error is
    /// the answer for an append that is refused alone.
    BadData(Error),
}
