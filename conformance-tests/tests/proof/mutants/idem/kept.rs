//! Ids that are not kept, not for long, or not for all.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use annalist_core::{Append, Error, EventId, EventStore, ExpectedVersion, Page, Read, Receipt};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::aliases::{Aliases, with_ids};
use crate::bug::Bug;
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "no_ids_kept",
        guarantee: "I1",
        twin: "an event store without idempotency: the id is one more column",
        expected: &["idem.replay_exact", "idem.replay_any", "idem.same_id_next_version"],
        make: || each_database(|| NoIdsKept { aliases: Aliases::default(), any_only: false }),
    },
    Mutant {
        name: "no_ids_kept_for_any",
        guarantee: "I1",
        twin: "an append that expects nothing skips the look-up of ids",
        expected: &["idem.replay_any"],
        make: || each_database(|| NoIdsKept { aliases: Aliases::default(), any_only: true }),
    },
    Mutant {
        name: "ids_of_the_newest_append_kept",
        guarantee: "I1",
        twin: "the last write of a stream compared, as by an idempotent producer",
        expected: &["idem.replay_after_growth", "idem.replay_deep"],
        make: || each_database(|| Window::of(1)),
    },
    Mutant {
        name: "ids_of_the_last_hundred_appends_kept",
        guarantee: "I1",
        twin: "a window of deduplication, as of NATS",
        expected: &["idem.replay_deep"],
        make: || each_database(|| Window::of(100)),
    },
    Mutant {
        name: "ids_in_the_memory_of_the_handle",
        guarantee: "I1",
        twin: "a set of ids in the process that wrote them",
        expected: &[
            "idem.retry_from_another_handle",
            "idem.replay_after_reopen",
            "idem.twins_across_handles",
        ],
        make: || {
            let aliases = Arc::default();
            each_handle(move || InTheHandle { aliases: Arc::clone(&aliases), known: Mutex::default() })
        },
    },
];

/// Gives every event another id in the store beneath, or only those of appends that expect nothing.
struct NoIdsKept {
    aliases: Aliases,
    any_only: bool,
}

#[async_trait]
impl Bug for NoIdsKept {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let any = append.writes().iter().all(|write| write.expected == ExpectedVersion::Any);
        if self.any_only && !any {
            return honest.append(append).await;
        }
        honest.append(with_ids(&append, |id| self.aliases.make(id))).await
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        Ok(self.aliases.reveal(honest.read(read).await?))
    }
}

/// Knows the ids of so many appends, the newest.
struct Window {
    appends_max: usize,
    aliases: Aliases,
    appends: Mutex<VecDeque<HashMap<EventId, EventId>>>,
}

impl Window {
    fn of(appends_max: usize) -> Self {
        Self { appends_max, aliases: Aliases::default(), appends: Mutex::default() }
    }
}

#[async_trait]
impl Bug for Window {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let mut new = HashMap::new();
        let disguised = with_ids(&append, |id| {
            let known = self.appends.lock().expect("no panic").iter().find_map(|ids| ids.get(&id).copied());
            known.unwrap_or_else(|| *new.entry(id).or_insert_with(|| self.aliases.make(id)))
        });
        let receipt = honest.append(disguised).await.map_err(|error| self.aliases.reveal_error(error))?;
        let mut appends = self.appends.lock().expect("no panic");
        if !new.is_empty() {
            appends.push_back(new);
        }
        while appends.len() > self.appends_max {
            appends.pop_front();
        }
        Ok(receipt)
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        Ok(self.aliases.reveal(honest.read(read).await?))
    }
}

/// Knows the ids that came through this handle.
struct InTheHandle {
    aliases: Arc<Aliases>,
    known: Mutex<HashMap<EventId, EventId>>,
}

#[async_trait]
impl Bug for InTheHandle {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let disguised = with_ids(&append, |id| {
            *self.known.lock().expect("no panic").entry(id).or_insert_with(|| self.aliases.make(id))
        });
        honest.append(disguised).await.map_err(|error| self.aliases.reveal_error(error))
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        Ok(self.aliases.reveal(honest.read(read).await?))
    }
}
