//! Events that show in another order than that of their positions.

use std::collections::BTreeSet;
use std::sync::Mutex;

use annalist_core::{Append, Error, EventStore, Page, Position, Query, Read, Receipt, Source, backend};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::task::yield_now;

use super::super::Mutant;
use super::index::Index;
use crate::bug::Bug;
use crate::world::each_database;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "position_given_before_commit",
        guarantee: "G2",
        twin: "bigserial: commanded/eventstore#3, Eventuous/eventuous#222, prooph/pdo-event-store#189, SqlStreamStore#121",
        expected: &[
            "global.tail_complete",
            "global.tail_page_edge",
            "global.tail_by_head",
            "global.tail_of_batches",
            "global.no_late_arrivals",
        ],
        make: || each_database(|| LateCommit::new(false)),
    },
    Mutant {
        name: "position_of_batches_given_before_commit",
        guarantee: "G2",
        twin: "one lock for appends to one stream, none for those to several",
        expected: &["global.tail_complete", "global.tail_of_batches"],
        make: || each_database(|| LateCommit::new(true)),
    },
    Mutant {
        name: "hole_skipped_after_a_while",
        guarantee: "G2",
        twin: "a wall-clock gap skip: marten `Bug_4953_outstanding_*`, Eventuous/eventuous#424",
        expected: &["global.tail_complete", "global.tail_page_edge"],
        make: || each_database(|| Holes::new(GiveUp::AfterReads(2))),
    },
    Mutant {
        name: "gap_check_inside_a_page_only",
        guarantee: "G2",
        twin: "SqlStreamStore#121: gaps are looked for between the rows of one page",
        expected: &["global.tail_page_edge"],
        make: || each_database(|| Holes::new(GiveUp::BetweenPages)),
    },
    Mutant {
        name: "waits_for_every_hole",
        guarantee: "G2",
        twin: "JasperFx/marten `DaemonTests/Bugs/Bug_5108_*`: a rolled back number is waited for without end",
        expected: &["global.burned_place_no_stall"],
        make: || each_database(|| Holes::new(GiveUp::Never)),
    },
    Mutant {
        name: "head_is_the_last_number_given",
        guarantee: "R5",
        twin: "`last_value` of the sequence as the head, while lower numbers are still to commit",
        expected: &["global.tail_by_head"],
        make: || each_database(HeadBurned::default),
    },
    Mutant {
        name: "log_shows_later_than_the_stream",
        guarantee: "G2",
        twin: "a global secondary index, which lags behind its table",
        expected: &["global.no_late_arrivals", "global.seen_in_stream_then_in_log"],
        make: || each_database(IndexLag::default),
    },
];

/// Lets others go ahead for a while, which differs from number to number.
async fn linger(number: u64, longest: u64) {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    for _ in 0..mixed % (longest + 1) {
        yield_now().await;
    }
}

fn number(places: &[Position]) -> u64 {
    places.first().map_or(0, |place| backend::numbers(*place).0)
}

/// The bug of `position_given_before_commit`, for writers that are farther away.
pub fn late_commit() -> impl Bug {
    LateCommit { longest: 60, ..LateCommit::new(false) }
}

/// Takes the position when an append begins, and shows its events when it commits.
struct LateCommit {
    index: Index,
    only_batches: bool,
    /// How often others go ahead at most, between the position and the commit.
    longest: u64,
}

impl LateCommit {
    fn new(only_batches: bool) -> Self {
        Self { index: Index::default(), only_batches, longest: 4 }
    }
}

#[async_trait]
impl Bug for LateCommit {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let early = !self.only_batches || append.writes().len() > 1;
        let mut places = self.index.take(if early { append.event_count() } else { 0 });
        if early {
            linger(number(&places), self.longest).await;
        }
        let stored = self.index.store(honest, &append).await?;
        if early {
            self.index.show(&stored, &places);
            return Ok(self.index.receipt(&stored));
        }
        // The number is taken and the event shown under one lock.
        let mut state = self.index.state();
        places.extend((0..append.event_count()).map(|n| self.index.place(state.taken + 1 + n as u64, 0)));
        state.taken += append.event_count() as u64;
        state.show(&stored, &places);
        drop(state);
        Ok(self.index.receipt(&stored))
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        self.index.read(honest, read).await
    }

    async fn wait_for_more(&self, _: &MemoryStore, _: Position) -> Result<(), Error> {
        yield_now().await;
        Ok(())
    }
}

/// When a reader goes on past a number that no event is shown for.
enum GiveUp {
    Never,
    /// After it has met the hole in this many reads.
    AfterReads(usize),
    /// At once where the hole is not between two events of one page.
    BetweenPages,
}

/// Takes the position when an append begins; readers hold back what comes after a hole, more or less.
struct Holes {
    index: Index,
    give_up: GiveUp,
    met: Mutex<Vec<u64>>,
    skipped: Mutex<BTreeSet<u64>>,
}

impl Holes {
    fn new(give_up: GiveUp) -> Self {
        Self { index: Index::default(), give_up, met: Mutex::default(), skipped: Mutex::default() }
    }

    /// The last position before the first hole that is minded.
    fn before_hole(&self, read: &Read) -> Position {
        let (after, _) = read.positions();
        let shown: Vec<_> = {
            let state = self.index.state();
            let all = state.shown.keys().map(|place| backend::numbers(*place).0);
            match self.give_up {
                GiveUp::BetweenPages => {
                    let after = backend::numbers(after).0;
                    all.filter(|number| *number > after).take(read.page_events_max()).collect()
                }
                _ => all.collect(),
            }
        };
        let mut expected = match self.give_up {
            GiveUp::BetweenPages => shown.first().copied().unwrap_or(1),
            _ => 1,
        };
        for number in shown {
            while expected < number {
                if !self.goes_past(expected) {
                    return self.place(expected - 1);
                }
                expected += 1;
            }
            expected = number + 1;
        }
        self.place(expected - 1)
    }

    fn place(&self, number: u64) -> Position {
        if number == 0 { Position::START } else { self.index.place(number, 0) }
    }

    fn goes_past(&self, hole: u64) -> bool {
        let mut skipped = self.skipped.lock().expect("nothing panics here");
        if let GiveUp::AfterReads(reads) = self.give_up {
            let mut met = self.met.lock().expect("nothing panics here");
            met.push(hole);
            if met.iter().filter(|number| **number == hole).count() > reads {
                skipped.insert(hole);
            }
        }
        skipped.contains(&hole)
    }
}

#[async_trait]
impl Bug for Holes {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let places = self.index.take(append.event_count());
        linger(number(&places), 12).await;
        let stored = self.index.store(honest, &append).await?;
        self.index.show(&stored, &places);
        Ok(self.index.receipt(&stored))
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let visible = matches!(read.source(), Source::Log(_)).then(|| self.before_hole(&read));
        self.index.read_up_to(honest, read, visible).await
    }

    async fn wait_for_more(&self, _: &MemoryStore, _: Position) -> Result<(), Error> {
        yield_now().await;
        Ok(())
    }
}

/// Shows events in order, but tells as the head a number of which the event is still to come.
#[derive(Default)]
struct HeadBurned(Index);

#[async_trait]
impl Bug for HeadBurned {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let places = self.0.take(append.event_count());
        linger(number(&places), 3).await;
        // Its turn comes when all lower numbers are shown.
        let stored = self.0.store(honest, &append).await?;
        for _ in 0..1_000 {
            if self.0.state().shown.len() as u64 + 1 >= number(&places) {
                break;
            }
            yield_now().await;
        }
        self.0.show(&stored, &places);
        Ok(self.0.receipt(&stored))
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let taken = self.0.state().taken;
        let head = (taken > 0).then(|| self.0.place(taken, 0));
        self.0.read_up_to(honest, read, head).await
    }

    async fn wait_for_more(&self, _: &MemoryStore, _: Position) -> Result<(), Error> {
        yield_now().await;
        Ok(())
    }
}

/// Shows events in their streams at once, and in the log a while later.
#[derive(Default)]
struct IndexLag(Mutex<Vec<Position>>);

#[async_trait]
impl Bug for IndexLag {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await?;
        let positions: Vec<_> =
            receipt.written().iter().flat_map(|written| written.positions().iter().copied()).collect();
        self.0.lock().expect("nothing panics here").extend(positions);
        for _ in 0..3 {
            yield_now().await;
        }
        Ok(receipt)
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        if !matches!(read.source(), Source::Log(_)) {
            return honest.read(read).await;
        }
        // The index takes in a few of the new events with each look.
        let lagging: Vec<_> = {
            let mut waiting = self.0.lock().expect("nothing panics here");
            let taken_in = waiting.len().min(2);
            waiting.drain(..taken_in);
            waiting.clone()
        };
        let head = honest.read(Read::log(Query::all()).limit(0)).await?.head;
        let mut page = honest.read(read).await?;
        page.events.retain(|event| !lagging.contains(&event.position()));
        page.head = page.head.min(head);
        Ok(page)
    }
}
