//! Positions that are numbered otherwise: with gaps, from a large number, with both of their numbers.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use annalist_conformance::{HookError, Namespaces, Rewind};
use annalist_core::{
    Append, Checkpoint, CheckpointName, CheckpointStore, Claim, Conflict, Consistency, Direction, Error,
    ErrorKind, EventStore, LogId, Owner, Page, Position, Query, Read, Receipt, Source, Version, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::Mutex;

use super::Oddball;
use crate::bug::Bug;
use crate::edit::{edit_receipt, keep, with_position};
use crate::look::head_of;
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

/// Where the n-th event of a log stands, and how many events stand at or below a place. Both rise with their argument.
#[derive(Clone, Copy)]
struct Numbering {
    place: fn(u64) -> (u64, u32),
    count: fn((u64, u32)) -> u64,
}

const GAP: u64 = 1_000;

const GAPS: Numbering = Numbering {
    place: |n| (n.saturating_mul(GAP).saturating_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % GAP), 0),
    count: |(major, _)| {
        let n = major / GAP;
        if (GAPS.place)(n).0 <= major { n } else { n.saturating_sub(1) }
    },
};

const TRILLION: u64 = 1_000_000_000_000;

const FROM_A_TRILLION: Numbering = Numbering {
    place: |n| (n.saturating_add(TRILLION), 0),
    count: |(major, _)| major.saturating_sub(TRILLION),
};

const EACH: u64 = 5;
const STRIDE: u32 = 0x3000_0000;

const TWO_NUMBERS: Numbering = Numbering {
    place: |n| (n / EACH, (n % EACH) as u32 * STRIDE + 7),
    count: |(major, minor)| {
        let of_this = (0..EACH as u32).filter(|n| n * STRIDE + 7 <= minor).count() as u64;
        major.saturating_mul(EACH).saturating_add(of_this).saturating_sub(1)
    },
};

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

/// A place of the log that this position is one of.
fn beside(position: Position, (major, minor): (u64, u32)) -> Position {
    let tag = &position.to_string()[..8];
    let log: LogId = format!("00000000-0000-0000-0000-0000{tag}").parse().expect("a UUID with the log's tag");
    backend::position(log, major, minor)
}

fn same_log(a: Position, b: Position) -> bool {
    a.to_string()[..8] == b.to_string()[..8]
}

impl Numbering {
    /// The position that callers see for one of the store beneath.
    fn outer(&self, inner: Position) -> Position {
        if inner == Position::START {
            return inner;
        }
        beside(inner, (self.place)(backend::numbers(inner).0))
    }

    /// The position beneath at or before one that a caller names. One that is not of this log or past its head becomes one
    /// that the store beneath refuses.
    async fn inner(&self, honest: &MemoryStore, outer: Position) -> Result<Position, Error> {
        if outer == Position::START {
            return Ok(outer);
        }
        let head = head_of(honest).await?;
        if head == Position::START || !same_log(head, outer) {
            return Ok(outer);
        }
        if outer > self.outer(head) {
            return Ok(beside(head, (u64::MAX, u32::MAX)));
        }
        Ok(self.floor(outer))
    }

    /// The position beneath at or before one of this log.
    fn floor(&self, outer: Position) -> Position {
        match (self.count)(backend::numbers(outer)) {
            0 => Position::START,
            n => beside(outer, (n, 0)),
        }
    }

    /// The highest position beneath that a bound allows; `None` where it allows all.
    async fn inner_bound(
        &self,
        honest: &MemoryStore,
        bound: Bound<Position>,
    ) -> Result<Option<Position>, Error> {
        Ok(match bound {
            Bound::Unbounded => None,
            Bound::Included(position) => Some(self.inner(honest, position).await?),
            Bound::Excluded(position) => {
                // Only a cursor excludes, and what it excludes was looked at.
                let at = self.inner(honest, position).await?;
                match backend::numbers(at).0 {
                    0 | 1 => Some(Position::START),
                    // Past the head, which the store beneath is to refuse.
                    u64::MAX => Some(at),
                    n => Some(beside(at, (n - 1, 0))),
                }
            }
        })
    }

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
