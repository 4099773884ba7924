//! Twins that meet one another.

use std::collections::HashMap;
use std::sync::Mutex;

use annalist_core::{Append, Error, EventId, EventStore, Page, Read, Receipt, Version};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::aliases::{Aliases, with_ids};
use crate::bug::Bug;
use crate::look::version_conflict;
use crate::mutants::Mutant;
use crate::world::each_database;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "looked_up_then_inserted",
        guarantee: "I4",
        twin: "a SELECT for the ids and then an INSERT, without a unique index",
        expected: &["idem.concurrent_twins", "idem.twins_across_handles", "idem.rivals_for_an_id"],
        make: || {
            each_database(|| LookedUpThenInserted { aliases: Aliases::default(), known: Mutex::default() })
        },
    },
    Mutant {
        name: "slower_twin_conflicts",
        guarantee: "I4",
        twin: "the unique violation of the slower twin taken for one of the version",
        expected: &["idem.concurrent_twins", "idem.twins_across_handles"],
        make: || each_database(|| SlowerTwinConflicts(Mutex::default())),
    },
];

/// Finds an id unknown, and inserts it a little later all the same.
struct LookedUpThenInserted {
    aliases: Aliases,
    known: Mutex<HashMap<EventId, EventId>>,
}

#[async_trait]
impl Bug for LookedUpThenInserted {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let known = self.known.lock().expect("no panic").clone();
        tokio::task::yield_now().await;
        let mut new = HashMap::new();
        let disguised = with_ids(&append, |id| {
            let make = || *new.entry(id).or_insert_with(|| self.aliases.make(id));
            known.get(&id).copied().unwrap_or_else(make)
        });
        let receipt = honest.append(disguised).await.map_err(|error| self.aliases.reveal_error(error))?;
        self.known.lock().expect("no panic").extend(new);
        Ok(receipt)
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        Ok(self.aliases.reveal(honest.read(read).await?))
    }
}

/// Tells a retry that it conflicts if it came while its twin was under way.
struct SlowerTwinConflicts(Mutex<HashMap<EventId, usize>>);

#[async_trait]
impl Bug for SlowerTwinConflicts {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let Some((stream, event)) = append.events().next() else { return honest.append(append).await };
        let id = event.id();
        *self.0.lock().expect("no panic").entry(id).or_default() += 1;
        tokio::task::yield_now().await;
        let answer = honest.append(append.clone()).await;
        let mut under_way = self.0.lock().expect("no panic");
        let count = under_way.entry(id).or_default();
        *count -= 1;
        match answer {
            Ok(receipt) if receipt.already_committed() && *count > 0 => {
                Err(version_conflict(stream, append.writes()[0].expected, Version::FIRST))
            }
            answer => answer,
        }
    }
}
