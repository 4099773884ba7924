//! Honest stores that are odd in what the contract leaves open. Every check must pass on them, or it demands too much.

mod faulty;
mod following;
mod pace;
mod places;
mod withholding;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use annalist_core::{Capabilities, Error, EventStore, Limits, Position, Signal, Subscribe, Subscription};
use annalist_memory::{Config, MemoryStore};
use async_trait::async_trait;

use crate::bug::{Bug, check_open};
use crate::edit::edit_signals;
use crate::odd::{Odd, Shape, shaped};
use crate::world::{World, each_handle};

/// An odd but honest store.
#[derive(Clone, Copy)]
pub struct Oddball {
    pub name: &'static str,
    /// What is odd about it.
    pub what: &'static str,
    pub make: fn() -> Arc<dyn World>,
}

/// Every odd store.
pub fn all() -> Vec<Oddball> {
    let of_files = [
        ODDBALLS,
        places::ODDBALLS,
        pace::ODDBALLS,
        faulty::ODDBALLS,
        following::ODDBALLS,
        withholding::ODDBALLS,
    ];
    of_files.concat()
}

const ODDBALLS: &[Oddball] = &[
    Oddball {
        name: "plain",
        what: "nothing: the memory store beneath all mutants, without a bug",
        make: || each_handle(|| Plain),
    },
    Oddball {
        name: "gaps_in_positions",
        what: "between two neighbours there are positions that hold no event, of changing number",
        make: || shaped(|| Odd::new(Shape { place: |n| (n * 7 + n % 3, 0), ..Shape::PLAIN })),
    },
    Oddball {
        name: "positions_start_far_up",
        what: "the first position is 10^12",
        make: || shaped(|| Odd::new(Shape { place: |n| (n + 999_999_999_999, 0), ..Shape::PLAIN })),
    },
    Oddball {
        name: "positions_of_two_numbers",
        what: "a batch number and a place in the batch, as where the log is a list of batches",
        make: || shaped(|| Odd::new(Shape { place: |n| (n / 4, (n % 4) as u32), ..Shape::PLAIN })),
    },
    Oddball {
        name: "head_above_the_newest_event",
        what: "the head is a position that holds no event, as after a marker or a rolled-back append",
        make: || shaped(|| Odd::new(Shape { place: |n| (n * 2, 0), head_above: 5, ..Shape::PLAIN })),
    },
    Oddball {
        name: "one_event_a_page",
        what: "every page has at most one event, whatever was asked for",
        make: || shaped(|| Odd::new(Shape { page_events_max: 1, ..Shape::PLAIN })),
    },
    Oddball {
        name: "looks_at_three_events",
        what: "a page of the log looks at three events, so that many pages of a query are empty and lead on",
        make: || shaped(|| Odd::new(Shape { looked_at_max: 3, ..Shape::PLAIN })),
    },
    Oddball {
        name: "wakes_for_nothing",
        what: "waiting for more returns at once, again and again",
        make: || each_handle(|| WakesForNothing),
    },
    Oddball {
        name: "never_wakes",
        what: "waiting for more takes the declared 20 ms, whatever happens meanwhile",
        make: || each_handle(NeverWakes::new),
    },
    Oddball {
        name: "floor_limits",
        what: "every limit is the least that the contract allows",
        make: || Arc::new(FloorLimits),
    },
    Oddball {
        name: "coarse_clock",
        what: "every event is recorded at the same second",
        make: || Arc::new(CoarseClock),
    },
    Oddball {
        name: "local_reads",
        what: "local reads are offered, and they are a little behind",
        make: || shaped(Odd::with_local_reads),
    },
    Oddball {
        name: "tells_progress_always",
        what: "a subscription tells progress after every event",
        make: || each_handle(|| TellsProgressAlways),
    },
];

struct Plain;

impl Bug for Plain {}

struct WakesForNothing;

#[async_trait]
impl Bug for WakesForNothing {
    async fn wait_for_more(&self, honest: &MemoryStore, _: Position) -> Result<(), Error> {
        // A little slower than a spin, so that it takes a core from nobody.
        tokio::time::sleep(Duration::from_micros(200)).await;
        check_open(honest).await
    }
}

struct NeverWakes(Capabilities);

impl NeverWakes {
    fn new() -> Self {
        Self(MemoryStore::new().capabilities().clone().wake_up_within(Duration::from_millis(20)))
    }
}

#[async_trait]
impl Bug for NeverWakes {
    async fn wait_for_more(&self, honest: &MemoryStore, _: Position) -> Result<(), Error> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        check_open(honest).await
    }

    fn capabilities<'a>(&'a self, _: &'a MemoryStore) -> &'a Capabilities {
        &self.0
    }
}

struct FloorLimits;

#[async_trait]
impl World for FloorLimits {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        Arc::new(Plain)
    }

    fn store(&self) -> MemoryStore {
        let mut config = Config::default();
        config.limits = Limits::FLOOR;
        MemoryStore::with(config)
    }
}

/// A clock of whole seconds, and a declaration that says so.
struct CoarseClock;

struct WholeSeconds(Capabilities);

impl Bug for WholeSeconds {
    fn capabilities<'a>(&'a self, _: &'a MemoryStore) -> &'a Capabilities {
        &self.0
    }
}

#[async_trait]
impl World for CoarseClock {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        let declared = MemoryStore::new().capabilities().clone();
        Arc::new(WholeSeconds(declared.recorded_at_resolution(Duration::from_secs(1))))
    }

    fn store(&self) -> MemoryStore {
        let whole = || {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs())
        };
        MemoryStore::with(Config::default().with_clock(whole))
    }
}

struct TellsProgressAlways;

#[async_trait]
impl Bug for TellsProgressAlways {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let followed = annalist_engine::subscribe(store, subscribe).await?;
        Ok(edit_signals(followed, |answer| match answer {
            Ok(Signal::Event(event)) => {
                let progress = Signal::Progress(event.position());
                vec![Ok(Signal::Event(event)), Ok(progress)]
            }
            other => vec![other],
        }))
    }
}
