//! Wrong receipts, and acknowledgements that others do not see.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use annalist_core::{
    Append, Error, EventStore, Page, Position, Read, Receipt, RecordedEvent, Version, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::{edit_receipt, with_version};
use crate::look::wrong_append;
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "receipt_position_of_the_first",
        guarantee: "A4",
        twin: "`lastval()` of a multi-row insert",
        expected: &["append.receipt_matches_log"],
        make: || each_handle(|| ReceiptPositionOfTheFirst),
    },
    Mutant {
        name: "reads_lag_by_an_append",
        guarantee: "R3",
        twin: "a DynamoDB query without `ConsistentRead`",
        expected: &["append.read_your_write", "append.fresh_sees"],
        make: || each_database(|| ReadsLag(Mutex::default())),
    },
    Mutant {
        name: "written_behind",
        guarantee: "R3",
        twin: "an append in a transaction that the pooled connection still has open: only that connection sees it",
        expected: &["append.fresh_sees"],
        make: || {
            let (newest, handles) = (Arc::default(), AtomicU64::new(0));
            each_handle(move || WrittenBehind {
                handle: handles.fetch_add(1, Ordering::Relaxed),
                newest: Arc::clone(&newest),
            })
        },
    },
    Mutant {
        name: "recorded_at_is_now",
        guarantee: "A4",
        twin: "a time stamp made by the mapper instead of the column's",
        expected: &["append.recorded_metadata"],
        make: || each_handle(|| RecordedAtIsNow),
    },
    Mutant {
        name: "metadata_overrides_version",
        guarantee: "A4",
        twin: "a flat JSON envelope, into which the user's metadata are spread last",
        expected: &["append.reserved_concurrency_field"],
        make: || each_handle(|| MetadataOverridesVersion),
    },
];

wrong_append! {
    /// Tells the first event's position for all events of the append.
    ReceiptPositionOfTheFirst: |honest, append| {
        let receipt = honest.append(append).await?;
        Ok(edit_receipt(&receipt, |written| {
            let first = vec![written.positions()[0]; written.positions().len()];
            backend::written(written.stream().clone(), written.first_version(), first)
        }))
    }
}

/// The first read after an append does not see it yet.
struct ReadsLag(Mutex<Option<Position>>);

fn hide_from(page: &mut Page, first: Position) {
    page.events.retain(|event| event.position() < first);
}

fn first_position(receipt: &Receipt) -> Option<Position> {
    receipt.written().iter().flat_map(|written| written.positions().first()).min().copied()
}

#[async_trait]
impl Bug for ReadsLag {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await?;
        *self.0.lock().expect("no panic") = first_position(&receipt);
        Ok(receipt)
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read).await?;
        if let Some(first) = self.0.lock().expect("no panic").take() {
            hide_from(&mut page, first);
        }
        Ok(page)
    }
}

/// The newest append is seen by the handle that wrote it and by no other.
struct WrittenBehind {
    handle: u64,
    newest: Arc<Mutex<Option<(Position, u64)>>>,
}

#[async_trait]
impl Bug for WrittenBehind {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await?;
        if let Some(first) = first_position(&receipt) {
            *self.newest.lock().expect("no panic") = Some((first, self.handle));
        }
        Ok(receipt)
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read).await?;
        if let Some((first, by)) = *self.newest.lock().expect("no panic")
            && by != self.handle
        {
            hide_from(&mut page, first);
        }
        Ok(page)
    }
}

/// Tells the time of the read as that of recording.
struct RecordedAtIsNow;

#[async_trait]
impl Bug for RecordedAtIsNow {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read).await?;
        let now = |event: &RecordedEvent| {
            let (new, stream) = (event.event().clone(), event.stream().clone());
            backend::recorded(new, stream, event.version(), event.position(), SystemTime::now())
        };
        page.events = page.events.iter().map(now).collect();
        Ok(page)
    }
}

/// Believes a version in the metadata.
struct MetadataOverridesVersion;

#[async_trait]
impl Bug for MetadataOverridesVersion {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read).await?;
        let believed = |event: &RecordedEvent| {
            let metadata = serde_json::from_str::<serde_json::Value>(event.metadata().as_str());
            let version = metadata.ok().and_then(|metadata| metadata.get("version")?.as_u64());
            version.map_or_else(|| event.clone(), |version| with_version(event, Version::new(version)))
        };
        page.events = page.events.iter().map(believed).collect();
        Ok(page)
    }
}
