//! A store whose positions and pages look nothing like those of the memory store beneath, and which is honest all the same.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annalist_conformance::{HookError, Namespaces, Rewind};
use annalist_core::{
    Append, Capabilities, Capability, Checkpoint, CheckpointName, CheckpointStore, Claim, Conflict,
    Consistency, Direction, Error, ErrorKind, EventStore, Owner, Page, Position, Query, Read, Receipt,
    Source, Version, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::bug::Bug;
use crate::edit::{at, edit_receipt, keep, with_position};
use crate::world::World;

/// How positions and pages look.
#[derive(Clone, Copy)]
pub struct Shape {
    /// The position of the `n`-th event, as its two numbers; strictly increasing.
    pub place: fn(u64) -> (u64, u32),
    /// How far the head stands above the newest event, in its second number.
    pub head_above: u32,
    /// The most events of a page.
    pub page_events_max: usize,
    /// The most events that a page of the log looks at, whether they match or not.
    pub looked_at_max: u64,
}

impl Shape {
    pub const PLAIN: Self =
        Self { place: |n| (n, 0), head_above: 0, page_events_max: usize::MAX, looked_at_max: u64::MAX };
}

/// The memory store in another shape; shared by all handles of a database.
pub struct Odd {
    shape: Shape,
    /// With local reads: what is declared, and the head up to which a local read of the log looks.
    local: Option<(Capabilities, AtomicU64)>,
    /// Positions of checkpoints as they were saved: they may stand where no event does.
    checkpoints: Mutex<HashMap<CheckpointName, Position>>,
}

/// The number of an event of the memory store, from 1; 0 before all of them.
fn number(inner: Position) -> u64 {
    backend::numbers(inner).0
}

async fn inner_head(honest: &MemoryStore) -> Result<Position, Error> {
    Ok(honest.read(Read::log(Query::all()).limit(0)).await?.head)
}

impl Odd {
    pub fn new(shape: Shape) -> Self {
        Self { shape, local: None, checkpoints: Mutex::default() }
    }

    /// Offers local reads, which see what linearizable reads and wake-ups have brought.
    pub fn with_local_reads() -> Self {
        let memory = MemoryStore::new();
        let declared = memory.capabilities();
        let mut offered = Capabilities::full(*declared.limits())
            .queries_scan()
            .recorded_at_resolution(declared.recorded_at_precision())
            .durability(declared.survives(), declared.durability_settings());
        for absent in Capability::ALL.into_iter().filter(|capability| *capability != Capability::LocalReads) {
            offered = declared
                .reason_against(absent)
                .into_iter()
                .fold(offered, |offered, why| offered.without(absent, why));
        }
        Self { local: Some((offered, AtomicU64::new(0))), ..Self::new(Shape::PLAIN) }
    }

    /// The head for a read that begins: as it is, or for a local one as it was when something was last heard of it.
    fn head_for(&self, read: &Read, head: Position) -> Position {
        let Some((_, heard)) = &self.local else { return head };
        if read.consistency() == Consistency::Linearizable || read.fixed_head().is_some() {
            heard.fetch_max(number(head), Ordering::SeqCst);
            return head;
        }
        let heard = numbered(head, heard.load(Ordering::SeqCst).min(number(head)));
        if read.positions() == (Position::START, Bound::Unbounded) || read.positions().0 <= heard {
            heard
        } else {
            head
        }
    }

    /// The position outside of one inside.
    fn out(&self, inner: Position) -> Position {
        let (major, minor) = (self.shape.place)(number(inner));
        if inner == Position::START { inner } else { at(inner, major, minor) }
    }

    fn out_head(&self, inner: Position) -> Position {
        let (major, minor) = backend::numbers(self.out(inner));
        if inner == Position::START { inner } else { at(inner, major, minor + self.shape.head_above) }
    }

    /// The position inside that has the same events at or below it, or one past every head.
    fn inside(&self, outer: Position, inner_head: Position) -> Position {
        let same_log = outer.to_string()[..8] == inner_head.to_string()[..8];
        if outer == Position::START || (!same_log && inner_head != Position::START) {
            return outer;
        }
        if outer > self.out_head(inner_head) {
            return at(outer, u64::MAX, 0);
        }
        let (mut low, mut high) = (0, number(inner_head));
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if (self.shape.place)(middle) <= backend::numbers(outer) {
                low = middle
            } else {
                high = middle - 1
            }
        }
        if low == 0 { Position::START } else { at(outer, low, 0) }
    }

    /// The bounds of a read of the log, inside: exclusive and inclusive.
    fn bounds(&self, read: &Read, head: Position) -> (Position, Position) {
        let (after, upper) = read.positions();
        let fixed = read.fixed_head().map_or(head, |fixed| self.inside(fixed, head));
        let upper = match upper {
            Bound::Unbounded => fixed,
            // A first page refuses what is past the head; later ones are bounded by it.
            Bound::Included(upper) if read.fixed_head().is_none() => self.inside(upper, head),
            Bound::Included(upper) => self.inside(upper, head).min(fixed),
            Bound::Excluded(upper) => {
                let below = self.inside(upper, head);
                let stands = self.out(below) == upper && below != Position::START;
                if stands { numbered(below, number(below) - 1) } else { below }
            }
        };
        (self.inside(after, head), upper)
    }

    /// The part of the bounds that one page looks at, and where the looking ends if it does not reach the end.
    fn window(
        &self,
        read: &Read,
        (after, upper): (Position, Position),
    ) -> ((Position, Position), Option<Position>) {
        let (low, high) = (number(after), number(upper));
        if high == u64::MAX || low >= high || high - low <= self.shape.looked_at_max {
            return ((after, upper), None);
        }
        if read.direction() == Direction::Forward {
            let end = numbered(upper, low + self.shape.looked_at_max);
            ((after, end), Some(end))
        } else {
            let start = high - self.shape.looked_at_max;
            ((numbered(upper, start), upper), Some(numbered(upper, start + 1)))
        }
    }

    async fn read_log(&self, honest: &MemoryStore, read: &Read, query: &Query) -> Result<Page, Error> {
        let now = inner_head(honest).await?;
        let head = self.head_for(read, now);
        let (window, cut) = self.window(read, self.bounds(read, head));
        let mut inner = Read::log(query.clone()).after(window.0).until(window.1);
        if read.versions() != (Version::FIRST, Version::MAX) {
            inner = inner.from(read.versions().0).to(read.versions().1);
        }
        let page = honest.read(self.asked(read, inner)).await?;
        let looked = match page.next.as_ref().map(Read::positions) {
            Some((after, _)) if read.direction() == Direction::Forward => {
                backend::Looked::Past(self.out(after))
            }
            Some((_, Bound::Excluded(upper))) => backend::Looked::Past(self.out(upper)),
            _ => cut.map_or(backend::Looked::All, |end| backend::Looked::Past(self.out(end))),
        };
        let events = page.events.iter().map(|event| with_position(event, self.out(event.position())));
        let head = read.fixed_head().unwrap_or(self.out_head(head));
        Ok(backend::page(read, events.collect(), looked, head, Version::NONE))
    }

    async fn read_stream(&self, honest: &MemoryStore, read: &Read, inner: Read) -> Result<Page, Error> {
        if let Some(fixed) = read.fixed_head() {
            // A cursor of a log that was put back since is refused.
            let head = inner_head(honest).await?;
            honest.read(Read::log(Query::all()).after(self.inside(fixed, head)).limit(0)).await?;
        }
        let to = read.fixed_version().unwrap_or(Version::MAX).min(read.versions().1);
        let mut inner = inner.from(read.versions().0).to(to);
        if read.positions() != (Position::START, Bound::Unbounded) {
            inner = inner.after(read.positions().0).until(read.positions().0);
        }
        let page = honest.read(self.asked(read, inner)).await?;
        let looked = match (page.next, page.events.last()) {
            (Some(_), Some(last)) => backend::Looked::UpTo(last.version()),
            _ => backend::Looked::All,
        };
        let events = page.events.iter().map(|event| with_position(event, self.out(event.position())));
        let head = read.fixed_head().unwrap_or(self.out_head(page.head));
        let version = read.fixed_version().unwrap_or(page.version);
        Ok(backend::page(read, events.collect(), looked, head, version))
    }

    /// The same direction, size and consistency.
    fn asked(&self, read: &Read, mut inner: Read) -> Read {
        if read.direction() == Direction::Backward {
            inner = inner.backward();
        }
        if read.consistency() == Consistency::Local && self.local.is_none() {
            inner = inner.local();
        }
        match read.page_events_max() {
            0 => inner.limit(0),
            events => inner.page_size(events.min(self.shape.page_events_max)),
        }
    }

    fn out_error(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Conflict(Conflict::Condition { index, matched }) => {
                Conflict::Condition { index: *index, matched: self.out(*matched) }.into()
            }
            _ => error,
        }
    }

    /// A checkpoint as it was saved.
    fn out_checkpoint(&self, inner: Checkpoint, saved: Option<&Position>) -> Checkpoint {
        let position = saved.copied().unwrap_or_else(|| self.out(inner.position));
        backend::checkpoint(position, inner.log, inner.event)
    }
}

/// The inner position of this number, in the log of another.
fn numbered(like: Position, number: u64) -> Position {
    if number == 0 { Position::START } else { at(like, number, 0) }
}

/// A world of one shape: what the harness is told of positions is told from outside, too.
pub fn shaped(make: fn() -> Odd) -> Arc<dyn World> {
    Arc::new(OddWorld { make, databases: Namespaces::default() })
}

struct OddWorld {
    make: fn() -> Odd,
    databases: Namespaces<Arc<Odd>>,
}

impl OddWorld {
    fn odd(&self, namespace: &str) -> Arc<Odd> {
        self.databases.get(namespace, || Arc::new((self.make)()))
    }
}

#[async_trait]
impl World for OddWorld {
    fn bug(&self, namespace: &str) -> Arc<dyn Bug> {
        self.odd(namespace)
    }

    async fn rewind(&self, namespace: &str, honest: &MemoryStore, rewind: Rewind) -> Result<(), HookError> {
        let failed = |error: Error| HookError::Failed(error.into());
        match rewind {
            Rewind::To(position) => {
                let head = inner_head(honest).await.map_err(failed)?;
                honest.restore_to(self.odd(namespace).inside(position, head)).map_err(failed)
            }
            Rewind::AnotherLog => {
                honest.replace_log();
                Ok(())
            }
            _ => Err(HookError::NotProvided),
        }
    }
}

#[async_trait]
impl Bug for Odd {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let head = inner_head(honest).await?;
        let mut inner = keep(&append, true, false);
        for condition in append.conditions() {
            inner = inner.condition(condition.query.clone(), self.inside(condition.after, head));
        }
        let receipt = honest.append(inner).await.map_err(|error| self.out_error(error))?;
        Ok(edit_receipt(&receipt, |written| {
            let positions = written.positions().iter().map(|position| self.out(*position)).collect();
            backend::written(written.stream().clone(), written.first_version(), positions)
        }))
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        match read.source() {
            Source::Log(query) => self.read_log(honest, &read, query).await,
            Source::Stream(stream) => self.read_stream(honest, &read, Read::stream(stream)).await,
            _ => honest.read(read).await,
        }
    }

    async fn wait_for_more(&self, honest: &MemoryStore, after: Position) -> Result<(), Error> {
        let head = inner_head(honest).await?;
        honest.wait_for_more(self.inside(after, head)).await?;
        if let Some((_, heard)) = &self.local {
            heard.fetch_max(number(inner_head(honest).await?), Ordering::SeqCst);
        }
        Ok(())
    }

    fn capabilities<'a>(&'a self, honest: &'a MemoryStore) -> &'a Capabilities {
        self.local.as_ref().map_or(honest.capabilities(), |(declared, _)| declared)
    }

    async fn claim_checkpoint(&self, honest: &MemoryStore, name: &CheckpointName) -> Result<Claim, Error> {
        let saved = self.checkpoints.lock().await;
        let claim = honest.claim_checkpoint(name).await?;
        let checkpoint = claim.checkpoint.map(|inner| self.out_checkpoint(inner, saved.get(name)));
        Ok(backend::claim(claim.owner, checkpoint))
    }

    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        let mut saved = self.checkpoints.lock().await;
        let head = inner_head(honest).await?;
        honest.save_checkpoint(owner, self.inside(position, head)).await?;
        let furthest = saved.entry(owner.name().clone()).or_insert(position);
        *furthest = position.max(*furthest);
        Ok(())
    }

    async fn load_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
    ) -> Result<Option<Checkpoint>, Error> {
        let saved = self.checkpoints.lock().await;
        let loaded = honest.load_checkpoint(name).await?;
        Ok(loaded.map(|inner| self.out_checkpoint(inner, saved.get(name))))
    }

    async fn reset_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
        position: Position,
    ) -> Result<Owner, Error> {
        let mut saved = self.checkpoints.lock().await;
        let head = inner_head(honest).await?;
        let owner = honest.reset_checkpoint(name, self.inside(position, head)).await?;
        saved.insert(name.clone(), position);
        Ok(owner)
    }
}
