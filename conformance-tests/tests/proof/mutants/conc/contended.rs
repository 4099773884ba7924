//! Stores that do wrong where appends meet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use annalist_core::{
    Append, Error, EventStore, ExpectedVersion, Page, Position, Read, Receipt, StreamId, Version, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::task::yield_now;

use super::{conflict, first_expectation, version_of};
use crate::bug::Bug;
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "contention_is_conflict",
        guarantee: "A5",
        twin: "a serialisation failure, or DynamoDB's `TransactionConflict`, told as a conflict",
        expected: &["conc.no_false_conflict", "conc.refusals_justified"],
        make: || each_database(ContentionIsConflict::default),
    },
    Mutant {
        name: "contenders_abort_each_other",
        guarantee: "A5",
        twin: "optimistic transactions of which each sees the other and gives way",
        expected: &["conc.progress", "conc.one_winner"],
        make: || each_database(AbortEachOther::default),
    },
    Mutant {
        name: "lost_update",
        guarantee: "A6",
        twin: "the next version computed twice, and the second write wins",
        expected: &["conc.any_all_land"],
        make: || each_database(LostUpdate::default),
    },
    Mutant {
        name: "large_append_in_chunks",
        guarantee: "A2",
        twin: "`BatchWriteItem`, or multi-row inserts of a hundred rows",
        expected: &["conc.mixed_sizes"],
        make: || each_handle(|| InChunks),
    },
    Mutant {
        name: "version_cached_by_each_handle",
        guarantee: "A5",
        twin: "a cache of versions that only own appends refresh",
        expected: &["conc.refusals_justified"],
        make: || each_handle(VersionCached::default),
    },
    Mutant {
        name: "reads_a_little_behind",
        guarantee: "R3",
        twin: "reads from a replica",
        expected: &["conc.linearizable", "conc.linearizable_handles"],
        make: || each_handle(Behind::default),
    },
];

#[derive(Default)]
struct ContentionIsConflict(AtomicUsize);

#[async_trait]
impl Bug for ContentionIsConflict {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let others = self.0.fetch_add(1, Ordering::SeqCst);
        yield_now().await;
        let refused = match first_expectation(&append) {
            Some((stream, expected)) if others > 0 => {
                Some(conflict(stream, expected, version_of(honest, stream).await?))
            }
            _ => None,
        };
        let answer = match refused {
            Some(error) => Err(error),
            None => honest.append(append).await,
        };
        self.0.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

/// Appends that meet on a stream all give way.
#[derive(Default)]
struct AbortEachOther(Mutex<HashMap<StreamId, usize>>);

impl AbortEachOther {
    /// How many are on the stream after so many more.
    fn more(&self, stream: &StreamId, more: isize) -> usize {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(stream.clone()).or_default();
        *count = count.saturating_add_signed(more);
        *count
    }
}

#[async_trait]
impl Bug for AbortEachOther {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let Some((stream, expected)) = first_expectation(&append) else { return honest.append(append).await };
        let mut met = self.more(stream, 1) > 1;
        for _ in 0..20 {
            yield_now().await;
            met |= self.more(stream, 0) > 1;
        }
        let answer = match met {
            true => Err(conflict(stream, expected, version_of(honest, stream).await?.next())),
            false => honest.append(append.clone()).await,
        };
        self.more(stream, -1);
        answer
    }
}

/// Of appends that meet, one is told versions that it does not have.
#[derive(Default)]
struct LostUpdate(AtomicUsize);

#[async_trait]
impl Bug for LostUpdate {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let others = self.0.fetch_add(1, Ordering::SeqCst);
        yield_now().await;
        let answer = match append.writes() {
            [write] if others > 2 && write.expected == ExpectedVersion::Any => {
                let other = MemoryStore::new().append(append.clone()).await?;
                let first = version_of(honest, &write.stream).await?.next();
                let positions: Vec<Position> = other.written()[0].positions().to_vec();
                Ok(backend::receipt(false, vec![backend::written(write.stream.clone(), first, positions)]))
            }
            _ => honest.append(append).await,
        };
        self.0.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

struct InChunks;

#[async_trait]
impl Bug for InChunks {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        const CHUNK: usize = 100;
        let [write] = append.writes() else { return honest.append(append).await };
        if write.events.len() <= CHUNK {
            return honest.append(append).await;
        }
        let mut parts = Vec::new();
        for chunk in write.events.chunks(CHUNK) {
            let part = Append::to(&write.stream, ExpectedVersion::Any, chunk.to_vec());
            parts.push(honest.append(part).await?);
            yield_now().await;
        }
        let positions = parts.iter().flat_map(|part| part.written()[0].positions().to_vec()).collect();
        let first = parts[0].written()[0].first_version();
        Ok(backend::receipt(false, vec![backend::written(write.stream.clone(), first, positions)]))
    }
}

#[derive(Default)]
struct VersionCached(Mutex<HashMap<StreamId, Version>>);

#[async_trait]
impl Bug for VersionCached {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        if let Some((stream, expected)) = first_expectation(&append) {
            let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(stream).copied();
            if let Some(cached) = cached.filter(|cached| !expected.holds(*cached)) {
                return Err(conflict(stream, expected, cached));
            }
        }
        let receipt = honest.append(append).await?;
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for written in receipt.written() {
            cache.insert(written.stream().clone(), written.last_version());
        }
        Ok(receipt)
    }
}

/// Each read of the log that fits one page ends at the head of the one before it.
#[derive(Default)]
struct Behind(Mutex<Option<Position>>);

#[async_trait]
impl Bug for Behind {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let of_log = matches!(read.source(), annalist_core::Source::Log(_)) && read.fixed_head().is_none();
        if !of_log || read.limit_left() == Some(0) {
            return honest.read(read).await;
        }
        let now = honest.read(Read::log(annalist_core::Query::all()).limit(0)).await?.head;
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        let mut page = honest.read(read.clone().until(before.unwrap_or(now))).await?;
        if page.next.is_some() {
            return honest.read(read).await;
        }
        page.head = before.unwrap_or(now);
        Ok(page)
    }
}
