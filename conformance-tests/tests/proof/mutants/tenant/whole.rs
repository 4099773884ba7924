//! Namespaces that are one, and a log id, a pool or a session that all of them share.

use std::sync::{Arc, Mutex};

use annalist_core::{Append, Error, EventStore, LogId, Receipt};
use annalist_memory::{Config, MemoryStore};
use async_trait::async_trait;
use tokio::task::yield_now;

use super::super::Mutant;
use crate::bug::Bug;
use crate::one_pool::OnePool;
use crate::world::{World, everywhere};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "namespace_not_looked_at",
        guarantee: "R1",
        twin: "no predicate for the namespace anywhere",
        expected: &["tenant.reads", "tenant.log", "tenant.subs", "tenant.prefix_names"],
        make: || Arc::new(Namespaced { name: |_| "one".to_owned(), log: None }),
    },
    Mutant {
        name: "namespace_cut",
        guarantee: "R1",
        twin: "a schema's name cut to the width of an identifier",
        expected: &["tenant.prefix_names"],
        make: || Arc::new(Namespaced { name: |asked| asked.chars().take(32).collect(), log: None }),
    },
    Mutant {
        name: "one_log_id_for_all",
        guarantee: "G5",
        twin: "one log id for the whole database",
        expected: &["tenant.positions", "global.other_log_refused"],
        make: || Arc::new(Namespaced { name: str::to_owned, log: Some(LogId::new()) }),
    },
    Mutant {
        name: "closing_closes_all",
        guarantee: "C2",
        twin: "one pool for all handles, which the first to close shuts down",
        expected: &["tenant.close_one"],
        make: || everywhere(OnePool::default()),
    },
    Mutant {
        name: "search_path_of_another",
        guarantee: "A1",
        twin: "`SET search_path` on a pooled connection, and the insert after an await",
        expected: &["tenant.side_by_side"],
        make: || everywhere(SearchPath::default()),
    },
];

/// Honest stores under other names, or with one log id.
struct Namespaced {
    name: fn(&str) -> String,
    log: Option<LogId>,
}

struct Honest;

impl Bug for Honest {}

impl World for Namespaced {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        Arc::new(Honest)
    }

    fn namespace(&self, asked: &str) -> String {
        (self.name)(asked)
    }

    fn store(&self) -> MemoryStore {
        let mut config = Config::default();
        if let Some(log) = self.log {
            config.log = log;
        }
        MemoryStore::with(config)
    }
}

/// Appends to the namespace that was chosen last.
#[derive(Default)]
struct SearchPath(Mutex<Option<MemoryStore>>);

#[async_trait]
impl Bug for SearchPath {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        *self.0.lock().expect("nothing panics here") = Some(honest.clone());
        yield_now().await;
        let chosen = self.0.lock().expect("nothing panics here").clone();
        chosen.as_ref().unwrap_or(honest).append(append).await
    }
}
