//! Positions that are numbered otherwise: with gaps, from a large number, with both of their numbers.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use annalist_conformance::{HookError, Namespaces, Rewind};
use annalist_core::{
    Append, Checkpoint, CheckpointName, CheckpointStore, Claim, Conflict, Consistency, Direction, Error,
    ErrorKind, EventStore, Owner, Page, Position, Query, Read, Receipt, Source, Version, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::Mutex;

use super::Oddball;
use super::numbering::{FROM_A_TRILLION, GAPS, Numbering, TWO_NUMBERS};
use crate::bug::Bug;
use crate::edit::{edit_receipt, keep, with_position};
use crate::world::World;

pub const ODDBALLS: &[Oddball] = &[
    Oddball {
        name: "positions_with_gaps",
        what: "between two events there are up to two thousand positions that hold none",
        make: || renumbered(GAPS),
    },
    Oddball {
        name: "positions_from_a_trillion",
        what: "the first event stands at 1,000,000,000,001",
        make: || renumbered(FROM_A_TRILLION),
    },
    Oddball {
        name: "positions_of_two_numbers",
        what: "five events to each first number, told apart by large second ones; the first number begins at 0",
        make: || renumbered(TWO_NUMBERS),
    },
];

fn renumbered(numbering: Numbering) -> Arc<dyn World> {
    let Numbering { place, count } = numbering;
    let beside_place = |n| {
        let (major, minor) = place(n);
        minor.checked_sub(1).map_or_else(|| (major - 1, u32::MAX), |minor| (major, minor))
    };
    for n in 1..5_000 {
        assert_eq!(
            (count(place(n)), count(beside_place(n))),
            (n, n - 1),
            "how many events stand up to the {n}th"
        );
    }
    Arc::new(Renumbering { numbering, databases: Namespaces::default() })
}

struct Renumbering {
    numbering: Numbering,
    databases: Namespaces<Arc<Renumbered>>,
}

#[async_trait]
impl World for Renumbering {
    fn bug(&self, namespace: &str) -> Arc<dyn Bug> {
        self.databases
            .get(namespace, || Arc::new(Renumbered { numbering: self.numbering, saved: Mutex::default() }))
    }

    async fn rewind(&self, _: &str, honest: &MemoryStore, rewind: Rewind) -> Result<(), HookError> {
        match rewind {
            Rewind::To(position) => {
                let failed = |error: Error| HookError::Failed(error.into());
                let position = self.numbering.inner(honest, position).await.map_err(failed)?;
                honest.restore_to(position).map_err(failed)
            }
            Rewind::AnotherLog => {
                honest.replace_log();
                Ok(())
            }
            _ => Err(HookError::NotProvided),
        }
    }
}

impl Numbering {
    fn page(&self, mut page: Page, read: &Read, looked: backend::Looked) -> Page {
        for event in &mut page.events {
            *event = with_position(event, self.outer(event.position()));
        }
        let head = read.fixed_head().unwrap_or_else(|| self.outer(page.head));
        let version = read.fixed_version().unwrap_or(page.version);
        backend::page(read, page.events, looked, head, version)
    }

    async fn read_stream(&self, honest: &MemoryStore, read: &Read, beneath: Read) -> Result<Page, Error> {
        if let Some(head) = read.fixed_head() {
            // A cursor of a log that was put back since is refused, as with positions of the log itself.
            let head = self.inner(honest, head).await?;
            honest.read(Read::log(Query::all()).after(head).limit(0)).await?;
        }
        let (from, to) = read.versions();
        let beneath = beneath.from(from).to(read.fixed_version().map_or(to, |version| version.min(to)));
        let (after, _) = read.positions();
        let page = honest.read(if after == Position::START { beneath } else { beneath.after(after) }).await?;
        let looked = match (&page.next, read.direction()) {
            (None, _) => backend::Looked::All,
            (Some(next), Direction::Forward) => {
                backend::Looked::UpTo(Version::new(next.versions().0.get() - 1))
            }
            (Some(next), Direction::Backward) => backend::Looked::UpTo(next.versions().1.next()),
        };
        Ok(self.page(page, read, looked))
    }

    async fn read_log(&self, honest: &MemoryStore, read: &Read, beneath: Read) -> Result<Page, Error> {
        let (after, upper) = read.positions();
        let upper = self.inner_bound(honest, upper).await?;
        let head = match read.fixed_head() {
            Some(head) => Some(self.inner(honest, head).await?),
            None => None,
        };
        let (from, to) = read.versions();
        let mut beneath = beneath.from(from).to(to).after(self.inner(honest, after).await?);
        // Either is refused where it is past the head, and then it is the larger of the two.
        let past = |position: &Position| backend::numbers(*position).0 == u64::MAX;
        if let Some(until) =
            [upper, head].into_iter().flatten().find(past).or(upper.min(head).or(upper).or(head))
        {
            beneath = beneath.until(until);
        }
        let page = honest.read(beneath).await?;
        let looked = match (&page.next, read.direction()) {
            (None, _) => backend::Looked::All,
            (Some(next), Direction::Forward) => backend::Looked::Past(self.outer(next.positions().0)),
            (Some(next), Direction::Backward) => match next.positions().1 {
                Bound::Included(position) | Bound::Excluded(position) => {
                    backend::Looked::Past(self.outer(position))
                }
                Bound::Unbounded => backend::Looked::All,
            },
        };
        Ok(self.page(page, read, looked))
    }
}

/// A read that asks the same of the store beneath, but for its bounds and cursor.
fn beneath(read: &Read) -> Read {
    let mut beneath = match read.source() {
        Source::Stream(stream) => Read::stream(stream),
        Source::Log(query) => Read::log(query.clone()),
        other => panic!("a source that this store does not know: {other:?}"),
    };
    beneath = beneath.page_size(read.page_events_max());
    if let Some(limit) = read.limit_left() {
        beneath = beneath.limit(limit);
    }
    if read.direction() == Direction::Backward {
        beneath = beneath.backward();
    }
    if read.consistency() == Consistency::Local {
        beneath = beneath.local();
    }
    beneath
}

/// The memory store, seen through other numbers.
struct Renumbered {
    numbering: Numbering,
    /// The places saved, exactly as they were: some hold no event, and the store beneath has only those that do.
    saved: Mutex<HashMap<CheckpointName, Position>>,
}

impl Renumbered {
    fn checkpoint(&self, beneath: Checkpoint, exact: Option<Position>) -> Checkpoint {
        let is_it = |exact: &Position| self.numbering.floor(*exact) == beneath.position;
        let position = exact.filter(is_it).unwrap_or_else(|| self.numbering.outer(beneath.position));
        backend::checkpoint(position, beneath.log, beneath.event)
    }
}

#[async_trait]
impl Bug for Renumbered {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let mut renumbered = keep(&append, true, false);
        for condition in append.conditions() {
            let after = self.numbering.inner(honest, condition.after).await?;
            renumbered = renumbered.condition(condition.query.clone(), after);
        }
        match honest.append(renumbered).await {
            Ok(receipt) => Ok(edit_receipt(&receipt, |written| {
                let positions = written.positions().iter().map(|position| self.numbering.outer(*position));
                backend::written(written.stream().clone(), written.first_version(), positions.collect())
            })),
            Err(error) => Err(match error.kind().clone() {
                ErrorKind::Conflict(Conflict::Condition { index, matched }) => {
                    Conflict::Condition { index, matched: self.numbering.outer(matched) }.into()
                }
                _ => error,
            }),
        }
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        match read.source() {
            Source::Stream(_) => self.numbering.read_stream(honest, &read, beneath(&read)).await,
            _ => self.numbering.read_log(honest, &read, beneath(&read)).await,
        }
    }

    async fn wait_for_more(&self, honest: &MemoryStore, after: Position) -> Result<(), Error> {
        honest.wait_for_more(self.numbering.floor(after)).await
    }

    async fn claim_checkpoint(&self, honest: &MemoryStore, name: &CheckpointName) -> Result<Claim, Error> {
        let saved = self.saved.lock().await;
        let Claim { owner, checkpoint, .. } = honest.claim_checkpoint(name).await?;
        let checkpoint = checkpoint.map(|checkpoint| self.checkpoint(checkpoint, saved.get(name).copied()));
        Ok(backend::claim(owner, checkpoint))
    }

    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        let mut saved = self.saved.lock().await;
        honest.save_checkpoint(owner, self.numbering.inner(honest, position).await?).await?;
        let exact = saved.entry(owner.name().clone()).or_insert(position);
        *exact = position.max(*exact);
        Ok(())
    }

    async fn load_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
    ) -> Result<Option<Checkpoint>, Error> {
        let saved = self.saved.lock().await;
        let checkpoint = honest.load_checkpoint(name).await?;
        Ok(checkpoint.map(|checkpoint| self.checkpoint(checkpoint, saved.get(name).copied())))
    }

    async fn reset_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
        position: Position,
    ) -> Result<Owner, Error> {
        let mut saved = self.saved.lock().await;
        let owner = honest.reset_checkpoint(name, self.numbering.inner(honest, position).await?).await?;
        saved.insert(name.clone(), position);
        Ok(owner)
    }
}
