//! Wrong heads and versions, and answers that are behind.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use annalist_core::{Append, Error, EventStore, Page, Position, Query, Read, Receipt, Version, backend};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::super::Mutant;
use crate::bug::Bug;
use crate::edit_read::{Answers, as_of, of_stream, with_numbers};
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "head_of_the_page",
        guarantee: "R5",
        twin: "the position of the last row, in place of the log's head",
        expected: &["read.page_tells_head"],
        make: || each_handle(|| Answers(head_of_page)),
    },
    Mutant {
        name: "version_of_the_page",
        guarantee: "R5",
        twin: "the version of the last row, in place of the stream's",
        expected: &["read.page_tells_version", "read.version_fit_for_exact"],
        make: || each_handle(|| Answers(version_of_page)),
    },
    Mutant {
        name: "version_is_a_count",
        guarantee: "R5",
        twin: "`events.len()` as the version",
        expected: &["read.version_fit_for_exact", "read.page_tells_version"],
        make: || each_handle(|| Answers(version_is_count)),
    },
    Mutant {
        name: "limit_zero_never_looks",
        guarantee: "R5",
        twin: "an early return for nothing",
        expected: &["read.limit_zero_tells_head"],
        make: || each_handle(|| Answers(zero_never_looks)),
    },
    Mutant {
        name: "head_is_the_next_position",
        guarantee: "R5",
        twin: "the sequence's next value, or a length, as the head",
        expected: &["read.head_fit_for_condition", "global.head"],
        make: || each_handle(|| HeadIsNext),
    },
    Mutant {
        name: "handle_reads_its_replica",
        guarantee: "R3",
        twin: "reads go to a replica that is one read behind",
        expected: &["read.through_fresh", "read.sees_acknowledged"],
        make: || each_handle(Replica::default),
    },
    Mutant {
        name: "every_other_read_from_a_replica",
        guarantee: "R3",
        twin: "round robin over replicas of which one lags",
        expected: &["read.session_monotone", "read.through_fresh"],
        make: || each_database(RoundRobin::default),
    },
];

fn head_of_page(_: &Read, mut page: Page) -> Result<Page, Error> {
    page.head =
        page.events.iter().map(annalist_core::RecordedEvent::position).max().unwrap_or(Position::START);
    Ok(page)
}

fn version_of_page(read: &Read, mut page: Page) -> Result<Page, Error> {
    if of_stream(read) {
        page.version = page.events.last().map_or(Version::NONE, annalist_core::RecordedEvent::version);
    }
    Ok(page)
}

fn version_is_count(read: &Read, mut page: Page) -> Result<Page, Error> {
    if of_stream(read) && read.fixed_head().is_none() && page.next.is_none() {
        page.version = Version::new(page.events.len() as u64);
    }
    Ok(page)
}

fn zero_never_looks(read: &Read, mut page: Page) -> Result<Page, Error> {
    if read.limit_left() == Some(0) {
        (page.head, page.version) = (Position::START, Version::NONE);
    }
    Ok(page)
}

/// Tells the position that the next event will have.
struct HeadIsNext;

#[async_trait]
impl Bug for HeadIsNext {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        // It is at peace with its own heads.
        let head = honest.read(Read::log(Query::all()).limit(0)).await?.head;
        let mut taken = crate::edit::keep(&append, true, false);
        for condition in append.conditions() {
            taken = taken.condition(condition.query.clone(), condition.after.min(head));
        }
        honest.append(taken).await
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read.clone()).await?;
        if page.head > Position::START && read.fixed_head().is_none() {
            page.head = with_numbers(page.head, backend::numbers(page.head).0 + 1, 0);
        }
        Ok(page)
    }
}

/// Answers each read in the state that there was at the one before it.
#[derive(Default)]
struct Replica(Mutex<Option<Position>>);

#[async_trait]
impl Bug for Replica {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let now = honest.read(Read::log(Query::all()).limit(0)).await?.head;
        let before = self.0.lock().expect("nothing panics here").replace(now);
        as_of(honest, read, before.unwrap_or(Position::START)).await
    }
}

/// Answers every other read in the state of three reads before it.
#[derive(Default)]
struct RoundRobin {
    reads: AtomicU64,
    heads: Mutex<Vec<Position>>,
}

#[async_trait]
impl Bug for RoundRobin {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let now = honest.read(Read::log(Query::all()).limit(0)).await?.head;
        let lagging = {
            let mut heads = self.heads.lock().expect("nothing panics here");
            heads.push(now);
            let behind = heads.len().saturating_sub(4);
            heads[behind]
        };
        // Two in turn, because a stream and the log are often read one after the other.
        let reads = self.reads.fetch_add(1, Ordering::Relaxed);
        let lags = reads / 2 % 2 == 1;
        if lags { as_of(honest, read, lagging).await } else { honest.read(read).await }
    }
}
