//! Operations other than appends that leave something half done when they are dropped.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use annalist_core::{
    Append, Checkpoint, CheckpointName, CheckpointStore, Claim, Error, ErrorKind, EventStore, Owner, Page,
    Position, Query, Read, Receipt, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Subscribe,
    Subscription, Version, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::Slot;
use crate::bug::Bug;
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "dropped_read_leaves_rows",
        guarantee: "C1",
        twin: "a connection given back with rows on it that nobody read",
        expected: &["res.cancel_read"],
        make: || each_handle(LeavesRows::default),
    },
    Mutant {
        name: "dropped_subscribe_keeps_slot",
        guarantee: "C1",
        twin: "a slot that `stop` alone gives back",
        expected: &["res.cancel_subscribe"],
        make: || each_handle(KeepsSlot::default),
    },
    Mutant {
        name: "wake_up_for_one",
        guarantee: "C1",
        twin: "a queue of waiters, of which an append wakes the first, also one that is gone",
        expected: &["res.cancel_wait"],
        make: || each_database(WakesOne::default),
    },
    Mutant {
        name: "dropped_claim_half_done",
        guarantee: "C1",
        twin: "the epoch reserved in one step and raised in another",
        expected: &["res.cancel_claim"],
        make: || each_database(ClaimHalfDone::default),
    },
    Mutant {
        name: "dropped_save_deletes",
        guarantee: "C1",
        twin: "a delete and an insert instead of an upsert",
        expected: &["res.cancel_save_checkpoint", "res.cancel_save_snapshot"],
        make: || each_database(DeletesFirst::default),
    },
    Mutant {
        name: "dropped_reset_fences_alone",
        guarantee: "C1",
        twin: "the epoch raised in one statement, the place moved in another",
        expected: &["res.cancel_reset_checkpoint"],
        make: || each_handle(|| FencesAlone),
    },
    Mutant {
        name: "dropped_prune_deletes_all",
        guarantee: "N4",
        twin: "all deleted, and what is kept written again",
        expected: &["res.cancel_prune"],
        make: || each_handle(|| PrunesAll),
    },
    Mutant {
        name: "dropped_close_hangs",
        guarantee: "C1",
        twin: "a close that waits for the one that is under way",
        expected: &["res.cancel_close"],
        make: || each_handle(CloseHangs::default),
    },
];

#[derive(Default)]
struct LeavesRows(Slot);

#[async_trait]
impl Bug for LeavesRows {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        if !self.0.take() {
            return Err(ErrorKind::Internal("the connection is in use".into()).into());
        }
        yield_now().await;
        let page = honest.read(read).await;
        self.0.give_back();
        page
    }
}

#[derive(Default)]
struct KeepsSlot(Slot);

#[async_trait]
impl Bug for KeepsSlot {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        self.0.wait().await;
        yield_now().await;
        let subscription = annalist_engine::subscribe(store, subscribe).await;
        self.0.give_back();
        subscription
    }
}

#[derive(Default)]
struct WakesOne(Mutex<VecDeque<oneshot::Sender<()>>>);

#[async_trait]
impl Bug for WakesOne {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let answer = honest.append(append).await;
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        // Whether the first is still there is not looked at.
        first.map(|waiter| waiter.send(()));
        answer
    }

    async fn wait_for_more(&self, honest: &MemoryStore, after: Position) -> Result<(), Error> {
        while honest.read(Read::log(Query::all()).limit(0)).await?.head <= after {
            let (sender, woken) = oneshot::channel();
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(sender);
            drop(woken.await);
        }
        Ok(())
    }
}

/// While a claim is under way, or for ever after it was dropped, another one gets the epoch that was there before.
#[derive(Default)]
struct ClaimHalfDone {
    under_way: Slot,
    epoch: AtomicU64,
}

#[async_trait]
impl Bug for ClaimHalfDone {
    async fn claim_checkpoint(&self, honest: &MemoryStore, name: &CheckpointName) -> Result<Claim, Error> {
        if !self.under_way.take() {
            let epoch = self.epoch.load(Ordering::SeqCst);
            return Ok(backend::claim(backend::owner(name.clone(), epoch), None));
        }
        yield_now().await;
        let claim = honest.claim_checkpoint(name).await?;
        self.epoch.store(claim.owner.epoch(), Ordering::SeqCst);
        self.under_way.give_back();
        Ok(claim)
    }
}

/// What was deleted and is not yet written again cannot be loaded.
#[derive(Default)]
struct DeletesFirst(Mutex<HashSet<String>>);

impl DeletesFirst {
    fn delete(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
    }

    fn insert(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn is_deleted(&self, key: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }
}

#[async_trait]
impl Bug for DeletesFirst {
    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        self.delete(owner.name().as_str());
        yield_now().await;
        let saved = honest.save_checkpoint(owner, position).await;
        self.insert(owner.name().as_str());
        saved
    }

    async fn load_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
    ) -> Result<Option<Checkpoint>, Error> {
        if self.is_deleted(name.as_str()) { Ok(None) } else { honest.load_checkpoint(name).await }
    }

    async fn save_snapshot(&self, honest: &MemoryStore, snapshot: Snapshot) -> Result<(), Error> {
        let key = snapshot.stream.to_string();
        self.delete(&key);
        yield_now().await;
        let saved = honest.save_snapshot(snapshot).await;
        self.insert(&key);
        saved
    }

    async fn load_snapshot(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        if self.is_deleted(stream.as_str()) {
            return Ok(None);
        }
        honest.load_snapshot(stream, schema, at_most).await
    }
}

struct FencesAlone;

#[async_trait]
impl Bug for FencesAlone {
    async fn reset_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
        position: Position,
    ) -> Result<Owner, Error> {
        honest.claim_checkpoint(name).await?;
        yield_now().await;
        honest.reset_checkpoint(name, position).await
    }
}

struct PrunesAll;

#[async_trait]
impl Bug for PrunesAll {
    async fn prune_snapshots(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        let mut kept = Vec::new();
        let mut at_most = Version::MAX;
        while kept.len() < keep
            && let Some(snapshot) = honest.load_snapshot(stream, schema, at_most).await?
        {
            at_most = Version::new(snapshot.version.get() - 1);
            kept.push(snapshot);
        }
        honest.prune_snapshots(stream, schema, 0).await?;
        yield_now().await;
        for snapshot in kept {
            honest.save_snapshot(snapshot).await?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct CloseHangs(Slot);

#[async_trait]
impl Bug for CloseHangs {
    async fn close(&self, honest: &MemoryStore) -> Result<(), Error> {
        self.0.wait().await;
        yield_now().await;
        let closed = honest.close().await;
        self.0.give_back();
        closed
    }
}
