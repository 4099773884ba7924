//! Broken stores and harnesses for the area `meta`.

use std::sync::Arc;
use std::time::Duration;

use annalist_conformance::{BoxError, Namespaces, Opened};
use annalist_core::{Append, Error, EventStore, ExpectedVersion, NewEvent, Query, Read, Receipt, StreamId};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::Mutant;
use crate::bug::Bug;
use crate::world::{World, alone, each_handle};

pub const PARTS: &[&[Mutant]] = &[MUTANTS];

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "leftovers",
        guarantee: "R2",
        twin: "one table for every namespace",
        expected: &["meta.namespace_empty"],
        make: || Arc::new(Leftovers),
    },
    Mutant {
        name: "fresh_is_a_clone",
        guarantee: "R3",
        twin: "a test harness that clones the pool",
        expected: &["meta.fresh_is_fresh"],
        make: || Arc::new(FreshIsAClone::default()),
    },
    Mutant {
        name: "answers_after_seconds",
        guarantee: "C2",
        twin: "a client that waits out a connect time-out before every call",
        expected: &["meta.traffic_minimum"],
        make: || each_handle(|| AnswersAfterSeconds),
    },
    Mutant {
        name: "panics_in_the_background",
        guarantee: "E3",
        twin: "an `unwrap` in a task that cleans up after an append has been answered",
        expected: &["meta.namespace_empty"],
        make: || alone(each_handle(|| PanicsInTheBackground)),
    },
];

struct Honest;

impl Bug for Honest {}

/// Puts an event into every empty log that it opens.
struct Leftovers;

#[async_trait]
impl World for Leftovers {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        Arc::new(Honest)
    }

    async fn open(&self, _: &str, honest: MemoryStore) -> Result<Opened, BoxError> {
        if honest.read(Read::log(Query::all())).await?.events.is_empty() {
            let left = NewEvent::new("LeftBehind", "{}")?;
            honest.append(Append::to(&StreamId::new("Old-1")?, ExpectedVersion::Any, [left])).await?;
        }
        Ok(Opened::new(honest))
    }
}

/// Gives the same handle every time.
#[derive(Default)]
struct FreshIsAClone(Namespaces<MemoryStore>);

#[async_trait]
impl World for FreshIsAClone {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        Arc::new(Honest)
    }

    async fn open(&self, namespace: &str, honest: MemoryStore) -> Result<Opened, BoxError> {
        Ok(Opened::new(self.0.get(namespace, || honest)))
    }
}

struct AnswersAfterSeconds;

#[async_trait]
impl Bug for AnswersAfterSeconds {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        honest.append(append).await
    }
}

/// Answers rightly, and loses a task of its own to a panic.
struct PanicsInTheBackground;

#[async_trait]
impl Bug for PanicsInTheBackground {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await;
        let lost = tokio::spawn(async { panic!("the clean-up met a row that it does not know") });
        drop(lost.await);
        receipt
    }
}
