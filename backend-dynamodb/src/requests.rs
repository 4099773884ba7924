//! Requests that are sent until they are answered: again after what passes, in pieces where the service takes no more at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annalist_core::{Error, ErrorKind};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::error::{of_read, too_late};
use crate::table::{Condition, Failure, Fate, Found, Item, Key, Range, Table};

/// How many keys one request reads.
const GET_MAX: usize = 100;
/// How many items one request writes or deletes.
const WRITE_MAX: usize = 25;

/// Sends requests of one handle.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    table: Arc<dyn Table>,
    /// How long one answer is waited for.
    timeout: Duration,
    /// How many requests of one operation are in flight.
    at_once_max: usize,
    /// The time that a request takes, smoothed, in microseconds.
    round_trip: Arc<AtomicU64>,
}

/// The pause before a request is sent again is at most this.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// The round trip that is reckoned with before one was measured.
const ROUND_TRIP_FIRST: Duration = Duration::from_millis(5);

impl Requests {
    pub(crate) fn new(table: Arc<dyn Table>, timeout: Duration, at_once_max: usize) -> Self {
        let round_trip = Arc::new(AtomicU64::new(ROUND_TRIP_FIRST.as_micros() as u64));
        Self { table, timeout, at_once_max: at_once_max.max(1), round_trip }
    }

    pub(crate) fn round_trip(&self) -> Duration {
        Duration::from_micros(self.round_trip.load(Ordering::Relaxed))
    }

    /// A pause of any length up to a bound that doubles with each attempt, in proportion to the round trip: those who met once do not meet again.
    pub(crate) fn jitter(&self, attempt: u32) -> Duration {
        let bound = self.round_trip().saturating_mul(1 << attempt.min(10)).min(BACKOFF_MAX);
        bound.mul_f64(rand::random())
    }

    /// Sends a request once. What is not answered in time may have been carried out.
    async fn once<T>(
        &self,
        deadline: Instant,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        let answer = timeout_at(deadline.min(began + self.timeout), request).await.unwrap_or_else(|_| {
            let error = ErrorKind::Indeterminate("the service did not answer in time".into()).into();
            Err(Failure { fate: Fate::Unknown, error })
        });
        if answer.is_ok() {
            self.took(began.elapsed());
        }
        answer
    }

    fn took(&self, time: Duration) {
        let (known, time) = (self.round_trip.load(Ordering::Relaxed), time.as_micros() as u64);
        // Two that come at once may lose one of them, which does not matter.
        self.round_trip.store((known * 7 + time) / 8, Ordering::Relaxed);
    }

    /// Sends a request until it is answered, or the deadline leaves no time for another attempt.
    async fn until<T, R>(&self, deadline: Instant, request: impl Fn() -> R) -> Result<T, Failure>
    where
        R: Future<Output = Result<T, Failure>>,
    {
        let (mut attempt, mut is_unknown) = (0, false);
        loop {
            let failure = match self.once(deadline, request()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            is_unknown |= failure.fate == Fate::Unknown;
            let again_at = Instant::now() + self.jitter(attempt);
            if !failure.may_pass() || again_at >= deadline {
                let fate = if is_unknown { Fate::Unknown } else { Fate::NotDone };
                return Err(Failure { fate, ..failure });
            }
            sleep_until(again_at).await;
            attempt += 1;
        }
    }

    pub(crate) async fn get(&self, key: &Key, deadline: Instant) -> Result<Option<Item>, Error> {
        let keys = [key.clone()];
        let read = self.until(deadline, || self.table.get(&keys)).await.map_err(of_reading)?;
        Ok(read.0.into_iter().next())
    }

    /// The items of any number of distinct keys.
    pub(crate) async fn get_all(
        &self,
        keys: Vec<Key>,
        deadline: Instant,
    ) -> Result<HashMap<Key, Item>, Error> {
        let chunks = keys.chunks(GET_MAX).map(|chunk| self.get_chunk(chunk.to_vec(), deadline));
        let read = all(chunks.collect(), self.at_once_max).await?;
        Ok(read.into_iter().flatten().map(|item| (item.key.clone(), item)).collect())
    }

    async fn get_chunk(&self, mut keys: Vec<Key>, deadline: Instant) -> Result<Vec<Item>, Error> {
        let (mut found, mut attempt) = (Vec::new(), 0);
        while !keys.is_empty() {
            let (items, left) = self.until(deadline, || self.table.get(&keys)).await.map_err(of_reading)?;
            // Nothing was taken: the service wants to be left alone for a while.
            attempt = if items.is_empty() && !left.is_empty() { attempt + 1 } else { 0 };
            if attempt > 0 {
                self.pause(attempt, deadline).await?;
            }
            found.extend(items);
            keys = left;
        }
        Ok(found)
    }

    async fn pause(&self, attempt: u32, deadline: Instant) -> Result<(), Error> {
        let again_at = Instant::now() + self.jitter(attempt);
        if again_at >= deadline {
            return Err(too_late("the service left a part of the request for later until the deadline"));
        }
        sleep_until(again_at).await;
        Ok(())
    }

    pub(crate) async fn query(&self, range: &Range, deadline: Instant) -> Result<Found, Error> {
        self.until(deadline, || self.table.query(range)).await.map_err(of_reading)
    }

    /// The keys of a part of the table, and where to go on.
    pub(crate) async fn scan(
        &self,
        prefix: &str,
        after: Option<&Key>,
        deadline: Instant,
    ) -> Result<(Vec<Key>, Option<Key>), Error> {
        self.until(deadline, || self.table.scan(prefix, after)).await.map_err(of_reading)
    }

    /// Puts an item once, if the condition holds, else gives what stands in its place.
    pub(crate) async fn put_once(
        &self,
        item: &Item,
        condition: &Condition,
        deadline: Instant,
    ) -> Result<Result<(), Option<Item>>, Failure> {
        self.once(deadline, self.table.put_if(item, condition)).await
    }

    /// The same until it is answered. An attempt whose answer was lost may be what a later one finds in its place.
    pub(crate) async fn put_if(
        &self,
        item: &Item,
        condition: &Condition,
        deadline: Instant,
    ) -> Result<Result<(), Option<Item>>, Error> {
        self.until(deadline, || self.table.put_if(item, condition)).await.map_err(of_writing)
    }

    pub(crate) async fn put(&self, item: &Item, deadline: Instant) -> Result<(), Error> {
        self.until(deadline, || self.table.put(item)).await.map_err(of_writing)
    }

    /// Puts any number of items with distinct keys, in any order.
    pub(crate) async fn put_all(&self, items: Vec<Item>, deadline: Instant) -> Result<(), Error> {
        self.in_pieces(items, deadline, |table, items| table.put_all(items)).await
    }

    /// Deletes any number of items.
    pub(crate) async fn delete_all(&self, keys: Vec<Key>, deadline: Instant) -> Result<(), Error> {
        self.in_pieces(keys, deadline, |table, keys| table.delete_all(keys)).await
    }

    async fn in_pieces<T: Clone + Send + Sync>(
        &self,
        whole: Vec<T>,
        deadline: Instant,
        send: Send25<T>,
    ) -> Result<(), Error> {
        let pieces = whole.chunks(WRITE_MAX).map(|piece| self.piece(piece.to_vec(), deadline, send));
        all(pieces.collect(), self.at_once_max).await.map(drop)
    }

    async fn piece<T>(&self, mut piece: Vec<T>, deadline: Instant, send: Send25<T>) -> Result<(), Error> {
        let mut attempt = 0;
        while !piece.is_empty() {
            piece = self.until(deadline, || send(&*self.table, &piece)).await.map_err(of_writing)?;
            attempt += 1;
            if !piece.is_empty() {
                self.pause(attempt, deadline).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn create(&self, deadline: Instant) -> Result<(), Error> {
        let made = timeout_at(deadline, self.table.create()).await;
        made.map_err(|_| too_late("the table was not ready by the deadline; it may still be made"))?
            .map_err(of_writing)
    }
}

/// A request for a few things, of which some may be left for another time.
type Send25<T> = for<'a> fn(&'a dyn Table, &'a [T]) -> BoxFuture<'a, Result<Vec<T>, Failure>>;

/// What all of these give, a few of which are under way at a time; the first error ends it.
pub(crate) async fn all<T, F>(futures: Vec<F>, at_once_max: usize) -> Result<Vec<T>, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let (mut waiting, mut done) = (futures.into_iter(), Vec::new());
    let mut running: FuturesUnordered<F> = waiting.by_ref().take(at_once_max).collect();
    while let Some(answer) = running.next().await {
        done.push(answer?);
        running.extend(waiting.next());
    }
    Ok(done)
}

fn of_reading(failure: Failure) -> Error {
    of_read(failure.error)
}

/// The error of something that changes what is stored: once any attempt may have been carried out, so may the last.
fn of_writing(failure: Failure) -> Error {
    match (failure.fate, failure.error.kind()) {
        (Fate::Unknown, ErrorKind::Unavailable(said)) => {
            Error::new(ErrorKind::Indeterminate(said.clone())).with_source(failure.error)
        }
        _ => failure.error,
    }
}
