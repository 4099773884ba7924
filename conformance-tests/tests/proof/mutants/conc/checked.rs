//! Checks that are made before the write instead of in it.

use annalist_core::{Append, Error, EventStore, ExpectedVersion, Receipt};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::task::yield_now;

use super::{conflict, version_of};
use crate::bug::Bug;
use crate::edit::{edit_writes, keep};
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "version_checked_before",
        guarantee: "A3",
        twin: "`SELECT MAX(version)`, a comparison, and an insert",
        expected: &[
            "conc.one_winner",
            "conc.one_winner_new_stream",
            "conc.handles",
            "conc.counter",
            "conc.linearizable",
            "conc.progress",
        ],
        make: || each_handle(|| VersionCheckedBefore),
    },
    Mutant {
        name: "lock_of_each_handle",
        guarantee: "A3",
        twin: "a mutex in the process, and a second process",
        expected: &["conc.handles", "conc.refusals_justified"],
        make: || each_handle(LockOfEachHandle::default),
    },
    Mutant {
        name: "conditions_checked_before",
        guarantee: "A3",
        twin: "a condition read in one statement, the events written in the next",
        expected: &["conc.one_winner_condition", "conc.one_winner_after_head"],
        make: || each_handle(|| CheckedBefore { conditions: true }),
    },
    Mutant {
        name: "checks_checked_before",
        guarantee: "A3",
        twin: "snapshot isolation: what is only read is as it was",
        expected: &["conc.write_skew"],
        make: || each_handle(|| CheckedBefore { conditions: false }),
    },
];

/// Compares expected versions, lets others have their turn, and writes whatever the versions are by then.
async fn checked_before(honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
    for write in append.writes() {
        let actual = version_of(honest, &write.stream).await?;
        if !write.expected.holds(actual) && !is_known(honest, &append).await? {
            return Err(conflict(&write.stream, write.expected, actual));
        }
    }
    yield_now().await;
    honest.append(edit_writes(&append, |write| write.expected = ExpectedVersion::Any)).await
}

/// Whether any event of an append stands in the log, so that its expectations say nothing.
async fn is_known(honest: &MemoryStore, append: &Append) -> Result<bool, Error> {
    for (stream, event) in append.events() {
        let stored = honest.read(annalist_core::Read::stream(stream).page_size(100_000)).await?.events;
        if stored.iter().any(|stored| stored.id() == event.id()) {
            return Ok(true);
        }
    }
    Ok(false)
}

struct VersionCheckedBefore;

#[async_trait]
impl Bug for VersionCheckedBefore {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        checked_before(honest, append).await
    }
}

#[derive(Default)]
struct LockOfEachHandle(Mutex<()>);

#[async_trait]
impl Bug for LockOfEachHandle {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let _locked = self.0.lock().await;
        checked_before(honest, append).await
    }
}

/// Verifies conditions, or checks, by an append of their own before the one that writes.
struct CheckedBefore {
    conditions: bool,
}

#[async_trait]
impl Bug for CheckedBefore {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let parts = append.checks().len() + append.conditions().len();
        if parts == 0 || append.event_count() == 0 {
            return honest.append(append).await;
        }
        let alone = keep(&append, !self.conditions, self.conditions);
        let verify = edit_writes(&alone, |write| write.events.clear());
        honest.append(verify).await?;
        yield_now().await;
        honest.append(keep(&append, self.conditions, !self.conditions)).await
    }
}
