//! Broken stores for the area `append`.

use annalist_core::{
    Append, Error, EventStore, ExpectedVersion, Page, Read, Receipt, RecordedEvent, Version, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::Mutant;
use crate::bug::Bug;
use crate::edit::{edit_receipt, edit_writes, with_version};
use crate::world::each_handle;

pub const PARTS: &[&[Mutant]] = &[MUTANTS];

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "exact_never_checked",
        guarantee: "A3",
        twin: "a batch writer: puts without a condition",
        expected: &["append.exact_stale"],
        make: || each_handle(|| ExactNeverChecked),
    },
    Mutant {
        name: "versions_from_zero",
        guarantee: "A4",
        twin: "pyeventsourcing's first version, under a contract that begins at 1",
        expected: &["append.first_version"],
        make: || each_handle(|| VersionsFromZero),
    },
    Mutant {
        name: "receipt_position_of_the_first",
        guarantee: "A4",
        twin: "`lastval()` of a multi-row insert",
        expected: &["append.receipt_matches_log"],
        make: || each_handle(|| ReceiptPositionOfTheFirst),
    },
];

/// Takes every `Exact` as `Any`.
struct ExactNeverChecked;

#[async_trait]
impl Bug for ExactNeverChecked {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let append = edit_writes(&append, |write| {
            if matches!(write.expected, ExpectedVersion::Exact(_)) {
                write.expected = ExpectedVersion::Any;
            }
        });
        honest.append(append).await
    }
}

/// Gives every event the version before its own.
struct VersionsFromZero;

fn one_less(version: Version) -> Version {
    Version::new(version.get().saturating_sub(1))
}

#[async_trait]
impl Bug for VersionsFromZero {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await?;
        Ok(edit_receipt(&receipt, |written| {
            backend::written(
                written.stream().clone(),
                one_less(written.first_version()),
                written.positions().to_vec(),
            )
        }))
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read).await?;
        let shifted = |event: &RecordedEvent| with_version(event, one_less(event.version()));
        page.events = page.events.iter().map(shifted).collect();
        Ok(page)
    }
}

/// Tells the first event's position for all events of the append.
struct ReceiptPositionOfTheFirst;

#[async_trait]
impl Bug for ReceiptPositionOfTheFirst {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await?;
        Ok(edit_receipt(&receipt, |written| {
            let first = vec![written.positions()[0]; written.positions().len()];
            backend::written(written.stream().clone(), written.first_version(), first)
        }))
    }
}
