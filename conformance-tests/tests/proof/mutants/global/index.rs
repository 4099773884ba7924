//! A log kept beside the honest store: places are given and events are shown as the bug has it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};

use annalist_core::{
    Append, Error, EventStore, LogId, Page, Position, Read, Receipt, RecordedEvent, Source, Version, backend,
};
use annalist_memory::MemoryStore;

use crate::edit::{edit_receipt, keep, with_position};
use crate::edit_read::{cut, drained, is_backward};

/// The events of a namespace under their false places, as far as they are shown.
pub struct Index {
    log: LogId,
    state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    /// The last number that was given.
    pub taken: u64,
    pub shown: BTreeMap<Position, RecordedEvent>,
    /// The place of each event that is stored, by its honest position.
    places: HashMap<Position, Position>,
}

impl State {
    /// As [`Index::show`], under the lock.
    pub fn show(&mut self, stored: &Stored, places: &[Position]) {
        for (event, place) in stored.events.iter().zip(places) {
            let place = *self.places.entry(event.position()).or_insert(*place);
            self.shown.insert(place, with_position(event, place));
        }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self { log: LogId::new(), state: Mutex::default() }
    }
}

impl Index {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics here")
    }

    pub fn place(&self, major: u64, minor: u32) -> Position {
        backend::position(self.log, major, minor)
    }

    /// Takes the next `n` numbers.
    pub fn take(&self, n: usize) -> Vec<Position> {
        let mut state = self.state();
        let first = state.taken + 1;
        state.taken += n as u64;
        (first..first + n as u64).map(|number| self.place(number, 0)).collect()
    }

    /// Stores an append in the honest store, which has no say about places here: conditions are left out.
    pub async fn store(&self, honest: &MemoryStore, append: &Append) -> Result<Stored, Error> {
        let receipt = honest.append(keep(append, true, false)).await?;
        let mut events = Vec::new();
        for written in receipt.written() {
            let (first, last) = (written.first_version(), written.last_version());
            let of_write = Read::stream(written.stream()).from(first).to(last);
            events.extend(drained(honest, of_write).await?.0);
        }
        Ok(Stored { receipt, events })
    }

    /// Gives stored events these places, in the order of the log, and shows them.
    pub fn show(&self, stored: &Stored, places: &[Position]) {
        self.state().show(stored, places);
    }

    /// The receipt, with the false places.
    pub fn receipt(&self, stored: &Stored) -> Receipt {
        let state = self.state();
        edit_receipt(&stored.receipt, |written| {
            let places =
                written.positions().iter().map(|honest| state.places.get(honest).copied().unwrap_or(*honest));
            backend::written(written.stream().clone(), written.first_version(), places.collect())
        })
    }

    /// What is shown.
    pub async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        self.read_up_to(honest, read, None).await
    }

    /// What is shown, as far as a position: the head that the bug sees.
    pub async fn read_up_to(
        &self,
        honest: &MemoryStore,
        read: Read,
        visible: Option<Position>,
    ) -> Result<Page, Error> {
        let shown_head = self.state().shown.keys().next_back().copied().unwrap_or(Position::START);
        let head = read.fixed_head().or(visible).unwrap_or(shown_head);
        let Source::Log(query) = read.source() else { return self.read_stream(honest, &read, head).await };
        let (after, upper) = read.positions();
        let mut events: Vec<_> = {
            let state = self.state();
            let upper = if upper == Bound::Unbounded { Bound::Included(head) } else { upper };
            let above = state.shown.range((Bound::Excluded(after), Bound::Unbounded)).map(|(_, event)| event);
            let meant = above.filter(|event| match upper {
                Bound::Included(upper) => event.position() <= upper,
                Bound::Excluded(upper) => event.position() < upper,
                Bound::Unbounded => true,
            });
            meant.filter(|event| query.matches_recorded(event)).cloned().collect()
        };
        if is_backward(&read) {
            events.reverse();
        }
        Ok(cut(&read, events, head))
    }

    async fn read_stream(&self, honest: &MemoryStore, read: &Read, head: Position) -> Result<Page, Error> {
        let whole =
            drained(honest, crate::edit_read::anew(read).limit(u64::MAX).page_size(usize::MAX)).await?;
        let (mut events, _, version) = whole;
        let settled = {
            let state = self.state();
            events.retain(|event| state.places.contains_key(&event.position()));
            let place = |event: &RecordedEvent| state.places.get(&event.position()).copied();
            events.iter().filter_map(|event| Some(with_position(event, place(event)?))).collect::<Vec<_>>()
        };
        let newest = settled.iter().map(RecordedEvent::version).max().unwrap_or(Version::NONE);
        let version = if read.limit_left() == Some(0) { version } else { newest };
        let page = cut(read, settled, head);
        Ok(backend::page(read, page.events, backend::Looked::All, head, version))
    }
}

/// An append that is in the honest store.
pub struct Stored {
    pub receipt: Receipt,
    pub events: Vec<RecordedEvent>,
}
