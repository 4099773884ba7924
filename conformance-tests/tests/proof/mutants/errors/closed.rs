//! Stores that close wrongly.

use std::sync::atomic::{AtomicBool, Ordering};

use annalist_core::{
    CheckpointName, CheckpointStore, Claim, Error, ErrorKind, EventStore, Page, Position, Read, Snapshot,
    SnapshotSchema, SnapshotStore, StreamId, Version,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::mutants::Mutant;
use crate::one_pool::OnePool;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "reads_after_close",
        guarantee: "C2",
        twin: "a flag that only appends look at",
        expected: &["errors.closed"],
        make: || each_handle(|| ReadsAfterClose),
    },
    Mutant {
        name: "snapshots_after_close",
        guarantee: "C2",
        twin: "snapshots with a pool of their own, which nobody closes",
        expected: &["errors.closed"],
        make: || each_handle(|| SnapshotsAfterClose),
    },
    Mutant {
        name: "claims_after_close",
        guarantee: "C2",
        twin: "checkpoints with a pool of their own, which nobody closes",
        expected: &["errors.closed"],
        make: || each_handle(|| ClaimsAfterClose),
    },
    Mutant {
        name: "close_does_nothing",
        guarantee: "C2",
        twin: "a default method",
        expected: &["errors.closed", "errors.close_twice"],
        make: || each_handle(|| CloseDoesNothing),
    },
    Mutant {
        name: "wait_after_close_for_ever",
        guarantee: "C2",
        twin: "a listener that is told of appends and not of the end",
        expected: &["errors.closed"],
        make: || each_handle(WaitForEver::default),
    },
    Mutant {
        name: "close_twice_fails",
        guarantee: "C2",
        twin: "a channel that is closed twice",
        expected: &["errors.close_twice"],
        make: || each_handle(CloseTwiceFails::default),
    },
    Mutant {
        name: "close_closes_all",
        guarantee: "C2",
        twin: "one pool for all handles of a process",
        expected: &["errors.close_one_handle"],
        make: || each_database(OnePool::default),
    },
];

struct ReadsAfterClose;

#[async_trait]
impl Bug for ReadsAfterClose {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        honest.another_handle().read(read).await
    }
}

struct SnapshotsAfterClose;

#[async_trait]
impl Bug for SnapshotsAfterClose {
    async fn save_snapshot(&self, honest: &MemoryStore, snapshot: Snapshot) -> Result<(), Error> {
        honest.another_handle().save_snapshot(snapshot).await
    }

    async fn load_snapshot(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        honest.another_handle().load_snapshot(stream, schema, at_most).await
    }
}

struct ClaimsAfterClose;

#[async_trait]
impl Bug for ClaimsAfterClose {
    async fn claim_checkpoint(&self, honest: &MemoryStore, name: &CheckpointName) -> Result<Claim, Error> {
        honest.another_handle().claim_checkpoint(name).await
    }
}

struct CloseDoesNothing;

#[async_trait]
impl Bug for CloseDoesNothing {
    async fn close(&self, _: &MemoryStore) -> Result<(), Error> {
        Ok(())
    }
}

#[derive(Default)]
struct WaitForEver(AtomicBool);

#[async_trait]
impl Bug for WaitForEver {
    async fn wait_for_more(&self, honest: &MemoryStore, after: Position) -> Result<(), Error> {
        if self.0.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        honest.wait_for_more(after).await
    }

    async fn close(&self, honest: &MemoryStore) -> Result<(), Error> {
        self.0.store(true, Ordering::SeqCst);
        honest.close().await
    }
}

#[derive(Default)]
struct CloseTwiceFails(AtomicBool);

#[async_trait]
impl Bug for CloseTwiceFails {
    async fn close(&self, honest: &MemoryStore) -> Result<(), Error> {
        if self.0.swap(true, Ordering::SeqCst) {
            return Err(ErrorKind::Closed.into());
        }
        honest.close().await
    }
}
