//! A table of checkpoints beside the log, as a backend would write it, with room for one flaw.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use annalist_conformance::Namespaces;
use annalist_core::{
    Checkpoint, CheckpointName, CheckpointStore, Claim, Error, ErrorKind, EventStore, Fenced, Owner,
    Position, Query, Read, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::task::yield_now;

use crate::bug::Bug;
use crate::world::World;

/// What is wrong with a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    BelowIsAnError,
    ClaimStoresTheStart,
    EpochReadThenWritten,
    EventByEquality,
    EventNotKept,
    FencesOtherHandlesOnly,
    FencesTheSameHandleOnly,
    HeadAtSavingCompared,
    LastWriteWins,
    LoadClaims,
    NamesFolded,
    NoFencing,
    NoOpBeforeFence,
    None,
    OneRowForAll,
    OtherLogUnnoticed,
    OwnerComparedFirst,
    PlaceComparedFirst,
    PositionsAreTaken,
    RaisesEpochFirst,
    RegrownUnnoticed,
    ResetDeletesTheRow,
    ResetDoesNotFence,
    ResetIsASave,
    ResetVerifiesTheOld,
    SameHandleKeepsItsEpoch,
    SavesTheHead,
    ShorterUnnoticed,
    StartIsNull,
}

#[derive(Clone, Default)]
struct Row {
    epoch: u64,
    claimed_by: u64,
    stored: Option<Checkpoint>,
    head_then: Option<Position>,
}

type Rows = Arc<Mutex<HashMap<CheckpointName, Row>>>;

/// Gives each handle its view of the table of its namespace.
pub struct Tables {
    flaw: Flaw,
    /// What an epoch is counted up by.
    stride: u64,
    shared: bool,
    rows: Namespaces<Rows>,
    handles: AtomicU64,
}

/// Stores whose checkpoints are in a table with this flaw.
pub fn tables(flaw: Flaw) -> Arc<dyn World> {
    Arc::new(Tables::new(flaw, 1, false))
}

/// The same with one table for all namespaces.
pub fn one_table_for_all() -> Arc<dyn World> {
    Arc::new(Tables::new(Flaw::None, 1, true))
}

/// An honest table whose epochs leave numbers out.
pub fn wide_epochs() -> Arc<dyn World> {
    Arc::new(Tables::new(Flaw::None, 1_000_003, false))
}

impl Tables {
    fn new(flaw: Flaw, stride: u64, shared: bool) -> Self {
        Self { flaw, stride, shared, rows: Namespaces::default(), handles: AtomicU64::new(1) }
    }
}

impl World for Tables {
    fn bug(&self, namespace: &str) -> Arc<dyn Bug> {
        let rows = self.rows.get(if self.shared { "" } else { namespace }, Rows::default);
        let handle = self.handles.fetch_add(1, Ordering::Relaxed);
        Arc::new(Table { flaw: self.flaw, stride: self.stride, rows, handle })
    }
}

/// The table as one handle sees it.
struct Table {
    flaw: Flaw,
    stride: u64,
    rows: Rows,
    handle: u64,
}

/// A place in the log as it is now, or why it is none: asked of the memory store, which knows its log, under a name that nobody uses.
async fn place(honest: &MemoryStore, position: Position) -> Result<Checkpoint, Error> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = CheckpointName::new(format!("asked {}", NEXT.fetch_add(1, Ordering::Relaxed)))?;
    honest.reset_checkpoint(&name, position).await?;
    Ok(honest.load_checkpoint(&name).await?.expect("a reset stores a place"))
}

/// Refuses what is asked of a closed store: only the memory store knows.
async fn open(honest: &MemoryStore) -> Result<(), Error> {
    head(honest).await.map(drop)
}

async fn head(honest: &MemoryStore) -> Result<Position, Error> {
    Ok(honest.read(Read::log(Query::all()).limit(0)).await?.head)
}

impl Table {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<CheckpointName, Row>> {
        self.rows.lock().expect("nothing panics while it is held")
    }

    fn key(&self, name: &CheckpointName) -> CheckpointName {
        let folded = match self.flaw {
            Flaw::OneRowForAll => "all".to_owned(),
            Flaw::NamesFolded => name.as_str().trim().to_lowercase(),
            _ => return name.clone(),
        };
        CheckpointName::new(folded).expect("a folded name is a name")
    }

    fn row(&self, name: &CheckpointName) -> Row {
        self.rows().get(&self.key(name)).cloned().unwrap_or_default()
    }

    async fn place(&self, honest: &MemoryStore, position: Position) -> Result<Checkpoint, Error> {
        let position = if self.has(Flaw::SavesTheHead) { head(honest).await? } else { position };
        let mut checked = position;
        if self.has(Flaw::PositionsAreTaken) && place(honest, position).await.is_err() {
            checked = Position::START;
        }
        let found = place(honest, checked).await?;
        let exact = || async {
            let read = Read::log(Query::all()).until(position).backward().limit(1);
            let last = honest.read(read).await?.events.into_iter().next();
            Ok::<_, Error>(last.filter(|event| event.position() == position).map(|event| event.id()))
        };
        let event = match self.flaw {
            Flaw::EventNotKept => None,
            Flaw::EventByEquality => exact().await?,
            _ => found.event,
        };
        Ok(backend::checkpoint(position, found.log, event))
    }

    /// Refuses a stored place that the log does not hold any more.
    async fn verify(&self, honest: &MemoryStore, row: &Row) -> Result<(), Error> {
        let Some(stored) = &row.stored else { return Ok(()) };
        let wrong = |unnoticed: Flaw| {
            let error: Error = ErrorKind::WrongHistory(format!("at {}", stored.position)).into();
            if self.has(unnoticed) { Ok(()) } else { Err(error) }
        };
        if stored.log != place(honest, Position::START).await?.log {
            return wrong(Flaw::OtherLogUnnoticed);
        }
        let head = head(honest).await?;
        if self.has(Flaw::HeadAtSavingCompared) && row.head_then.is_some_and(|then| then > head) {
            return wrong(Flaw::None);
        }
        if stored.position > head {
            return wrong(Flaw::ShorterUnnoticed);
        }
        let now = self.place(honest, stored.position).await?;
        if now.event != stored.event && !self.has(Flaw::SavesTheHead) {
            wrong(Flaw::RegrownUnnoticed)
        } else {
            Ok(())
        }
    }

    fn is_fenced(&self, row: &Row, owner: &Owner) -> bool {
        let other = row.epoch != owner.epoch();
        match self.flaw {
            Flaw::NoFencing => false,
            Flaw::FencesOtherHandlesOnly => other && row.claimed_by != self.handle,
            Flaw::FencesTheSameHandleOnly => other && row.claimed_by == self.handle,
            _ => other,
        }
    }

    /// Raises the epoch of a name; the owner of the new one.
    async fn raise(&self, name: &CheckpointName) -> Owner {
        let before = self.row(name);
        if self.has(Flaw::EpochReadThenWritten) {
            yield_now().await;
        }
        let mut rows = self.rows();
        let row = rows.entry(self.key(name)).or_default();
        let from = if self.has(Flaw::EpochReadThenWritten) { before.epoch } else { row.epoch };
        let keeps = self.has(Flaw::SameHandleKeepsItsEpoch) && row.claimed_by == self.handle;
        if !keeps {
            row.epoch = from + self.stride;
        }
        row.claimed_by = self.handle;
        backend::owner(name.clone(), row.epoch)
    }
}

#[async_trait]
impl Bug for Table {
    async fn claim_checkpoint(&self, honest: &MemoryStore, name: &CheckpointName) -> Result<Claim, Error> {
        open(honest).await?;
        if self.has(Flaw::RaisesEpochFirst) {
            let owner = self.raise(name).await;
            let row = self.row(name);
            self.verify(honest, &row).await?;
            return Ok(backend::claim(owner, row.stored));
        }
        self.verify(honest, &self.row(name)).await?;
        let owner = self.raise(name).await;
        if self.has(Flaw::ClaimStoresTheStart) {
            let start = place(honest, Position::START).await?;
            self.rows().entry(self.key(name)).or_default().stored.get_or_insert(start);
        }
        Ok(backend::claim(owner, self.row(name).stored))
    }

    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        open(honest).await?;
        let name = owner.name();
        if self.has(Flaw::NoOpBeforeFence)
            && self.row(name).stored.is_some_and(|stored| position <= stored.position)
        {
            return Ok(());
        }
        if self.has(Flaw::StartIsNull) && position == Position::START {
            return Ok(());
        }
        let fenced = |row: &Row| Err(Fenced::new(name.clone(), owner.epoch(), row.epoch).into());
        let read = self.row(name);
        if self.is_fenced(&read, owner) {
            return fenced(&read);
        }
        let next = self.place(honest, position).await?;
        let head_then = Some(head(honest).await?);
        if matches!(self.flaw, Flaw::OwnerComparedFirst | Flaw::PlaceComparedFirst) {
            yield_now().await;
        }
        let mut rows = self.rows();
        let row = rows.entry(self.key(name)).or_default();
        if self.is_fenced(row, owner) && !self.has(Flaw::OwnerComparedFirst) {
            return fenced(row);
        }
        let stored = if self.has(Flaw::PlaceComparedFirst) { &read.stored } else { &row.stored };
        let above = stored.as_ref().is_none_or(|stored| next.position > stored.position);
        if !above && self.has(Flaw::BelowIsAnError) {
            return Err(ErrorKind::Internal("no row was changed".to_owned()).into());
        }
        if above || self.has(Flaw::LastWriteWins) {
            (row.stored, row.head_then) = (Some(next), head_then);
        }
        Ok(())
    }

    async fn load_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
    ) -> Result<Option<Checkpoint>, Error> {
        open(honest).await?;
        if self.has(Flaw::LoadClaims) {
            self.raise(name).await;
        }
        let row = self.row(name);
        self.verify(honest, &row).await?;
        Ok(row.stored)
    }

    async fn reset_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
        position: Position,
    ) -> Result<Owner, Error> {
        if self.has(Flaw::ResetVerifiesTheOld) {
            self.verify(honest, &self.row(name)).await?;
        }
        let next = self.place(honest, position).await?;
        if self.has(Flaw::ResetDeletesTheRow) {
            self.rows().remove(&self.key(name));
        }
        let owner = match self.row(name).epoch {
            epoch if self.has(Flaw::ResetDoesNotFence) && epoch > 0 => backend::owner(name.clone(), epoch),
            _ => self.raise(name).await,
        };
        let head_then = Some(head(honest).await?);
        let mut rows = self.rows();
        let row = rows.entry(self.key(name)).or_default();
        let below = row.stored.as_ref().is_some_and(|stored| next.position < stored.position);
        if !(below && self.has(Flaw::ResetIsASave)) {
            (row.stored, row.head_then) = (Some(next), head_then);
        }
        Ok(owner)
    }
}
