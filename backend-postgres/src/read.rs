//! Reading a page: one statement, and so one state of the log.

use std::ops::Bound;

use annalist_core::{
    Direction, Error, Page, Position, Query, Read, RecordedEvent, StreamId, Version, backend,
};
use futures::TryStreamExt;
use sqlx::postgres::PgArguments;
use sqlx::query::Query as Call;
use sqlx::{AssertSqlSafe, Postgres};

use crate::batch::items;
use crate::config::Schema;
use crate::error;
use crate::lease::Lease;
use crate::log::position;
use crate::row::{Head, Rows};
use crate::types::clamped;
use crate::verdict::number;

/// The bounds of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: usize,
    pub(crate) positions_max: u64,
}

/// What the server answered: the state of the log, and events of it.
struct Answer {
    head: Head,
    events: Vec<RecordedEvent>,
    /// Whether the events were cut off because of their size.
    is_cut: bool,
}

/// Positions and versions are bounded so that sums of two cannot overflow; no log comes near.
const NUMBER_MAX: i64 = 1 << 61;

fn bound(number: u64) -> i64 {
    clamped(number).min(NUMBER_MAX)
}

/// The columns of an event, and of the head in their places.
const EVENT: &str = "e.position, e.version, e.id, e.recorded_at, e.stream, e.type, e.content_type, e.data, e.metadata, e.tags";
const EVENT_OF_STREAM: &str =
    "e.position, e.version, e.id, e.recorded_at, NULL, e.type, e.content_type, e.data, e.metadata, e.tags";
const HEAD: &str = "l.id, NULL::timestamptz, CASE WHEN pg_is_in_recovery() THEN 'recovering' END, \
    NULL::text, NULL::text, NULL::bytea, NULL::text, NULL::text[]";

// `LIMIT (SELECT …)` keeps the number from the planner: it then counts on a tenth of the rows and goes along the index. By the number itself,
// and before there are statistics, it sorts. What it may sort is bounded by the statements: positions and versions are dense, so that a page of
// events has as many of them. So it is with the bounds of a page: a plan that knew them would be made anew for each.

fn order(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "",
        Direction::Backward => "DESC",
    }
}

/// Reads a page of a stream.
pub(crate) async fn stream(
    connection: &mut Lease,
    schema: &Schema,
    read: &Read,
    stream: &StreamId,
    bounds: Bounds,
) -> Result<Page, PageError> {
    let (from, to) = read.versions();
    let from = from.max(Version::FIRST);
    let to = to.min(read.fixed_version().unwrap_or(Version::MAX));
    let order = order(read.direction());
    let (low, high) = match read.direction() {
        Direction::Forward => ("(SELECT $2)", "(SELECT least($3, $2 + $4 - 1))"),
        Direction::Backward => ("(SELECT greatest($2, least($3, version) - $4 + 1) FROM v)", "(SELECT $3)"),
    };
    let mut text = format!(
        "WITH l AS MATERIALIZED (SELECT id, head FROM {schema}.log_state), v AS MATERIALIZED (SELECT coalesce(
            (SELECT version FROM {schema}.event WHERE stream = (SELECT $1) ORDER BY version DESC LIMIT 1), 0) AS version)
        SELECT l.head, v.version, {HEAD} FROM l, v"
    );
    if page_events(read) > 0 {
        let events = format!(
            " UNION ALL (SELECT {EVENT_OF_STREAM} FROM {schema}.event e
            WHERE e.stream = (SELECT $1) AND e.version >= {low} AND e.version <= {high} ORDER BY e.version {order} LIMIT (SELECT $4))"
        );
        text.push_str(&events);
    }
    let mut call = sqlx::query(AssertSqlSafe(text)).bind(stream.as_str());
    if page_events(read) > 0 {
        call = call.bind(bound(from.get())).bind(bound(to.get())).bind(page_events(read).min(NUMBER_MAX));
    }
    let answer = fetch(connection, call, Some(stream), bounds).await?;
    let version = read.fixed_version().unwrap_or(Version::new(answer.head.version));
    let head = fixed_head(read, &answer.head)?;
    let looked = looked_in_stream(read, &answer, from, to.min(version));
    Ok(backend::page(read, answer.events, looked, head, version))
}

/// How far a page of a stream looked: at as many versions as it may have events, which is at all that is asked for only if that is no more.
fn looked_in_stream(read: &Read, answer: &Answer, from: Version, to: Version) -> backend::Looked {
    let events = read.page_events_max() as u64;
    let (end, far) = match read.direction() {
        Direction::Forward => (to, Version::new(from.get().saturating_add(events) - u64::from(events > 0))),
        Direction::Backward => (from, Version::new(to.get().saturating_sub(events) + 1)),
    };
    let at = match answer.events.last() {
        Some(last) if answer.is_cut => last.version(),
        _ => far,
    };
    let is_all = match read.direction() {
        Direction::Forward => at >= end,
        Direction::Backward => at <= end,
    };
    if is_all { backend::Looked::All } else { backend::Looked::UpTo(at) }
}

/// Reads a page of the log.
pub(crate) async fn log(
    connection: &mut Lease,
    schema: &Schema,
    read: &Read,
    query: &Query,
    bounds: Bounds,
) -> Result<Page, PageError> {
    let span = Span::of(read);
    // Positions are dense: a page of all events has as many positions as events.
    let window = if query.is_all() {
        page_events(read).min(NUMBER_MAX)
    } else if needs_window(query) {
        bound(bounds.positions_max)
    } else {
        NUMBER_MAX
    };
    let text = if page_events(read) == 0 {
        format!("SELECT l.head, 0::bigint, {HEAD} FROM {schema}.log_state l")
    } else if query.is_all() {
        all_of(schema, read.direction())
    } else {
        matching(schema, read.direction(), query)
    };
    let mut call = sqlx::query(AssertSqlSafe(text));
    if page_events(read) > 0 {
        call = call.bind(span.low).bind(span.high).bind(page_events(read).min(NUMBER_MAX));
    }
    if page_events(read) > 0 && !query.is_all() {
        call = call.bind(window);
        for item in items(query) {
            for part in [
                item.stream_part(),
                item.prefix_part(),
                item.category_part(),
                item.type_part(),
                item.tag_part(),
            ] {
                call = call.bind((!part.is_empty()).then(|| part.to_vec()));
            }
        }
    }
    let answer = fetch(connection, call, None, bounds).await?;
    let head = fixed_head(read, &answer.head)?;
    let looked = span.looked(read, &answer, window);
    Ok(backend::page(read, answer.events, looked, head, Version::NONE))
}

fn page_events(read: &Read) -> i64 {
    clamped(read.page_events_max() as u64)
}

fn all_of(schema: &Schema, direction: Direction) -> String {
    let order = order(direction);
    let (low, high) = match direction {
        Direction::Forward => ("(SELECT $1)", "(SELECT least($2, $1 + $3))"),
        Direction::Backward => ("(SELECT greatest($1, least($2, head) - $3) FROM l)", "(SELECT $2)"),
    };
    format!(
        "WITH l AS MATERIALIZED (SELECT id, head FROM {schema}.log_state)
        SELECT l.head, 0::bigint, {HEAD} FROM l UNION ALL (
            SELECT {EVENT} FROM {schema}.event e WHERE e.position > {low} AND e.position <= {high} ORDER BY e.position {order} LIMIT (SELECT $3))"
    )
}

/// Every item gives at most a page of positions; their union, in order, is the page.
fn matching(schema: &Schema, direction: Direction, query: &Query) -> String {
    let order = order(direction);
    let (function, low, high) = match direction {
        Direction::Forward => ("matching_v1", "$1", "least($2, l.head, $1 + $4)"),
        Direction::Backward => {
            ("matching_backward_v1", "greatest($1, least($2, l.head) - $4)", "least($2, l.head)")
        }
    };
    let item = |n: usize| {
        let places: Vec<String> = (5 + 5 * n..10 + 5 * n).map(|place| format!("${place}")).collect();
        let places = places.join(", ");
        format!("SELECT m FROM l, LATERAL {schema}.{function}({low}, {high}, $3, {places}) m")
    };
    let found: Vec<String> = (0..query.items().len()).map(item).collect();
    let found = found.join(" UNION ");
    format!(
        "WITH l AS MATERIALIZED (SELECT id, head FROM {schema}.log_state)
        SELECT l.head, 0::bigint, {HEAD} FROM l UNION ALL (
            SELECT {EVENT} FROM (SELECT m FROM ({found}) f ORDER BY m {order} LIMIT $3) p
            CROSS JOIN LATERAL (SELECT * FROM {schema}.event WHERE position = p.m OFFSET 0) e ORDER BY p.m {order})"
    )
}

/// Whether more must be looked at than an index gives: several parts in an item, or one that no index has.
fn needs_window(query: &Query) -> bool {
    query.items().iter().any(|item| {
        let parts = [item.stream_part(), item.category_part(), item.type_part()];
        let given = parts.iter().filter(|part| !part.is_empty()).count() + item.tag_part().len();
        given != 1 || !item.prefix_part().is_empty()
    })
}

/// The numbers of the positions that a read means: above `low` and up to `high`.
#[derive(Clone, Copy, Debug)]
struct Span {
    low: i64,
    high: i64,
}

impl Span {
    fn of(read: &Read) -> Self {
        let (after, upper) = read.positions();
        let high = match upper {
            Bound::Unbounded => NUMBER_MAX,
            Bound::Included(position) => bound(backend::numbers(position).0),
            Bound::Excluded(position) => match backend::numbers(position) {
                (major, 0) => bound(major.saturating_sub(1)),
                (major, _) => bound(major),
            },
        };
        let head = read.fixed_head().map_or(NUMBER_MAX, |head| bound(backend::numbers(head).0));
        Self { low: bound(backend::numbers(after).0), high: high.min(head) }
    }

    /// How far a page looked.
    fn looked(self, read: &Read, answer: &Answer, window: i64) -> backend::Looked {
        let high = self.high.min(bound(answer.head.position));
        let end = match read.direction() {
            Direction::Forward => high.min(self.low + window),
            Direction::Backward => self.low.max(high - window),
        };
        let last = answer.events.last().map(|event| bound(backend::numbers(event.position()).0));
        let is_full = answer.is_cut || answer.events.len() == read.page_events_max();
        let looked_at = match last {
            Some(last) if is_full => last,
            _ => end,
        };
        match read.direction() {
            Direction::Forward if looked_at >= high => backend::Looked::All,
            Direction::Forward => backend::Looked::Past(position(answer.head.log, number(looked_at))),
            // Of a full page the last event itself was looked at; of a window, what is above its low end.
            Direction::Backward if is_full && looked_at > self.low + 1 => {
                backend::Looked::Past(position(answer.head.log, number(looked_at)))
            }
            Direction::Backward if !is_full && looked_at > self.low => {
                backend::Looked::Past(position(answer.head.log, number(looked_at + 1)))
            }
            Direction::Backward => backend::Looked::All,
        }
    }
}

/// The head that the read is about, once the positions that it names have been held against the log.
fn fixed_head(read: &Read, head: &Head) -> Result<Position, PageError> {
    let position = position(head.log, head.position);
    backend::check_read(read, head.log, position)?;
    Ok(read.fixed_head().unwrap_or(position))
}

/// Why there is no page.
pub(crate) enum PageError {
    /// What the store says.
    Told(Error),
    /// What the driver says.
    Driver(sqlx::Error),
}

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl From<sqlx::Error> for PageError {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<PageError> for Error {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Told(error) => error,
            PageError::Driver(error) => error::of_read(error),
        }
    }
}

async fn fetch(
    connection: &mut Lease,
    call: Call<'_, Postgres, PgArguments>,
    stream: Option<&StreamId>,
    bounds: Bounds,
) -> Result<Answer, PageError> {
    let mut rows = Rows::new(stream);
    let call = call.persistent(connection.keeps_statements);
    let mut answer = call.fetch(&mut **connection);
    let mut is_cut = false;
    while let Some(row) = answer.try_next().await? {
        if rows.bytes > bounds.bytes_max {
            is_cut = true;
            break;
        }
        rows.take(&row)?;
    }
    drop(answer);
    if is_cut {
        // The rest of the page is still on its way.
        connection.spoil();
    }
    let (head, events) = rows.finish()?;
    Ok(Answer { head, events, is_cut })
}
