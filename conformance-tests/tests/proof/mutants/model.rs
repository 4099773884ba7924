//! Broken stores for the area `model`: bugs that need several features at once to show.

use annalist_core::{Append, Error, EventStore, Page, Read, Receipt, Source};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::Mutant;
use crate::bug::Bug;
use crate::edit::keep;
use crate::world::each_handle;

pub const PARTS: &[&[Mutant]] = &[MUTANTS];

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "conditions_of_one_stream_only",
        guarantee: "A3",
        twin: "a condition check that is inlined into the statement for one stream only",
        expected: &["model.sequential"],
        make: || each_handle(|| ConditionsOfOneStreamOnly),
    },
    Mutant {
        name: "backward_limit_ignores_after",
        guarantee: "R1",
        twin: "a `WHERE` that is left out where `ORDER BY … DESC LIMIT` is used",
        expected: &["model.sequential"],
        make: || each_handle(|| BackwardLimitIgnoresAfter),
    },
];

/// Forgets the conditions of an append that writes several streams.
struct ConditionsOfOneStreamOnly;

#[async_trait]
impl Bug for ConditionsOfOneStreamOnly {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let conditions = append.writes().len() < 2;
        honest.append(keep(&append, true, conditions)).await
    }
}

/// Reads the log backward with a limit without its lower bound.
struct BackwardLimitIgnoresAfter;

#[async_trait]
impl Bug for BackwardLimitIgnoresAfter {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let limited = read.limit_left().is_some() && read.direction() == annalist_core::Direction::Backward;
        if limited && matches!(read.source(), Source::Log(_)) && read.fixed_head().is_none() {
            return honest.read(read.after(annalist_core::Position::START)).await;
        }
        honest.read(read).await
    }
}
