//! Stores with a way to their log that can be broken, and one with a clock that nobody should trust.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use annalist_memory::{Config, MemoryStore};

use super::{Oddball, Plain};
use crate::bug::Bug;
use crate::faulty::faulty;
use crate::remote::{self, Parts, remote};
use crate::senders::{direct, grouped};
use crate::served::{Honest, served};
use crate::world::World;

pub const ODDBALLS: &[Oddball] = &[
    Oddball {
        name: "group_commit",
        what: "appends travel in batches, over a way that can be broken, from a queue of sixteen",
        make: || faulty(grouped),
    },
    Oddball {
        name: "sends_once",
        what: "each append travels by itself, and is not sent again when the way is broken",
        make: || faulty(direct),
    },
    Oddball {
        name: "remote",
        what: "it is on a server, behind connections that can be lost, and appends take two round trips",
        make: || {
            // A crowded machine must not make it give up what would still have come.
            let hasty = remote::Config { timeout: Duration::from_secs(3), ..remote::Config::HASTY };
            remote(Parts { hasty, ..Parts::HONEST })
        },
    },
    Oddball {
        name: "served",
        what: "several processes work on one server, and servers are killed and stopped",
        make: || served(Honest),
    },
    Oddball {
        name: "clock_jumps_back",
        what: "each event is recorded an hour before the last one, all of them before 1970",
        make: || Arc::new(JumpsBack),
    },
];

struct JumpsBack;

impl World for JumpsBack {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        Arc::new(Plain)
    }

    fn store(&self) -> MemoryStore {
        let hours = AtomicU64::new(0);
        let back = move || {
            let back = Duration::from_secs(3_600 * hours.fetch_add(1, Ordering::Relaxed));
            SystemTime::UNIX_EPOCH - back
        };
        MemoryStore::with(Config::default().with_clock(back))
    }
}
