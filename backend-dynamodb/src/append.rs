//! Appends: decided on what is known of the log up to its newest batch, and committed as the next one, if nobody else was first.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use annalist_core::{Append, Error, ErrorKind, Receipt};
use annalist_engine::admission::{Verdict, admit};
use annalist_engine::group_commit::{BatchError, BatchWriter};
use annalist_engine::later;
use async_trait::async_trait;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::batch::{Batch, Draft, attribute, now};
use crate::error::too_late;
use crate::log::{Log, Turn};
use crate::lookup::{Lookups, Seen};
use crate::table::{Condition, Failure, Fate, Item, Key};

/// Writes batches, one at a time.
pub(crate) struct Appender {
    log: Arc<Log>,
    /// What was looked up for the batch that is about to leave.
    prepared: Mutex<Option<Lookups>>,
}

/// How often a batch is looked up before it is given back to the queue.
const LOOK_UPS_MAX: usize = 16;

/// What becomes of a batch in one state of the log.
struct Decision {
    answers: Vec<Result<Receipt, Error>>,
    /// What is to be put; `None` where nothing is.
    batch: Option<(Arc<Batch>, Vec<u8>)>,
}

/// What came of a put.
enum Put {
    Done,
    /// Another batch stands in the place.
    Taken(Item),
    /// There was nothing to be seen in the place, although it was taken.
    Lost,
    Failed(Failure),
}

impl Appender {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self { log, prepared: Mutex::default() }
    }

    // Nothing panics while it holds this lock.
    fn prepared(&self) -> MutexGuard<'_, Option<Lookups>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deadline(&self) -> Instant {
        later(Instant::now(), self.log.config.attempt_timeout)
    }

    /// Decides on appends in their order. `None` where what was looked up is not enough any more.
    fn decide(&self, appends: &[Append], lookups: &Lookups) -> Result<Option<Decision>, Error> {
        let state = self.log.state();
        let tail = &state.tail;
        if !lookups.fits(tail) {
            return Ok(None);
        }
        let mut draft = Draft::new(tail.log(), tail.head(), now());
        let mut answers = Vec::with_capacity(appends.len());
        for append in appends {
            let seen = Seen { tail, lookups, draft: &draft, lacks: Cell::new(false) };
            let verdict = admit(append, &seen);
            if seen.lacks.get() {
                return Ok(None);
            }
            answers.push(match verdict? {
                Verdict::Accepted if append.event_count() == 0 => {
                    Ok(annalist_core::backend::receipt(false, Vec::new()))
                }
                Verdict::Accepted => {
                    let versions: Result<Vec<_>, _> = append
                        .writes()
                        .iter()
                        .filter(|write| !write.events.is_empty())
                        .map(|write| seen.version_in(&draft, &write.stream))
                        .collect();
                    if seen.lacks.get() {
                        return Ok(None);
                    }
                    Ok(draft.add(append, &versions?))
                }
                Verdict::AlreadyCommitted(receipt) => Ok(receipt),
                Verdict::Refused(refusal) => Err(refusal),
            });
        }
        let batch = (!draft.is_empty()).then(|| draft.finish(self.log.writer));
        Ok(Some(Decision { answers, batch }))
    }

    /// Decides, looking up again what the index has taken over since, and reading what the index is ahead by.
    async fn decided(
        &self,
        appends: &[Append],
        lookups: &mut Option<Lookups>,
        deadline: Instant,
    ) -> Result<Decision, Error> {
        for _ in 0..LOOK_UPS_MAX {
            let known = match lookups.take() {
                Some(known) => known,
                None => self.log.look_up(appends, deadline).await?,
            };
            if known.is_ahead_of(&self.log.state().tail) {
                self.log.sync(deadline).await?;
            }
            if let Some(decision) = self.decide(appends, &known)? {
                *lookups = Some(known);
                return Ok(decision);
            }
        }
        Err(too_late("the index ran ahead of every look at it"))
    }

    /// Puts a batch in its place: first what is too large for its item, to which nothing leads before.
    async fn put(&self, batch: &Batch, body: Vec<u8>, deadline: Instant) -> Put {
        let (item, chunks) = batch.items(&self.log.keys, body);
        let keys: Vec<Key> = chunks.iter().map(|chunk| chunk.key.clone()).collect();
        if let Err(error) = self.log.requests.put_all(chunks, deadline).await {
            let kind = ErrorKind::Unavailable("the chunks of a batch were not written".into());
            let error = match error.kind() {
                ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_) => {
                    Error::new(kind).with_source(error)
                }
                _ => error,
            };
            return Put::Failed(Failure { fate: Fate::NotDone, error });
        }
        let put = self.put_item(batch.id, &item, deadline).await;
        if let Put::Taken(_) = put {
            // Nothing will ever lead to them. Where they stay they cost their room and nothing else.
            let _ = self.log.requests.delete_all(keys, deadline).await;
        }
        put
    }

    /// Puts the item until it is known who stands in its place: that is decided once and for all.
    async fn put_item(&self, id: Uuid, item: &Item, deadline: Instant) -> Put {
        let (mut attempt, mut may_have_left) = (0, false);
        loop {
            let in_flight = InFlight(&self.log);
            let answer = self.log.requests.put_once(item, &Condition::ABSENT, deadline).await;
            if answer.is_ok() {
                std::mem::forget(in_flight);
            }
            let failure = match answer {
                Ok(Ok(())) => return Put::Done,
                Ok(Err(Some(there))) if there.get_id(attribute::ID).is_ok_and(|there| there == id) => {
                    return Put::Done;
                }
                Ok(Err(Some(there))) => return Put::Taken(there),
                Ok(Err(None)) => return Put::Lost,
                Err(failure) => failure,
            };
            may_have_left |= failure.fate == Fate::Unknown;
            let pause = self.log.requests.jitter(attempt);
            // What certainly did not arrive is left to the queue, which knows whether anybody still waits.
            let is_over =
                if may_have_left { !failure.may_pass() } else { !failure.may_pass() || attempt >= 2 };
            if is_over || Instant::now() + pause >= deadline {
                let fate = if may_have_left { Fate::Unknown } else { Fate::NotDone };
                return Put::Failed(Failure { fate, ..failure });
            }
            sleep(pause).await;
            attempt += 1;
        }
    }

    /// Takes in what stands in the place where a batch should have gone.
    async fn give_way(&self, batch: &Batch, there: Item, deadline: Instant) -> Result<(), Error> {
        let log = self.log.id();
        let other = self.log.understand(log, batch.number, there, deadline).await?;
        if other.previous == batch.previous {
            self.log.take(vec![other]);
            return Ok(());
        }
        self.log.sync(deadline).await
    }

    /// Lets those go first whose turn it is, so that few come in vain.
    async fn wait_for_turn(&self, deadline: Instant) -> Result<(), Error> {
        loop {
            let head = self.log.head();
            let Turn::Look { from, upto } = self.log.turn() else { return Ok(()) };
            sleep_until(from.min(deadline)).await;
            self.log.sync(deadline).await?;
            if self.log.head() == head && Instant::now() >= upto {
                return Ok(());
            }
        }
    }

    async fn append(&self, appends: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        let deadline = self.deadline();
        let (mut lookups, mut is_fresh, mut lost) = (self.prepared().take(), false, 0);
        loop {
            let decision =
                self.decided(appends, &mut lookups, deadline).await.map_err(BatchError::NotSent)?;
            let Some((batch, body)) = decision.batch else {
                // Nothing is put that would show that this is the newest state.
                if is_fresh {
                    return Ok(decision.answers);
                }
                self.log.sync(deadline).await.map_err(BatchError::NotSent)?;
                is_fresh = true;
                continue;
            };
            match self.put(&batch, body, deadline).await {
                Put::Done => {
                    self.log.trust();
                    self.log.take(vec![batch]);
                    self.log.nudge();
                    return Ok(decision.answers);
                }
                Put::Taken(there) => {
                    self.log.trust();
                    self.give_way(&batch, there, deadline).await.map_err(BatchError::NotSent)?;
                    lost += 1;
                    if lost > 1 {
                        // What is learned one batch at a time, from puts in vain, is never the newest: one would run after the others for ever.
                        self.log.sync(deadline).await.map_err(BatchError::NotSent)?;
                    }
                    self.wait_for_turn(deadline).await.map_err(BatchError::NotSent)?;
                }
                Put::Lost => self.log.sync(deadline).await.map_err(BatchError::NotSent)?,
                Put::Failed(failure) => return failed(failure, appends.len()),
            }
            // That there was another batch does not say that there is no third.
            is_fresh = false;
        }
    }
}

/// A put that has left. Where it is not answered, be it that nobody waits for it any more, it is not known any more where the log ends.
struct InFlight<'a>(&'a Log);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.doubt();
    }
}

/// What a failed put means for its batch.
fn failed(failure: Failure, appends: usize) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
    let Failure { fate, error } = failure;
    match (fate, error.kind()) {
        (Fate::Unknown, _) => Err(BatchError::Unknown(error)),
        (_, ErrorKind::Unavailable(_)) => Err(BatchError::NotSent(error)),
        (_, ErrorKind::Internal(_)) => Err(BatchError::BadData(error)),
        // It does not help to send it again.
        _ => Ok(vec![Err(error); appends]),
    }
}

#[async_trait]
impl BatchWriter for Appender {
    async fn ready(&self) -> Result<(), BatchError> {
        let deadline = self.deadline();
        if self.log.is_in_doubt() {
            self.log.sync(deadline).await.map_err(BatchError::NotSent)?;
        }
        self.log.make_room(deadline).await.map_err(BatchError::NotSent)
    }

    async fn prepare(&self, appends: &[Append]) -> Result<(), BatchError> {
        let deadline = self.deadline();
        let lookups = self.log.look_up(appends, deadline).await.map_err(BatchError::NotSent)?;
        *self.prepared() = Some(lookups);
        self.wait_for_turn(deadline).await.map_err(BatchError::NotSent)
    }

    async fn write(&self, appends: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        self.append(appends).await
    }
}
