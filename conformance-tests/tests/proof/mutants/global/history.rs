//! Positions of the future and of other logs, taken for good.

use std::ops::Bound;
use std::sync::Mutex;

use annalist_core::{Append, Error, ErrorKind, EventStore, Page, Position, Query, Read, Receipt, backend};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::super::Mutant;
use crate::bug::Bug;
use crate::edit::keep;
use crate::edit_read::{of_stream, with_numbers};
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "past_head_is_empty",
        guarantee: "G5",
        twin: "`WHERE position > $1`, whatever $1 is",
        expected: &["global.past_head_refused", "global.past_head_until_written"],
        make: || each_handle(|| Tolerant { of_other_logs: false, in_reads: true }),
    },
    Mutant {
        name: "condition_past_head_holds",
        guarantee: "G5",
        twin: "NOT EXISTS (… position > $1), whatever $1 is",
        expected: &["global.past_head_refused"],
        make: || each_handle(|| Tolerant { of_other_logs: false, in_reads: false }),
    },
    Mutant {
        name: "positions_are_bare_numbers",
        guarantee: "G5",
        twin: "a number fits any log",
        expected: &["global.other_log_refused"],
        make: || each_handle(|| Tolerant { of_other_logs: true, in_reads: true }),
    },
    Mutant {
        name: "refusal_of_a_position_remembered",
        guarantee: "G5",
        twin: "a negative cache",
        expected: &["global.past_head_until_written"],
        make: || each_database(RefusalRemembered::default),
    },
];

/// Takes positions for positions of this log, or for ones up to its head.
struct Tolerant {
    of_other_logs: bool,
    in_reads: bool,
}

impl Tolerant {
    fn taken_as(&self, position: Position, head: Position) -> Position {
        let mine = position == Position::START || position.to_string()[..8] == head.to_string()[..8];
        let (major, minor) = backend::numbers(position);
        match (mine, self.of_other_logs) {
            (false, true) => with_numbers(head, major, minor).min(head),
            (true, false) => position.min(head),
            _ => position,
        }
    }
}

async fn head_of(honest: &MemoryStore) -> Result<Position, Error> {
    Ok(honest.read(Read::log(Query::all()).limit(0)).await?.head)
}

#[async_trait]
impl Bug for Tolerant {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let head = head_of(honest).await?;
        let mut taken = keep(&append, true, false);
        for condition in append.conditions() {
            taken = taken.condition(condition.query.clone(), self.taken_as(condition.after, head));
        }
        honest.append(taken).await
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        if of_stream(&read) || read.fixed_head().is_some() || !self.in_reads {
            return honest.read(read).await;
        }
        let head = head_of(honest).await?;
        let (after, upper) = read.positions();
        let mut taken = read.after(self.taken_as(after, head));
        if let Bound::Included(until) = upper {
            taken = taken.until(self.taken_as(until, head));
        }
        honest.read(taken).await
    }
}

/// Refuses again what it has refused once, or a little more.
#[derive(Default)]
struct RefusalRemembered(Mutex<Option<Position>>);

#[async_trait]
impl Bug for RefusalRemembered {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let (after, _) = read.positions();
        let refused = *self.0.lock().expect("nothing panics here");
        if refused.is_some_and(|refused| after >= refused) {
            return Err(ErrorKind::WrongHistory("the position is past the head".to_owned()).into());
        }
        let answer = honest.read(read).await;
        if answer.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::WrongHistory(_))) {
            *self.0.lock().expect("nothing panics here") = Some(after);
        }
        answer
    }
}
