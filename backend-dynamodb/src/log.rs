//! What a handle knows of its log, and how it learns the rest.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annalist_core::{Error, EventId, LogId, Position, backend};
use annalist_engine::HeadWatch;
use hashbrown::HashMap;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tracing::warn;
use uuid::Uuid;

use crate::batch::{Batch, Link, attribute};
use crate::cache::Cache;
use crate::codec::corrupt;
use crate::config::Config;
use crate::error::too_late;
use crate::key::Keys;
use crate::requests::Requests;
use crate::schema;
use crate::table::{Item, Key};
use crate::tail::Tail;

/// The log of one namespace, as one handle sees it.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) config: Config,
    pub(crate) keys: Keys,
    pub(crate) requests: Requests,
    /// Who this is among those that write.
    pub(crate) writer: Uuid,
    state: Mutex<State>,
    cache: Mutex<Cache>,
    /// How many rounds of catching up have begun, and which was the last to end well.
    rounds_begun: AtomicU64,
    round_done: tokio::sync::Mutex<u64>,
    /// Whether a request may have been lost, so that what is known must be held against the table before it is built upon.
    in_doubt: AtomicBool,
    pub(crate) is_indexing: AtomicBool,
    pub(crate) is_closed: AtomicBool,
    /// Told whenever the index has come further, and when the handle is closed.
    pub(crate) advanced: Notify,
}

/// What is known of the log.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tail: Tail,
    /// Everything up to this batch is in the index, as far as is known.
    pub(crate) watermark: u64,
    /// Who moved it there.
    pub(crate) indexer: Uuid,
    /// Since when the newest batch has been known.
    head_since: Instant,
    /// At which head the watermark was looked up last.
    pub(crate) watermark_seen_at: u64,
    watch: HeadWatch,
}

impl State {
    pub(crate) fn new(loaded: &schema::Loaded, config: &Config) -> Self {
        Self {
            tail: Tail::new(loaded.log, loaded.watermark, config.streams_known_max),
            watermark: loaded.watermark.number,
            indexer: loaded.indexer,
            watermark_seen_at: loaded.watermark.number,
            head_since: Instant::now(),
            watch: HeadWatch::of(loaded.log),
        }
    }

    /// Up to where what the index says and what the tail holds are of one log: the watermark, which others may have moved beyond the newest batch that is
    /// known here.
    pub(crate) fn covered(&self) -> u64 {
        self.watermark.min(self.tail.head().number)
    }

    /// By how many batches the index is behind.
    pub(crate) fn lag(&self) -> u64 {
        self.tail.head().number.saturating_sub(self.watermark)
    }

    /// Those who have put any of the last batches, and one who is about to, in their order.
    fn writers(&self, another: Uuid) -> Vec<Uuid> {
        let last = self.tail.last(TURNS_OF).map(|batch| batch.writer);
        let mut writers: Vec<Uuid> = last.chain([another]).collect();
        writers.sort_unstable();
        writers.dedup();
        writers
    }

    /// How many bytes the batches have that the index may not hold.
    pub(crate) fn unindexed_bytes(&self) -> usize {
        self.tail.batches(self.watermark + 1, u64::MAX).map(|batch| batch.bytes).sum()
    }

    fn learn_watermark(&mut self, number: u64, indexer: Uuid, config: &Config) {
        if number < self.watermark {
            return;
        }
        (self.watermark, self.indexer) = (number, indexer);
        self.watermark_seen_at = self.tail.head().number.max(number);
        // Some of what the index holds by now is kept: who looks something up needs what came meanwhile.
        let kept = usize::try_from(config.index_batches_help).unwrap_or(usize::MAX);
        while self.tail.base().number < self.watermark
            && (self.tail.len() > kept || self.tail.bytes() > config.tail_bytes_max / 2)
        {
            self.tail.pop();
        }
    }
}

/// Who has put one of so many last batches takes part in the turns.
const TURNS_OF: usize = 16;
/// So many round trips each of those before is waited for: with two, and with one look, half of the puts were in vain where latencies differed.
const PATIENCE: u32 = 4;
/// The longest wait for a turn.
const TURN_MAX: Duration = Duration::from_secs(1);
/// After so many round trips without a batch nobody waits for anybody.
const CALM: u32 = 16;

/// When to put the next batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    Now,
    /// After another look at the log, not before `from`: others may have come first. Where they have not by then, they are looked for until `upto`.
    Look {
        from: Instant,
        upto: Instant,
    },
}

/// How many batches a round asks for at once, at most.
const WANTED_MAX: u64 = 64;
/// Up to this size the newest batch itself is read to see whether it still stands, for one read unit; above, only now and then.
const ANCHOR_BYTES: usize = 3_500;
/// One in so many looks is at the newest batch, whatever its size.
const ANCHOR_EVERY: u64 = 16;

impl Log {
    pub(crate) fn new(config: Config, keys: Keys, requests: Requests, loaded: &schema::Loaded) -> Self {
        Self {
            state: Mutex::new(State::new(loaded, &config)),
            cache: Mutex::new(Cache::new(config.cache_bytes_max)),
            config,
            keys,
            requests,
            writer: Uuid::now_v7(),
            rounds_begun: AtomicU64::new(0),
            round_done: tokio::sync::Mutex::new(0),
            in_doubt: AtomicBool::new(false),
            is_indexing: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            advanced: Notify::new(),
        }
    }

    // Nothing panics while it holds one of these locks, so a poisoned one protects a whole state.

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> LogId {
        self.state().tail.log()
    }

    pub(crate) fn head(&self) -> Position {
        self.state().tail.position()
    }

    pub(crate) fn watch(&self) -> HeadWatch {
        self.state().watch.clone()
    }

    pub(crate) fn doubt(&self) {
        self.in_doubt.store(true, Ordering::Release);
    }

    pub(crate) fn trust(&self) {
        self.in_doubt.store(false, Ordering::Release);
    }

    pub(crate) fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Acquire)
    }

    /// Catches up with the log: afterwards everything is known that was committed before the call. Calls that come while a round is under way
    /// share the next one.
    pub(crate) async fn sync(self: &Arc<Self>, deadline: Instant) -> Result<(), Error> {
        let begun_before = self.rounds_begun.load(Ordering::SeqCst);
        let waited = timeout_at(deadline, self.round_done.lock()).await;
        let mut done = waited.map_err(|_| too_late("the log was not read by the deadline"))?;
        if *done > begun_before {
            return Ok(());
        }
        let round = self.rounds_begun.fetch_add(1, Ordering::SeqCst) + 1;
        let caught_up = self.catch_up(round, deadline).await;
        match &caught_up {
            Ok(()) => {
                *done = round;
                self.trust();
            }
            Err(_) => self.doubt(),
        }
        drop(done);
        self.nudge();
        caught_up
    }

    async fn catch_up(self: &Arc<Self>, round: u64, deadline: Instant) -> Result<(), Error> {
        // Where others write, too, one new batch is what is mostly found: a second look would only say that there is no other one.
        let wanted_first = self.state().writers(self.writer).len().min(2) as u64;
        let (mut wanted, mut read, mut is_loaded) = (wanted_first, 0, false);
        loop {
            let (log, head, anchor) = self.anchor(round);
            let numbers = head.number + 1..=head.number + wanted;
            let mut keys = vec![anchor.clone()];
            keys.extend(numbers.map(|number| self.keys.batch(number)));
            let found = self.requests.get_all(keys, deadline).await?;
            let stands = stands(found.get(&anchor), log, head, &self.keys);
            let batches = self.follow(log, head, found, deadline).await?;
            let Some(batches) = batches.filter(|_| stands) else {
                if std::mem::replace(&mut is_loaded, true) {
                    return Err(corrupt("a log that is not what its own index says"));
                }
                warn!(%log, "the log is not any more what it was: it is read anew");
                self.load(deadline).await?;
                continue;
            };
            let grown = batches.len() as u64;
            self.take(batches);
            if grown < wanted {
                return Ok(());
            }
            read += grown;
            wanted = (wanted * 4).min(WANTED_MAX);
            if read > self.config.index_batches_max && !std::mem::replace(&mut is_loaded, true) {
                // Far behind: what the index holds by now need not be read.
                self.load(deadline).await?;
            }
        }
    }

    /// What to build upon, and the item that tells whether it still stands.
    fn anchor(&self, round: u64) -> (LogId, Link, Key) {
        let state = self.state();
        let head = state.tail.head();
        let is_small = state.tail.newest().is_some_and(|batch| batch.bytes <= ANCHOR_BYTES);
        let is_due = self.is_in_doubt() || round.is_multiple_of(ANCHOR_EVERY);
        let by_batch = head.number > 0 && (is_small || is_due);
        let key = if by_batch { self.keys.batch(head.number) } else { self.keys.log() };
        (state.tail.log(), head, key)
    }

    /// The batches after a link, as far as they were found and are a chain; `None` where they do not follow it.
    async fn follow(
        &self,
        log: LogId,
        after: Link,
        mut found: std::collections::HashMap<Key, Item>,
        deadline: Instant,
    ) -> Result<Option<Vec<Arc<Batch>>>, Error> {
        let (mut batches, mut last) = (Vec::new(), after);
        while let Some(item) = found.remove(&self.keys.batch(last.number + 1)) {
            let batch = self.understand(log, last.number + 1, item, deadline).await?;
            if batch.previous != last.id {
                return Ok(None);
            }
            last = batch.link();
            batches.push(batch);
        }
        Ok(Some(batches))
    }

    /// Reads a batch from its item, and from its chunks where it has some.
    pub(crate) async fn understand(
        &self,
        log: LogId,
        number: u64,
        mut item: Item,
        deadline: Instant,
    ) -> Result<Arc<Batch>, Error> {
        let body = if item.has(attribute::CHUNKS) {
            let (id, chunks) = (item.get_id(attribute::ID)?, item.get_number(attribute::CHUNKS)?);
            let keys: Vec<Key> = (0..chunks).map(|index| self.keys.chunk(number, id, index)).collect();
            let mut found = self.requests.get_all(keys.clone(), deadline).await?;
            let mut body = Vec::new();
            for key in keys {
                let mut chunk =
                    found.remove(&key).ok_or_else(|| corrupt("a batch without all its chunks"))?;
                body.extend_from_slice(&chunk.take_bytes(attribute::BODY)?);
            }
            body.into()
        } else {
            item.take_bytes(attribute::BODY)?
        };
        Batch::read(log, number, &item, body).map(Arc::new)
    }

    /// Takes in the next batches of the log.
    pub(crate) fn take(self: &Arc<Self>, batches: Vec<Arc<Batch>>) {
        let (grown_to, watch) = {
            let mut state = self.state();
            let before = state.tail.head().number;
            batches.into_iter().for_each(|batch| state.tail.push(batch));
            let has_grown = state.tail.head().number > before;
            if has_grown {
                state.head_since = Instant::now();
            }
            (has_grown.then(|| state.tail.position()), state.watch.clone())
        };
        if let Some(head) = grown_to {
            watch.grown_to(head);
        }
    }

    /// Whether it is this handle's turn to put the next batch.
    ///
    /// Those who have put any of the last batches go in turns, in the order of their ids, each after those before it, or after the time that these should
    /// have needed. A hint and no more: who does not come is passed over, and who comes too early only pays for a put in vain.
    pub(crate) fn turn(&self) -> Turn {
        let state = self.state();
        let Some(newest) = state.tail.newest().map(|batch| batch.writer) else { return Turn::Now };
        let writers = state.writers(self.writer);
        let (round_trip, age) = (self.requests.round_trip(), state.head_since.elapsed());
        if writers.len() == 1 || age > round_trip * CALM {
            return Turn::Now;
        }
        let place = |writer| writers.iter().position(|other| *other == writer).unwrap_or_default();
        let before_us = (place(self.writer) + 2 * writers.len() - place(newest) - 1) % writers.len();
        match u32::try_from(before_us).unwrap_or(u32::MAX) {
            0 if age < round_trip => Turn::Now,
            before_us => {
                let after = |round_trips: u32| {
                    state.head_since + round_trip.saturating_mul(before_us * round_trips).min(TURN_MAX)
                };
                Turn::Look { from: after(1), upto: after(PATIENCE) }
            }
        }
    }

    /// Forgets everything, and begins at the watermark.
    async fn load(&self, deadline: Instant) -> Result<(), Error> {
        let loaded = schema::load(&self.requests, &self.keys, deadline).await?;
        self.cache().clear();
        *self.state() = State::new(&loaded, &self.config);
        Ok(())
    }

    pub(crate) fn learn_watermark(&self, number: u64, indexer: Uuid) {
        self.state().learn_watermark(number, indexer, &self.config);
        self.advanced.notify_waiters();
    }

    /// Consecutive batches that are known to be there.
    pub(crate) async fn batches(
        &self,
        low: u64,
        high: u64,
        deadline: Instant,
    ) -> Result<Vec<Arc<Batch>>, Error> {
        let numbers: Vec<u64> = (low..=high).collect();
        self.some_batches(&numbers, deadline).await
    }

    /// Batches that are known to be there, in the order in which they are asked for.
    pub(crate) async fn some_batches(
        &self,
        numbers: &[u64],
        deadline: Instant,
    ) -> Result<Vec<Arc<Batch>>, Error> {
        let log = self.id();
        let mut known: HashMap<u64, Arc<Batch>> = HashMap::new();
        {
            let (state, cache) = (self.state(), self.cache());
            for number in numbers {
                if let Some(batch) = state.tail.batch(*number).or_else(|| cache.get(*number)) {
                    known.insert(*number, batch.clone());
                }
            }
        }
        let missing = numbers.iter().filter(|number| !known.contains_key(*number));
        let keys: Vec<Key> = missing.map(|number| self.keys.batch(*number)).collect();
        let mut found = self.requests.get_all(keys, deadline).await?;
        let mut batches = Vec::with_capacity(numbers.len());
        for number in numbers {
            let batch = match known.remove(number) {
                Some(batch) => batch,
                None => {
                    let item = found.remove(&self.keys.batch(*number)).ok_or_else(|| self.lacks(*number))?;
                    let batch = self.understand(log, *number, item, deadline).await?;
                    self.cache().insert(batch.clone());
                    batch
                }
            };
            batches.push(batch);
        }
        Ok(batches)
    }

    fn lacks(&self, number: u64) -> Error {
        self.doubt();
        corrupt(&format!("a log without its batch {number}"))
    }

    /// The event at or before a position at or below the head.
    pub(crate) async fn event_at(
        &self,
        position: Position,
        deadline: Instant,
    ) -> Result<Option<EventId>, Error> {
        let (number, ordinal) = backend::numbers(position);
        if number == 0 {
            return Ok(None);
        }
        let batch = self.batches(number, number, deadline).await?;
        Ok(batch.first().map(|batch| batch.event_at(ordinal)))
    }
}

/// Whether an item shows that the log still is what it was.
fn stands(anchor: Option<&Item>, log: LogId, head: Link, keys: &Keys) -> bool {
    let Some(item) = anchor else { return false };
    if item.key == keys.log() {
        return item.get_id(schema::attribute::LOG).is_ok_and(|id| id == log.as_uuid());
    }
    item.get_id(attribute::ID).is_ok_and(|id| id == head.id)
}
