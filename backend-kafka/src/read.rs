//! Pages, from the local store.

use std::ops::{Bound, ControlFlow};

use annalist_core::{
    Direction, Error, LogId, Page, Position, Query, Read, RecordedEvent, StreamId, Version, backend,
};

use crate::keys::{self, Accepted};
use crate::local::{Local, Table, Way};
use crate::search;

/// How much one page may hold and look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: usize,
    pub(crate) records_max: usize,
}

/// The log as a page sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) log: LogId,
    pub(crate) head: Position,
}

fn way_of(read: &Read) -> Way {
    match read.direction() {
        Direction::Forward => Way::Up,
        Direction::Backward => Way::Down,
    }
}

/// The highest position that a read names, which must have been applied before it can be answered.
pub(crate) fn named(read: &Read) -> Position {
    let (after, upper) = read.positions();
    let upper = match upper {
        Bound::Included(position) | Bound::Excluded(position) => position,
        Bound::Unbounded => Position::START,
    };
    after.max(upper).max(read.fixed_head().unwrap_or(Position::START))
}

/// Events that are gathered for a page, within its bounds.
struct Gathered {
    events: Vec<RecordedEvent>,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
}

impl Gathered {
    fn new(read: &Read, bounds: Bounds) -> Self {
        let events_max = read.page_events_max();
        Self { events: Vec::new(), bytes: 0, events_max, bytes_max: bounds.bytes_max }
    }

    fn is_full(&self) -> bool {
        self.events.len() >= self.events_max || (self.bytes >= self.bytes_max && !self.events.is_empty())
    }

    fn take(&mut self, accepted: Accepted, log: LogId) {
        self.bytes += accepted.event.size();
        self.events.push(accepted.recorded(log));
    }
}

pub(crate) fn stream(
    local: &Local,
    read: &Read,
    stream: &StreamId,
    seen: Seen,
    bounds: Bounds,
) -> Result<Page, Error> {
    backend::check_read(read, seen.log, seen.head)?;
    let head = read.fixed_head().unwrap_or(seen.head);
    let version = match read.fixed_version() {
        Some(version) => version,
        None => version_at(local, stream, head)?,
    };
    let (from, to) = read.versions();
    let (low, high) = (from.get().max(1), to.min(version).get());
    let mut gathered = Gathered::new(read, bounds);
    if low > high || gathered.is_full() {
        let looked = if low > high { backend::Looked::All } else { backend::Looked::UpTo(Version::NONE) };
        return Ok(backend::page(read, Vec::new(), looked, head, version));
    }
    let (from_key, to_key) = (keys::version(stream, low), keys::version(stream, high + 1));
    let mut is_cut = false;
    local.scan(Table::Events, &from_key, &to_key, way_of(read), &mut |key, value| {
        if gathered.is_full() {
            is_cut = true;
            return Ok(ControlFlow::Break(()));
        }
        gathered.take(keys::event_of(stream, keys::last_number(key)?, value)?, seen.log);
        Ok(ControlFlow::Continue(()))
    })?;
    let looked = match gathered.events.last() {
        Some(last) if is_cut => backend::Looked::UpTo(last.version()),
        _ => backend::Looked::All,
    };
    Ok(backend::page(read, gathered.events, looked, head, version))
}

/// The version of a stream in the state that a head stands for: the local store may be ahead of it.
fn version_at(local: &Local, stream: &StreamId, head: Position) -> Result<Version, Error> {
    let mut version = search::version_of(local, stream)?;
    let head = backend::numbers(head);
    while version > 0 {
        let value = local.get(Table::Events, &keys::version(stream, version))?;
        if keys::event_place(&value.ok_or(crate::codec::Malformed)?)? <= head {
            break;
        }
        version -= 1;
    }
    Ok(Version::new(version))
}

pub(crate) fn log(
    local: &Local,
    read: &Read,
    query: &Query,
    seen: Seen,
    bounds: Bounds,
) -> Result<Page, Error> {
    backend::check_read(read, seen.log, seen.head)?;
    let head = read.fixed_head().unwrap_or(seen.head);
    let (after, upper) = read.positions();
    let is_within = |position: Position| {
        position > after
            && position <= head
            && match upper {
                Bound::Unbounded => true,
                Bound::Included(bound) => position <= bound,
                Bound::Excluded(bound) => position < bound,
            }
    };
    let highest = match upper {
        Bound::Included(bound) | Bound::Excluded(bound) => bound.min(head),
        Bound::Unbounded => head,
    };
    let offsets = backend::numbers(after).0..backend::numbers(highest).0 + 1;
    let (way, mut gathered) = (way_of(read), Gathered::new(read, bounds));
    let (mut last, mut is_cut, mut records) = (None, false, 0);
    search::candidates(local, query, offsets, way, &mut |offset, record| {
        let mut events = keys::record_events(offset, record)?;
        if way == Way::Down {
            events.reverse();
        }
        for accepted in events {
            let position = accepted.position(seen.log);
            if !is_within(position) {
                continue;
            }
            if gathered.is_full() || records >= bounds.records_max {
                is_cut = true;
                return Ok(ControlFlow::Break(()));
            }
            last = Some(position);
            if query.matches(&accepted.stream, &accepted.event) {
                gathered.take(accepted, seen.log);
            }
        }
        records += usize::from(last.is_some());
        Ok(ControlFlow::Continue(()))
    })?;
    let looked = match last {
        Some(position) if is_cut => backend::Looked::Past(position),
        _ => backend::Looked::All,
    };
    Ok(backend::page(read, gathered.events, looked, head, Version::NONE))
}
