//! Positions that each handle gives by itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use annalist_conformance::{BoxError, Namespaces, Opened};
use annalist_core::{Append, Error, EventStore, Page, Position, Query, Read, Receipt};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::task::yield_now;

use super::super::Mutant;
use super::index::Index;
use crate::bug::{Broken, Bug};
use crate::world::World;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "sequence_cache_of_each_handle",
        guarantee: "G4",
        twin: "CREATE SEQUENCE … CACHE 50: each connection has a block of its own",
        expected: &[
            "global.embeds_stream_order",
            "global.real_time",
            "global.real_time_under_load",
            "global.embeds_stream_order_under_load",
            "global.tail_complete",
        ],
        make: || OwnPlaces::world(|| Source::Block),
    },
    Mutant {
        name: "clock_of_each_handle",
        guarantee: "G4",
        twin: "UUIDv7 made by each writer, whose clocks differ",
        expected: &["global.real_time", "global.embeds_stream_order", "global.real_time_under_load"],
        make: || OwnPlaces::world(|| Source::Clock),
    },
    Mutant {
        name: "timestamp_and_chance",
        guarantee: "G3",
        twin: "ORDER BY created_at, id: a DATETIME of seconds and random ids",
        expected: &["global.embeds_stream_order", "global.real_time", "global.real_time_under_load"],
        make: || OwnPlaces::world(|| Source::Chance),
    },
    Mutant {
        name: "counter_reseeded_from_count",
        guarantee: "G4",
        twin: "a counter in the process, seeded from COUNT when it opens",
        expected: &["global.no_regress"],
        make: || OwnPlaces::world(|| Source::Count),
    },
];

/// Where a handle takes its numbers from.
#[derive(Clone, Copy)]
enum Source {
    Block,
    Clock,
    Chance,
    Count,
}

/// Handles that share an index and give places by themselves.
struct OwnPlaces {
    source: fn() -> Source,
    indexes: Namespaces<Arc<Index>>,
    handles: AtomicU64,
}

impl OwnPlaces {
    fn world(source: fn() -> Source) -> Arc<dyn World> {
        Arc::new(Self { source, indexes: Namespaces::default(), handles: AtomicU64::new(0) })
    }
}

#[async_trait]
impl World for OwnPlaces {
    fn bug(&self, namespace: &str) -> Arc<dyn Bug> {
        let index = self.indexes.get(namespace, Arc::default);
        let handle = self.handles.fetch_add(1, Ordering::Relaxed);
        Arc::new(OwnPlace { index, source: (self.source)(), handle, next: Mutex::default() })
    }

    async fn open(&self, namespace: &str, honest: MemoryStore) -> Result<Opened, BoxError> {
        let store = Broken::new(honest, self.bug(namespace));
        Ok(Opened::of(store.clone(), store.clone(), store))
    }
}

struct OwnPlace {
    index: Arc<Index>,
    source: Source,
    handle: u64,
    /// The next number, and how many of the block are left.
    next: Mutex<Option<(u64, usize)>>,
}

const BLOCK: usize = 50;

impl OwnPlace {
    fn places(&self, n: usize, count: u64) -> Vec<Position> {
        let millis =
            || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64);
        let mut next = self.next.lock().expect("nothing panics here");
        let mut number = || {
            let (number, left) = match (self.source, *next) {
                (Source::Block, None | Some((_, 0))) => {
                    (annalist_core::backend::numbers(self.index.take(BLOCK)[0]).0, BLOCK)
                }
                (_, None) => (count + 1, usize::MAX),
                (_, Some(taken)) => taken,
            };
            *next = Some((number + 1, left - 1));
            number
        };
        let mut place = || match self.source {
            Source::Block | Source::Count => self.index.place(number(), 0),
            // The clocks of the handles differ by seconds.
            Source::Clock => self.index.place(millis() + 5_000 * (self.handle * 5 % 7), number() as u32),
            Source::Chance => self.index.place(millis() / 1_000, rand_u32()),
        };
        let mut places: Vec<_> = (0..n).map(|_| place()).collect();
        places.sort_unstable();
        places
    }
}

/// The random part of a new id.
fn rand_u32() -> u32 {
    annalist_core::EventId::new().as_uuid().as_u128() as u32
}

#[async_trait]
impl Bug for OwnPlace {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let count = honest.read(Read::log(Query::all()).limit(0)).await?.head;
        let places = self.places(append.event_count(), annalist_core::backend::numbers(count).0);
        let stored = self.index.store(honest, &append).await?;
        self.index.show(&stored, &places);
        yield_now().await;
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
