//! Finding what matches a query: candidates from indexes, in the order of positions, each looked at as a whole.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use annalist_core::{Direction, Error, Position, Query, QueryItem, RecordedEvent, backend};
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use crate::error;
use crate::log::Seen;
use crate::row::{EVENT, Rows, clamped, number};

/// Positions above `low` and up to `high`, in one of the two directions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) low: i64,
    pub(crate) high: i64,
    pub(crate) direction: Direction,
}

impl Span {
    fn order(self) -> &'static str {
        match self.direction {
            Direction::Forward => "ASC",
            Direction::Backward => "DESC",
        }
    }

    /// What is left of it once a position has been looked at.
    fn past(self, position: i64) -> Self {
        match self.direction {
            Direction::Forward => Self { low: position, ..self },
            Direction::Backward => Self { high: position - 1, ..self },
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.low >= self.high
    }

    /// What comes first is the smallest.
    fn rank(self, position: i64) -> i64 {
        match self.direction {
            Direction::Forward => position,
            Direction::Backward => -position,
        }
    }
}

/// A name whose events an index gives in the order of positions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Name<'q> {
    Tag(&'q str),
    Stream(&'q str),
    Type(&'q str),
    Category(&'q str),
}

/// The names of which every event that matches has one; `None` where only the whole log will do.
fn names(query: &Query) -> Option<Vec<Name<'_>>> {
    if query.is_all() {
        return None;
    }
    let of_items = query.items().iter().map(names_of).collect::<Option<Vec<_>>>()?;
    let mut names = of_items.concat();
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// Those of the part of an item that likely fits the fewest events.
fn names_of(item: &QueryItem) -> Option<Vec<Name<'_>>> {
    let is_given = |part: &[String]| !part.is_empty();
    if let Some(tag) = item.tag_part().first() {
        Some(vec![Name::Tag(tag)])
    } else if is_given(item.stream_part()) {
        Some(item.stream_part().iter().map(|name| Name::Stream(name)).collect())
    } else if is_given(item.type_part()) {
        Some(item.type_part().iter().map(|name| Name::Type(name)).collect())
    } else if is_given(item.category_part()) {
        Some(item.category_part().iter().map(|name| Name::Category(name)).collect())
    } else if is_given(item.prefix_part()) {
        // A prefix that reaches beyond the category names one.
        item.prefix_part().iter().map(|prefix| Some(Name::Category(prefix.split_once('-')?.0))).collect()
    } else {
        None
    }
}

impl Name<'_> {
    /// The next positions of its events.
    fn positions(self, connection: &Connection, span: Span, limit: usize) -> Result<Vec<i64>, Error> {
        let of = |table: &str, column: &str| {
            format!(
                "SELECT position FROM {table} WHERE {column} = ?1 AND position > ?2 AND position <= ?3
                ORDER BY position {} LIMIT ?4",
                span.order()
            )
        };
        let (text, name) = match self {
            Self::Tag(name) => (of("event_tag", "tag"), name),
            Self::Type(name) => (of("event INDEXED BY event_type", "type"), name),
            Self::Category(name) => (of("event INDEXED BY event_category", "category"), name),
            Self::Stream(name) => return of_stream(connection, name, span, limit),
        };
        list(connection, &text, params![name, span.low, span.high, limit as i64])
    }
}

fn list(connection: &Connection, text: &str, values: &[&dyn ToSql]) -> Result<Vec<i64>, Error> {
    let mut statement = connection.prepare_cached(text).map_err(error::of_file)?;
    let rows = statement.query_map(values, |row| row.get(0)).map_err(error::of_file)?;
    rows.collect::<Result<_, _>>().map_err(error::of_file)
}

/// Within a stream, the order of versions is that of positions (G3), and its index is by versions.
fn of_stream(connection: &Connection, stream: &str, span: Span, limit: usize) -> Result<Vec<i64>, Error> {
    let from = first_version_after(connection, stream, span.low)?;
    let end = first_version_after(connection, stream, span.high)?;
    let text = format!(
        "SELECT position FROM event INDEXED BY event_version WHERE stream = ?1 AND version >= ?2 AND version < ?3
        ORDER BY version {} LIMIT ?4",
        span.order()
    );
    list(connection, &text, params![stream, from, end, limit as i64])
}

/// A version such that the events of a stream from there on are those above a position: found by halving.
fn first_version_after(connection: &Connection, stream: &str, position: i64) -> Result<i64, Error> {
    const NEWEST: &str = "SELECT version, position FROM event INDEXED BY event_version WHERE stream = ?1
        ORDER BY version DESC LIMIT 1";
    const FROM: &str =
        "SELECT version, position FROM event INDEXED BY event_version WHERE stream = ?1 AND version >= ?2
        ORDER BY version LIMIT 1";
    let probe = |text: &str, values: &[&dyn ToSql]| {
        let mut statement = connection.prepare_cached(text).map_err(error::of_file)?;
        let found = statement.query_row(values, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        found.optional().map_err(error::of_file)
    };
    let Some((newest, at)) = probe(NEWEST, params![stream])? else { return Ok(0) };
    if at <= position {
        return Ok(newest.saturating_add(1));
    }
    let (mut low, mut high) = (0, newest);
    while low < high {
        let middle = low + (high - low) / 2;
        match probe(FROM, params![stream, middle])? {
            Some((version, at)) if at <= position => low = version + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The candidates of one name, fetched by the chunk.
struct Lane<'q> {
    name: Name<'q>,
    span: Span,
    found: std::vec::IntoIter<i64>,
    chunk: usize,
}

impl Lane<'_> {
    fn next(&mut self, connection: &Connection) -> Result<Option<i64>, Error> {
        if self.found.as_slice().is_empty() && !self.span.is_empty() {
            let found = self.name.positions(connection, self.span, self.chunk)?;
            self.span = match found.last() {
                Some(last) if found.len() == self.chunk => self.span.past(*last),
                _ => Span { low: self.span.high, ..self.span },
            };
            self.found = found.into_iter();
        }
        Ok(self.found.next())
    }
}

/// The candidates of all names, each once and in order.
struct Candidates<'q> {
    lanes: Vec<Lane<'q>>,
    next: BinaryHeap<Reverse<(i64, i64, usize)>>,
    last: Option<i64>,
}

impl<'q> Candidates<'q> {
    fn of(connection: &Connection, names: Vec<Name<'q>>, span: Span, wanted: usize) -> Result<Self, Error> {
        // Of many names, each is likely asked for little.
        let chunk = (wanted.saturating_add(1) / names.len().max(1)).clamp(1, CHUNK_MAX);
        let lane = |name| Lane { name, span, found: Vec::new().into_iter(), chunk };
        let lanes = names.into_iter().map(lane).collect();
        let mut candidates = Self { lanes, next: BinaryHeap::new(), last: None };
        (0..candidates.lanes.len()).try_for_each(|lane| candidates.advance(connection, lane))?;
        Ok(candidates)
    }

    fn advance(&mut self, connection: &Connection, lane: usize) -> Result<(), Error> {
        let Lane { span, .. } = self.lanes[lane];
        if let Some(position) = self.lanes[lane].next(connection)? {
            self.next.push(Reverse((span.rank(position), position, lane)));
        }
        Ok(())
    }

    fn next(&mut self, connection: &Connection) -> Result<Option<i64>, Error> {
        while let Some(Reverse((_, position, lane))) = self.next.pop() {
            self.advance(connection, lane)?;
            if self.last.replace(position) != Some(position) {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }
}

/// How many positions are fetched at once for one name.
const CHUNK_MAX: usize = 1_000;

/// The bounds of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) events_max: usize,
    pub(crate) bytes_max: usize,
    /// How many candidates are looked at.
    pub(crate) positions_max: usize,
}

impl Bounds {
    /// Whether a page that has these rows, after so many candidates, takes no more.
    pub(crate) fn are_met(self, rows: &Rows, looked_at: usize) -> bool {
        rows.events.len() >= self.events_max || rows.bytes > self.bytes_max || looked_at >= self.positions_max
    }
}

/// Events that match, and the last position that was looked at where it is not all of the span.
pub(crate) struct Found {
    pub(crate) events: Vec<RecordedEvent>,
    pub(crate) last: Option<i64>,
}

/// The events of a span that match, until the bounds are met.
pub(crate) fn find(
    connection: &Connection,
    seen: Seen,
    query: &Query,
    span: Span,
    bounds: Bounds,
) -> Result<Found, Error> {
    let mut rows = Rows::of(seen.log);
    let last = match names(query) {
        _ if span.is_empty() || bounds.events_max == 0 => None,
        Some(names) => among(connection, names, query, span, bounds, &mut rows)?,
        None => scan(connection, query, span, bounds, &mut rows)?,
    };
    Ok(Found { events: rows.events, last: last.filter(|last| !span.past(*last).is_empty()) })
}

fn among(
    connection: &Connection,
    names: Vec<Name<'_>>,
    query: &Query,
    span: Span,
    bounds: Bounds,
    rows: &mut Rows,
) -> Result<Option<i64>, Error> {
    let text = format!("SELECT {EVENT} FROM event WHERE position = ?1");
    let mut statement = connection.prepare_cached(&text).map_err(error::of_file)?;
    let mut candidates = Candidates::of(connection, names, span, bounds.events_max)?;
    let mut looked_at = 0;
    while let Some(position) = candidates.next(connection)? {
        let mut found = statement.query([position]).map_err(error::of_file)?;
        let row = found.next().map_err(error::of_file)?;
        let event =
            rows.event(row.ok_or_else(|| error::corrupt("an index names an event that is not there"))?)?;
        if query.matches_recorded(&event) {
            rows.push(event);
        }
        looked_at += 1;
        if bounds.are_met(rows, looked_at) {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

fn scan(
    connection: &Connection,
    query: &Query,
    span: Span,
    bounds: Bounds,
    rows: &mut Rows,
) -> Result<Option<i64>, Error> {
    let text = format!(
        "SELECT {EVENT} FROM event WHERE position > ?1 AND position <= ?2 ORDER BY position {}",
        span.order()
    );
    let mut statement = connection.prepare_cached(&text).map_err(error::of_file)?;
    let mut found = statement.query([span.low, span.high]).map_err(error::of_file)?;
    // Each matches: as many are looked at as are given.
    let bounds = if query.is_all() { Bounds { positions_max: usize::MAX, ..bounds } } else { bounds };
    let mut looked_at = 0;
    while let Some(row) = found.next().map_err(error::of_file)? {
        let event = rows.event(row)?;
        let position = clamped(backend::numbers(event.position()).0);
        if query.is_all() || query.matches_recorded(&event) {
            rows.push(event);
        }
        looked_at += 1;
        if bounds.are_met(rows, looked_at) {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

/// The first event after a position that matches, however far it is.
pub(crate) fn first_match(
    connection: &Connection,
    seen: Seen,
    query: &Query,
    after: Position,
) -> Result<Option<Position>, Error> {
    let (major, _) = backend::numbers(after);
    let span = Span { low: clamped(major), high: clamped(seen.head), direction: Direction::Forward };
    let bounds = Bounds { events_max: 1, bytes_max: usize::MAX, positions_max: usize::MAX };
    let found = find(connection, seen, query, span, bounds)?;
    Ok(found.events.first().map(RecordedEvent::position))
}

impl Found {
    pub(crate) fn last_number(&self) -> Option<u64> {
        self.last.map(number)
    }
}
