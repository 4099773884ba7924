//! A batch of appends as the parameters of one call. Arrays have no ragged rows, so all below an append is flattened.

use std::collections::HashMap;

use annalist_core::{
    Append, Condition, ExpectedVersion, LogId, NewEvent, Query, QueryItem, StreamId, backend,
};
use annalist_engine::group_commit::Touching;
use sqlx::postgres::PgArguments;
use sqlx::query::Query as Call;
use sqlx::{AssertSqlSafe, Postgres};

use crate::append::Statements;
use crate::types::{Id, clamped, joined};

/// The parameters, in the functions' own words; see the migration that makes them.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    pub(crate) appends: &'a [Append],
    log: Option<Id>,
    is_ordered: bool,
    extents: Extents,
    w_stream: Vec<&'a str>,
    w_expected: Vec<i64>,
    w_before: Vec<i64>,
    w_known: &'a [i64],
    w_events: Vec<i32>,
    w_first: Vec<i32>,
    w_offset: Vec<i32>,
    w_size: Vec<i32>,
    c_stream: Vec<&'a str>,
    c_expected: Vec<i64>,
    e: Events<'a>,
    k_after: Vec<i64>,
    k_reach: Vec<i64>,
    i: Items,
}

/// How many writes, events, checks and conditions each append has.
#[derive(Default)]
struct Extents {
    writes: Vec<i32>,
    events: Vec<i32>,
    checks: Vec<i32>,
    conditions: Vec<i32>,
}

#[derive(Default)]
struct Events<'a> {
    id: Vec<Id>,
    event_type: Vec<&'a str>,
    content_type: Vec<Option<&'a str>>,
    data: Vec<&'a [u8]>,
    metadata: Vec<Option<&'a str>>,
    tags: Vec<Option<String>>,
}

#[derive(Default)]
struct Items {
    condition: Vec<i32>,
    streams: Vec<Option<String>>,
    prefixes: Vec<Option<String>>,
    categories: Vec<Option<String>>,
    types: Vec<Option<String>>,
    tags: Vec<Option<String>>,
}

/// What the server makes of an event that says nothing of its content.
pub(crate) const CONTENT_TYPE_DEFAULT: &str = "application/json";

impl<'a> Batch<'a> {
    /// `known` is a version that each written stream probably has at least, or 0.
    pub(crate) fn new(appends: &'a [Append], log: LogId, known: &'a [i64]) -> Self {
        let mut batch = Self {
            appends,
            is_ordered: touch(appends),
            log: Some(Id(log.as_uuid())),
            w_known: known,
            ..Self::default()
        };
        let mut before: HashMap<&StreamId, i64> = HashMap::new();
        for append in appends {
            batch.add_append(append, &mut before);
            for condition in append.conditions() {
                batch.add_condition(condition, log);
            }
        }
        batch
    }

    fn add_append(&mut self, append: &'a Append, before: &mut HashMap<&'a StreamId, i64>) {
        self.extents.writes.push(count(append.writes().len()));
        self.extents.events.push(count(append.event_count()));
        self.extents.checks.push(count(append.checks().len()));
        self.extents.conditions.push(count(append.conditions().len()));
        let (mut offset, size) = (0, count(append.event_count()));
        for write in append.writes() {
            self.w_stream.push(write.stream.as_str());
            self.w_expected.push(expected(write.expected));
            // A batch of one names no stream twice.
            let before = match self.appends.len() {
                1 => 0,
                _ => {
                    let before = before.entry(&write.stream).or_default();
                    std::mem::replace(before, *before + write.events.len() as i64)
                }
            };
            self.w_before.push(before);
            self.w_events.push(count(write.events.len()));
            self.w_first.push(count(self.e.id.len()));
            self.w_offset.push(offset);
            self.w_size.push(size);
            offset += count(write.events.len());
            write.events.iter().for_each(|event| self.e.add(event));
        }
        for check in append.checks() {
            self.c_stream.push(check.stream.as_str());
            self.c_expected.push(expected(check.expected));
        }
    }

    fn add_condition(&mut self, condition: &Condition, log: LogId) {
        let (major, minor) = backend::numbers(condition.after);
        let reach = major.saturating_add(u64::from(minor > 0));
        self.k_after.push(clamped(major));
        // A position of another log is past every head.
        self.k_reach.push(if backend::is_of(condition.after, log) { clamped(reach) } else { i64::MAX });
        let number = count(self.k_after.len());
        for item in items(&condition.query) {
            self.i.add(number, &item);
        }
    }

    /// The statement for one append of one event and nothing else, where this batch is no more.
    pub(crate) fn event(&self, statements: &Statements) -> Option<Call<'_, Postgres, PgArguments>> {
        let [writes, events] = [self.w_stream.len(), self.e.id.len()];
        let is_more = self.appends.len() > 1 || !self.c_stream.is_empty() || !self.k_after.is_empty();
        if is_more || writes != 1 || events != 1 || self.e.tags[0].is_some() {
            return None;
        }
        let call = sqlx::query(AssertSqlSafe(statements.event.clone()))
            .bind(self.log)
            .bind(self.w_stream[0])
            .bind(self.w_expected[0])
            .bind(self.e.id[0])
            .bind(self.e.event_type[0])
            .bind(self.e.content_type[0])
            .bind(self.e.data[0])
            .bind(self.e.metadata[0])
            .bind(self.w_known[0]);
        Some(call)
    }

    /// The call of the function that decides.
    pub(crate) fn call(&self, statements: &Statements) -> Call<'_, Postgres, PgArguments> {
        let has_conditions = !self.k_after.is_empty();
        let (e, i) = (&self.e, &self.i);
        sqlx::query(AssertSqlSafe(statements.batch.clone()))
            .bind(self.is_ordered)
            .bind(&self.extents.writes)
            .bind(&self.extents.events)
            .bind(&self.extents.checks)
            .bind(&self.extents.conditions)
            .bind(&self.w_stream)
            .bind(&self.w_expected)
            .bind(&self.w_before)
            .bind(self.w_known)
            .bind(&self.w_events)
            .bind(&self.w_first)
            .bind(&self.w_offset)
            .bind(&self.w_size)
            .bind(some(&self.c_stream))
            .bind(some(&self.c_expected))
            .bind(&e.id)
            .bind(&e.event_type)
            .bind(any(&e.content_type))
            .bind(&e.data)
            .bind(any(&e.metadata))
            .bind(any(&e.tags))
            .bind(has_conditions.then_some(self.log).flatten())
            .bind(has_conditions.then_some(&self.k_after))
            .bind(has_conditions.then_some(&self.k_reach))
            .bind(has_conditions.then_some(&i.condition))
            .bind(has_conditions.then_some(&i.streams))
            .bind(has_conditions.then_some(&i.prefixes))
            .bind(has_conditions.then_some(&i.categories))
            .bind(has_conditions.then_some(&i.types))
            .bind(has_conditions.then_some(&i.tags))
    }
}

impl<'a> Events<'a> {
    fn add(&mut self, event: &'a NewEvent) {
        let content_type =
            Some(event.content_type()).filter(|content_type| *content_type != CONTENT_TYPE_DEFAULT);
        self.id.push(Id(event.id().as_uuid()));
        self.event_type.push(event.event_type().as_str());
        self.content_type.push(content_type);
        self.data.push(event.data());
        self.metadata.push((!event.metadata().is_none()).then(|| event.metadata().as_str()));
        self.tags.push(joined(event.tags()));
    }
}

impl Items {
    fn add(&mut self, condition: i32, item: &QueryItem) {
        self.condition.push(condition);
        self.streams.push(joined(item.stream_part()));
        self.prefixes.push(joined(item.prefix_part()));
        self.categories.push(joined(item.category_part()));
        self.types.push(joined(item.type_part()));
        self.tags.push(joined(item.tag_part()));
    }
}

/// The items of a query; an item without parts matches everything.
pub(crate) fn items(query: &Query) -> Vec<QueryItem> {
    if query.is_all() { vec![QueryItem::new()] } else { query.items().to_vec() }
}

/// Whether appends of a batch touch one another.
fn touch(appends: &[Append]) -> bool {
    let mut earlier = Touching::default();
    appends.len() > 1
        && appends.iter().any(|append| {
            let touches = earlier.touches(append);
            earlier.add(append);
            touches
        })
}

fn expected(expected: ExpectedVersion) -> i64 {
    match expected {
        ExpectedVersion::Any => -1,
        ExpectedVersion::Exists => -2,
        ExpectedVersion::NoStream => 0,
        ExpectedVersion::Exact(version) => clamped(version.get()),
    }
}

/// Counts are bounded by the limits of an append and of a batch.
fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A list that is not empty.
fn some<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

/// A list that has anything in it.
fn any<T>(list: &[Option<T>]) -> Option<&[Option<T>]> {
    list.iter().any(Option::is_some).then_some(list)
}
