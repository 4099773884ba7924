//! Honest stores whose subscriptions, checkpoints and snapshots are odd.

use std::sync::Arc;

use annalist_core::{
    Append, Checkpoint, CheckpointName, CheckpointStore, Claim, Error, EventStore, Owner, Page, Position,
    Query, Read, Receipt, Signal, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Subscribe, Subscription,
    Version,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use rand::Rng;
use tokio::sync::mpsc;
use tokio::task::yield_now;

use crate::bug::Bug;
use crate::edit::edit_signals;
use crate::mutants::{honest_cabinets, wide_epochs};
use crate::oddballs::Oddball;
use crate::world::each_handle;

pub const ODDBALLS: &[Oddball] = &[
    Oddball {
        name: "progress_everywhere",
        what: "a subscription that tells progress after every event and before it is caught up",
        make: || each_handle(|| Signals(progress_everywhere)),
    },
    Oddball {
        name: "progress_sparse",
        what: "a subscription that tells progress only where events have come since",
        make: || each_handle(|| Signals(progress_sparse)),
    },
    Oddball {
        name: "caught_up_later",
        what: "a subscription that tells that it is caught up with the head of now, not with that of its beginning",
        make: || each_handle(|| CaughtUpLater),
    },
    Oddball {
        name: "spurious_wake_ups",
        what: "a store that wakes whoever waits again and again for nothing",
        make: || each_handle(|| SpuriousWakeUps),
    },
    Oddball {
        name: "yields",
        what: "a store that lets others run before and after everything it does",
        make: || each_handle(|| Yields),
    },
    Oddball {
        name: "reading_task",
        what: "a subscription with a task of its own and a short queue",
        make: || each_handle(|| ReadingTask),
    },
    Oddball {
        name: "wide_epochs",
        what: "a table of checkpoints whose epochs leave numbers out",
        make: wide_epochs,
    },
    Oddball {
        name: "own_cabinet",
        what: "snapshots that are kept beside the log, under a lock of their own",
        make: honest_cabinets,
    },
];

type Answer = Result<Signal, Error>;
type Edit = Box<dyn FnMut(Answer) -> Vec<Answer> + Send>;

/// A subscription whose signals are edited.
struct Signals(fn() -> Edit);

#[async_trait]
impl Bug for Signals {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        Ok(edit_signals(annalist_engine::subscribe(store, subscribe).await?, (self.0)()))
    }
}

fn progress_everywhere() -> Edit {
    Box::new(|answer| match answer {
        Ok(Signal::Event(event)) => {
            let position = event.position();
            vec![Ok(Signal::Event(event)), Ok(Signal::Progress(position))]
        }
        Ok(Signal::CaughtUp(position)) => {
            vec![Ok(Signal::Progress(position)), Ok(Signal::CaughtUp(position))]
        }
        answer => vec![answer],
    })
}

/// Tells each progress at once, but one that says no more than the last signal not at all.
fn progress_sparse() -> Edit {
    let mut told = Position::START;
    Box::new(move |answer| {
        let position = match &answer {
            Ok(Signal::Event(event)) => event.position(),
            Ok(Signal::CaughtUp(position) | Signal::Progress(position)) => *position,
            _ => told,
        };
        let more = position > told;
        told = told.max(position);
        if matches!(answer, Ok(Signal::Progress(_))) && !more { Vec::new() } else { vec![answer] }
    })
}

/// Is caught up where nothing is left to give, however far the log has grown.
struct CaughtUpLater;

struct Later {
    subscription: Box<dyn Subscription>,
    store: Arc<dyn EventStore>,
    query: Query,
    /// A `CaughtUp` that is owed, once this head has been reached.
    owed: Option<Position>,
}

#[async_trait]
impl Bug for CaughtUpLater {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let query = subscribe.query().clone();
        let subscription = annalist_engine::subscribe(store.clone(), subscribe).await?;
        Ok(Box::new(Later { subscription, store, query, owed: None }))
    }
}

#[async_trait]
impl Subscription for Later {
    async fn next(&mut self) -> Option<Answer> {
        loop {
            // Asking for the head again is safe where the future is dropped: what was taken is kept in `owed`.
            if let Some(reached) = self.owed {
                let left = Read::log(self.query.clone()).after(reached).limit(1);
                match self.store.read(left).await {
                    Ok(page) if page.events.is_empty() && page.next.is_none() => {
                        self.owed = None;
                        return Some(Ok(Signal::CaughtUp(page.head.max(reached))));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        self.owed = None;
                        self.subscription.stop().await;
                        return Some(Err(error));
                    }
                }
            }
            let answer = self.subscription.next().await?;
            match &answer {
                Ok(Signal::CaughtUp(position)) => {
                    self.owed = Some(self.owed.map_or(*position, |owed| owed.max(*position)));
                    continue;
                }
                Ok(Signal::Event(event)) => self.owed = self.owed.map(|_| event.position()),
                Ok(Signal::Progress(position)) => self.owed = self.owed.map(|_| *position),
                _ => {}
            }
            return Some(answer);
        }
    }

    async fn stop(&mut self) {
        self.owed = None;
        self.subscription.stop().await;
    }
}

/// Wakes those who wait after a few turns, whether there is more or not.
struct SpuriousWakeUps;

#[async_trait]
impl Bug for SpuriousWakeUps {
    async fn wait_for_more(&self, honest: &MemoryStore, after: Position) -> Result<(), Error> {
        let some_turns = turns(20);
        tokio::select! {
            woken = honest.wait_for_more(after) => woken,
            () = some_turns => Ok(()),
        }
    }
}

/// Lets others run so many times.
async fn turns(n: usize) {
    for _ in 0..n {
        yield_now().await;
    }
}

/// Lets others run a few times, by chance.
async fn some_turns() {
    let n = rand::rng().random_range(0..4);
    turns(n).await;
}

/// Lets others run before and after each operation.
struct Yields;

struct Yielding {
    subscription: Box<dyn Subscription>,
    /// What was taken already while the future was dropped.
    taken: Option<Option<Answer>>,
}

#[async_trait]
impl Bug for Yields {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        some_turns().await;
        let receipt = honest.append(append).await;
        some_turns().await;
        receipt
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        some_turns().await;
        let page = honest.read(read).await;
        some_turns().await;
        page
    }

    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let subscription = annalist_engine::subscribe(store, subscribe).await?;
        some_turns().await;
        Ok(Box::new(Yielding { subscription, taken: None }))
    }

    async fn save_snapshot(&self, honest: &MemoryStore, snapshot: Snapshot) -> Result<(), Error> {
        some_turns().await;
        honest.save_snapshot(snapshot).await?;
        some_turns().await;
        Ok(())
    }

    async fn load_snapshot(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        some_turns().await;
        let loaded = honest.load_snapshot(stream, schema, at_most).await;
        some_turns().await;
        loaded
    }

    async fn prune_snapshots(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        some_turns().await;
        honest.prune_snapshots(stream, schema, keep).await?;
        some_turns().await;
        Ok(())
    }

    async fn claim_checkpoint(&self, honest: &MemoryStore, name: &CheckpointName) -> Result<Claim, Error> {
        some_turns().await;
        let claim = honest.claim_checkpoint(name).await;
        some_turns().await;
        claim
    }

    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        some_turns().await;
        let saved = honest.save_checkpoint(owner, position).await;
        some_turns().await;
        saved
    }

    async fn load_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
    ) -> Result<Option<Checkpoint>, Error> {
        some_turns().await;
        let loaded = honest.load_checkpoint(name).await;
        some_turns().await;
        loaded
    }
}

#[async_trait]
impl Subscription for Yielding {
    async fn next(&mut self) -> Option<Answer> {
        some_turns().await;
        if self.taken.is_none() {
            let answer = self.subscription.next().await;
            self.taken = Some(answer);
            some_turns().await;
        }
        self.taken.take().flatten()
    }

    async fn stop(&mut self) {
        self.taken = None;
        self.subscription.stop().await;
    }
}

/// A task follows the log and sends what it finds over a short queue.
struct ReadingTask;

struct Queue {
    answers: mpsc::Receiver<Answer>,
    task: tokio::task::JoinHandle<()>,
}

#[async_trait]
impl Bug for ReadingTask {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let room = subscribe.page_events_max().min(8);
        let mut subscription = annalist_engine::subscribe(store, subscribe).await?;
        let (sender, answers) = mpsc::channel(room);
        let task = tokio::spawn(async move {
            while let Some(answer) = subscription.next().await {
                if sender.send(answer).await.is_err() {
                    break;
                }
            }
        });
        Ok(Box::new(Queue { answers, task }))
    }
}

#[async_trait]
impl Subscription for Queue {
    async fn next(&mut self) -> Option<Answer> {
        self.answers.recv().await
    }

    async fn stop(&mut self) {
        self.task.abort();
        self.answers.close();
        while self.answers.try_recv().is_ok() {}
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.task.abort();
    }
}
