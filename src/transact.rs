//! Reading, deciding and appending, again and again until nobody came between.

use annalist_core::{Append, Conflict, Error, ErrorKind, Query, Read, Receipt, Source, StreamId};
use futures::future::try_join_all;

use crate::retry::{Attempts, Retry};
use crate::trace;
use crate::{Past, Store};
use tracing::Instrument;

/// What a decision rests on: one read, or several.
///
/// A [`Read`], a stream or a query gives its decision one [`Past`]; an array of them gives an array.
///
/// ```
/// use annalist::{Query, Reads, StreamId};
///
/// # fn takes(_: impl Reads) {}
/// let [from, to] = [StreamId::new("Account-1")?, StreamId::new("Account-2")?];
/// takes(&from);
/// takes([&from, &to]);
/// takes(Query::tags(["email:ada@example.org"]));
/// # Ok::<(), annalist::Error>(())
/// ```
pub trait Reads: sealed::Sealed {
    /// What the decision is given.
    type Past;

    /// The reads, in their order.
    #[doc(hidden)]
    fn reads(self) -> Vec<Read>;

    /// What the reads gave, in their order.
    #[doc(hidden)]
    fn joined(pasts: Vec<Past>) -> Self::Past;
}

/// Keeps the trait closed, so that its methods can change.
mod sealed {
    pub trait Sealed {}
}

macro_rules! one_read {
    ($($type:ty),*) => {$(
        impl sealed::Sealed for $type {}

        impl Reads for $type {
            type Past = Past;

            fn reads(self) -> Vec<Read> {
                vec![self.into()]
            }

            fn joined(mut pasts: Vec<Past>) -> Past {
                pasts.pop().expect("one read gives one past")
            }
        }
    )*};
}

one_read!(Read, &StreamId, Query);

impl<T: Into<Read>, const N: usize> sealed::Sealed for [T; N] {}

impl<T: Into<Read>, const N: usize> Reads for [T; N] {
    type Past = [Past; N];

    fn reads(self) -> Vec<Read> {
        self.into_iter().map(Into::into).collect()
    }

    fn joined(pasts: Vec<Past>) -> [Past; N] {
        pasts.try_into().expect("every read gives one past")
    }
}

impl Store {
    /// Reads, lets `decide` make an append of it, and commits that; if someone else came between (`Conflict`), reads and
    /// decides again.
    ///
    /// The decision must be made of what it is given: it runs once per attempt. It may say that there is nothing to do
    /// (`Ok(None)`), or fail with an error of its own, which ends it. What it read must stand in its append, as the version of
    /// a stream or as a condition, or the append is not protected against what came between.
    ///
    /// An append whose answer is lost is sent again as it is, before anything is decided anew (I1).
    ///
    /// Transactions of one store and its clones that have collided over a stream take turns there until none of them waits any more, so that what
    /// is read is not in vain. Other processes, and appends outside a transaction, know nothing of that.
    ///
    /// # Errors
    ///
    /// The decision's own error; [`Conflict`](ErrorKind::Conflict) if `retry` is used up; else as
    /// [`append_retrying`](Self::append_retrying).
    ///
    /// ```
    /// use annalist::{Append, Error, NewEvent, Retry, StreamId};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> annalist::Result<()> {
    /// # let store = annalist::connect("memory:").await?;
    /// let seat = StreamId::new("Seat-12A")?;
    /// let reserved = store
    ///     .transact(&seat, Retry::default(), |past| -> Result<_, Error> {
    ///         if !past.events.is_empty() {
    ///             return Ok(None);
    ///         }
    ///         Ok(Some(Append::to(&seat, past.version, [NewEvent::new("SeatReserved", "{}")?])))
    ///     })
    ///     .await?;
    /// assert!(reserved.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn transact<R, D, E>(
        &self,
        reads: R,
        retry: Retry,
        decide: impl FnMut(R::Past) -> Result<D, E>,
    ) -> Result<Option<Receipt>, E>
    where
        R: Reads,
        D: Into<Option<Append>>,
        E: From<Error>,
    {
        let reads = reads.reads();
        let span = trace::transact(reads.len());
        let mut attempts = retry.start();
        let outcome = self.attempt::<R, D, E>(&reads, &mut attempts, decide).instrument(span.clone()).await;
        span.record("attempts", attempts.made());
        trace::transacted(&span, &outcome);
        outcome.map_err(|failure| match failure {
            Failure::Store(error) => error.into(),
            Failure::Decision(error) => error,
        })
    }

    async fn attempt<R: Reads, D: Into<Option<Append>>, E>(
        &self,
        reads: &[Read],
        attempts: &mut Attempts,
        mut decide: impl FnMut(R::Past) -> Result<D, E>,
    ) -> Result<Option<Receipt>, Failure<E>> {
        let mut turn = self.turns.join(streams(reads), attempts.time_left()).await;
        loop {
            let pasts = self.read_each(reads, attempts).await.map_err(Failure::Store)?;
            let decision = decide(R::joined(pasts)).map_err(Failure::Decision)?;
            let Some(append) = decision.into() else { return Ok(None) };
            let conflict = match self.send(&append, attempts).await {
                Ok(receipt) => return Ok(Some(receipt)),
                Err(error) if matches!(error.kind(), ErrorKind::Conflict(_)) => error,
                Err(error) => return Err(Failure::Store(error)),
            };
            let goes_on = match conflict.kind() {
                // Those who came between are done when the turn has come, so that there is no need for a pause.
                ErrorKind::Conflict(Conflict::Version { stream, .. }) if turn.is_none() => {
                    let goes_on = attempts.at_once(&conflict);
                    if goes_on {
                        turn = Some(self.turns.take(stream, attempts.time_left()).await);
                    }
                    goes_on
                }
                _ => attempts.again(&conflict).await,
            };
            if !goes_on {
                return Err(Failure::Store(conflict));
            }
        }
    }

    /// Reads all of them, again for as long as the store cannot be reached.
    async fn read_each(&self, reads: &[Read], attempts: &mut Attempts) -> Result<Vec<Past>, Error> {
        loop {
            let error = match try_join_all(reads.iter().map(|read| self.read_all(read.clone()))).await {
                Ok(pasts) => return Ok(pasts),
                Err(error) => error,
            };
            if !matches!(error.kind(), ErrorKind::Unavailable(_)) || !attempts.again(&error).await {
                return Err(error);
            }
        }
    }
}

/// The streams that are read as such.
fn streams(reads: &[Read]) -> impl Iterator<Item = &StreamId> {
    reads.iter().filter_map(|read| match read.source() {
        Source::Stream(stream) => Some(stream),
        _ => None,
    })
}

/// Who failed: the store, or the decision.
pub(crate) enum Failure<E> {
    Store(Error),
    Decision(E),
}
