//! Reading a page, in one transaction, and so of one state of the log.

use std::ops::Bound;

use annalist_core::{
    Direction, Error, Page, Position, Query, Read, RecordedEvent, StreamId, Version, backend,
};
use rusqlite::{Connection, params};

use crate::error;
use crate::facts::version;
use crate::log::Seen;
use crate::query::{self, Bounds, Span};
use crate::row::{EVENT, Rows, clamped};

/// Reads a page of a stream.
pub(crate) fn stream(
    connection: &Connection,
    seen: Seen,
    read: &Read,
    stream: &StreamId,
    bounds: Bounds,
) -> Result<Page, Error> {
    let head = fixed_head(read, seen)?;
    let version = match read.fixed_version() {
        Some(version) => version,
        None => version(connection, stream)?,
    };
    let (from, to) = read.versions();
    let to = to.min(version);
    let mut rows = Rows::of(seen.log);
    let is_cut = from <= to && take(connection, read.direction(), stream, (from, to), bounds, &mut rows)?;
    let looked = match rows.events.last().map(RecordedEvent::version) {
        Some(last) if is_cut && !is_end(read.direction(), last, (from, to)) => backend::Looked::UpTo(last),
        _ => backend::Looked::All,
    };
    Ok(backend::page(read, rows.events, looked, head, version))
}

/// Takes in the events of a stream between two versions; gives whether it ended because the page was full.
fn take(
    connection: &Connection,
    direction: Direction,
    stream: &StreamId,
    (from, to): (Version, Version),
    bounds: Bounds,
    rows: &mut Rows,
) -> Result<bool, Error> {
    let order = match direction {
        Direction::Forward => "ASC",
        Direction::Backward => "DESC",
    };
    let text = format!(
        "SELECT {EVENT} FROM event INDEXED BY event_version
        WHERE stream = ?1 AND version >= ?2 AND version <= ?3 ORDER BY version {order}"
    );
    let mut statement = connection.prepare_cached(&text).map_err(error::of_file)?;
    let values = params![stream.as_str(), clamped(from.get()), clamped(to.get())];
    let mut found = statement.query(values).map_err(error::of_file)?;
    while !bounds.are_met(rows, 0) {
        let Some(row) = found.next().map_err(error::of_file)? else { return Ok(false) };
        let event = rows.event(row)?;
        rows.push(event);
    }
    Ok(true)
}

fn is_end(direction: Direction, last: Version, (from, to): (Version, Version)) -> bool {
    match direction {
        Direction::Forward => last >= to,
        Direction::Backward => last <= from,
    }
}

/// Reads a page of the log.
pub(crate) fn log(
    connection: &Connection,
    seen: Seen,
    read: &Read,
    query: &Query,
    bounds: Bounds,
) -> Result<Page, Error> {
    let head = fixed_head(read, seen)?;
    let found = query::find(connection, seen, query, span(read, head), bounds)?;
    let looked = match found.last_number() {
        Some(last) => backend::Looked::Past(seen.position(last)),
        None => backend::Looked::All,
    };
    Ok(backend::page(read, found.events, looked, head, Version::NONE))
}

/// The positions that a read means.
fn span(read: &Read, head: Position) -> Span {
    let (after, upper) = read.positions();
    let head = clamped(backend::numbers(head).0);
    let high = match upper {
        Bound::Unbounded => head,
        Bound::Included(position) => clamped(backend::numbers(position).0),
        Bound::Excluded(position) => match backend::numbers(position) {
            (major, 0) => clamped(major.saturating_sub(1)),
            (major, _) => clamped(major),
        },
    };
    Span { low: clamped(backend::numbers(after).0), high: high.min(head), direction: read.direction() }
}

/// The head that the read is about, once the positions that it names have been held against the log.
fn fixed_head(read: &Read, seen: Seen) -> Result<Position, Error> {
    backend::check_read(read, seen.log, seen.head())?;
    Ok(read.fixed_head().unwrap_or(seen.head()))
}
