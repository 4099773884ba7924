//! Appends that leave something half done when they are dropped.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use annalist_core::{
    Append, Error, ErrorKind, EventId, EventStore, ExpectedVersion, Page, Position, Read, Receipt, Write,
    backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::Slot;
use crate::bug::Bug;
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "dropped_append_half_written",
        guarantee: "C1",
        twin: "events inserted one by one",
        expected: &["res.cancel_append", "res.cancel_append_then_retry", "res.cancel_load"],
        make: || each_handle(|| EventByEvent(Duration::ZERO)),
    },
    Mutant {
        name: "timed_out_append_half_written",
        guarantee: "C1",
        twin: "events inserted one by one, each with a round trip",
        expected: &["res.timeout_wrap"],
        make: || each_handle(|| EventByEvent(Duration::from_millis(2))),
    },
    Mutant {
        name: "dropped_append_in_some_streams",
        guarantee: "C1",
        twin: "a loop over streams",
        expected: &["res.cancel_append_multi"],
        make: || each_handle(|| StreamByStream),
    },
    Mutant {
        name: "dropped_append_holds_lock",
        guarantee: "C1",
        twin: "an advisory lock that is released by the line after the insert",
        expected: &["res.cancel_append", "res.cancel_holds_no_lock", "res.cancel_refused"],
        make: || each_database(HoldsLock::default),
    },
    Mutant {
        name: "dropped_append_leaves_transaction",
        guarantee: "C1",
        twin: "`sqlx`: a dropped `Pool::begin` leaves a transaction that swallows later appends",
        expected: &["res.cancel_append", "res.cancel_append_then_close"],
        make: || each_handle(LeavesTransaction::default),
    },
    Mutant {
        name: "dropped_append_keeps_ids",
        guarantee: "I1",
        twin: "ids claimed in a table of their own before the events are written",
        expected: &["res.cancel_append_then_retry"],
        make: || each_database(KeepsIds::default),
    },
    Mutant {
        name: "dropped_refusal_is_written",
        guarantee: "C1",
        twin: "written first, checked then, and taken back",
        expected: &["res.cancel_refused"],
        make: || each_handle(|| WrittenFirst),
    },
];

async fn between(pause: Duration) {
    if pause.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(pause).await;
    }
}

fn part(write: &Write, events: &[annalist_core::NewEvent], expected: ExpectedVersion) -> Append {
    Append::to(&write.stream, expected, events.to_vec())
}

/// Writes the first event of an append to one stream, and then the rest.
struct EventByEvent(Duration);

#[async_trait]
impl Bug for EventByEvent {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let known = {
            // A retry of what stands is answered as it should be.
            let probe = append.writes().first().map(|write| Read::stream(&write.stream).page_size(100_000));
            let page = match probe {
                Some(read) => honest.read(read).await?.events,
                None => Vec::new(),
            };
            append.events().any(|(_, event)| page.iter().any(|stored| stored.id() == event.id()))
        };
        let [write] = append.writes() else { return honest.append(append).await };
        if write.events.len() < 2 || known || !append.checks().is_empty() || !append.conditions().is_empty() {
            return honest.append(append).await;
        }
        let first = honest.append(part(write, &write.events[..1], write.expected)).await?;
        between(self.0).await;
        let rest = honest.append(part(write, &write.events[1..], ExpectedVersion::Any)).await?;
        let (first, rest) = (&first.written()[0], &rest.written()[0]);
        let positions: Vec<Position> = first.positions().iter().chain(rest.positions()).copied().collect();
        Ok(backend::receipt(
            false,
            vec![backend::written(write.stream.clone(), first.first_version(), positions)],
        ))
    }
}

/// Writes the streams of an append one after the other.
struct StreamByStream;

#[async_trait]
impl Bug for StreamByStream {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        if append.writes().len() < 2 {
            return honest.append(append).await;
        }
        let mut written = Vec::new();
        for write in append.writes() {
            let receipt = honest.append(part(write, &write.events, write.expected)).await?;
            written.extend(receipt.written().iter().cloned());
            tokio::task::yield_now().await;
        }
        Ok(backend::receipt(false, written))
    }
}

#[derive(Default)]
struct HoldsLock(Slot);

#[async_trait]
impl Bug for HoldsLock {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        self.0.wait().await;
        tokio::task::yield_now().await;
        let answer = honest.append(append).await;
        self.0.give_back();
        answer
    }
}

/// Once an append was dropped, the handle works on a log of its own, which nobody else sees and which ends with it.
#[derive(Default)]
struct LeavesTransaction {
    begun: Slot,
    own: OnceLock<MemoryStore>,
}

impl LeavesTransaction {
    fn log<'a>(&'a self, honest: &'a MemoryStore) -> &'a MemoryStore {
        self.own.get().unwrap_or(honest)
    }
}

#[async_trait]
impl Bug for LeavesTransaction {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        if !self.begun.take() {
            self.own.get_or_init(MemoryStore::new);
        }
        tokio::task::yield_now().await;
        let answer = self.log(honest).append(append).await;
        self.begun.give_back();
        answer
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        self.log(honest).read(read).await
    }
}

#[derive(Default)]
struct KeepsIds(Mutex<HashSet<EventId>>);

#[async_trait]
impl Bug for KeepsIds {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let ids: Vec<_> = append.events().map(|(_, event)| event.id()).collect();
        {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if ids.iter().any(|id| !kept.insert(*id)) {
                return Err(ErrorKind::Unavailable("another one with this id is under way".into()).into());
            }
        }
        tokio::task::yield_now().await;
        let answer = honest.append(append).await;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|id| !ids.contains(id));
        answer
    }
}

/// Writes without conditions and checks, and takes the events back if they do not hold.
struct WrittenFirst;

#[async_trait]
impl Bug for WrittenFirst {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        if append.checks().is_empty() && append.conditions().is_empty() {
            return honest.append(append).await;
        }
        let before = honest.read(Read::log(annalist_core::Query::all()).limit(0)).await?.head;
        honest.append(crate::edit::keep(&append, false, false)).await?;
        tokio::task::yield_now().await;
        honest.restore_to(before)?;
        honest.append(append).await
    }
}
