//! Wrong queries.

use annalist_core::{Error, EventStore, Page, Query, QueryItem, Read, RecordedEvent, Source};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::super::Mutant;
use crate::bug::Bug;
use crate::edit_read::{Answers, Asks, Matches, bounded, cut, drained};
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "query_streams_as_prefixes",
        guarantee: "R6",
        twin: "a prefix match where a whole name is meant",
        expected: &["read.query_streams", "read.query_medley_equals_filter"],
        make: || each_handle(|| Matches(|query, event| any(query, event, streams_as_prefixes))),
    },
    Mutant {
        name: "query_prefix_exclusive",
        guarantee: "R6",
        twin: "`stream > $1` as the lower bound of a prefix",
        expected: &["read.query_prefixes"],
        make: || each_handle(|| Matches(|query, event| any(query, event, prefix_exclusive))),
    },
    Mutant {
        name: "query_category_like",
        guarantee: "R6",
        twin: "`stream LIKE category || '%'`",
        expected: &["read.query_categories"],
        make: || each_handle(|| Matches(|query, event| any(query, event, category_as_prefix))),
    },
    Mutant {
        name: "query_category_last_dash",
        guarantee: "R6",
        twin: "a category that ends at the last dash",
        expected: &["read.query_category_dashes", "read.query_random_equals_filter"],
        make: || each_handle(|| Matches(|query, event| any(query, event, category_last_dash))),
    },
    Mutant {
        name: "query_first_type_only",
        guarantee: "R6",
        twin: "`type = $1`, with only one parameter bound",
        expected: &["read.query_types", "read.query_medley_equals_filter"],
        make: || each_handle(|| Matches(|query, event| any(query, event, first_type_only))),
    },
    Mutant {
        name: "query_tags_overlap",
        guarantee: "R6",
        twin: "`tags && $1` in place of `tags @> $1`",
        expected: &["read.query_tags_all_of", "read.query_medley_equals_filter"],
        make: || each_handle(|| Matches(|query, event| any(query, event, tags_overlap))),
    },
    Mutant {
        name: "query_parts_by_or",
        guarantee: "R6",
        twin: "parts of an item joined by OR",
        expected: &[
            "read.query_parts_all_hold",
            "read.query_medley_equals_filter",
            "read.query_random_equals_filter",
            "global.filtered_equals_filter",
        ],
        make: || each_handle(|| Matches(|query, event| any(query, event, parts_by_or))),
    },
    Mutant {
        name: "query_last_item_without_tags",
        guarantee: "R6",
        twin: "a brackets slip: `a OR b AND c` drops the tags of all items but the first",
        expected: &["read.query_items_any_of", "read.query_random_equals_filter"],
        make: || each_handle(|| Matches(only_first_item_has_tags)),
    },
    Mutant {
        name: "query_items_union_all",
        guarantee: "R6",
        twin: "UNION ALL of one query for each item",
        expected: &["read.query_items_any_of"],
        make: || each_handle(|| Answers(union_all)),
    },
    Mutant {
        name: "query_by_like",
        guarantee: "R6",
        twin: "LIKE without escapes",
        expected: &["read.query_literal"],
        make: || each_handle(|| Matches(|query, event| any(query, event, by_like))),
    },
    Mutant {
        name: "query_ignores_case",
        guarantee: "R6",
        twin: "ILIKE, or a collation that ignores case",
        expected: &["read.query_case"],
        make: || each_handle(|| Matches(|query, event| any(query, event, ignoring_case))),
    },
    Mutant {
        name: "query_limit_before_filter",
        guarantee: "R6",
        twin: "DynamoDB's Limit: it counts what is looked at",
        expected: &["read.query_limit_after_filter", "read.query_medley_equals_filter"],
        make: || each_handle(|| LimitBeforeFilter),
    },
    Mutant {
        name: "query_empty_page_is_the_end",
        guarantee: "R6",
        twin: "a loop that ends at the first page without events",
        expected: &["read.query_sparse"],
        make: || each_handle(|| Answers(empty_is_end)),
    },
    Mutant {
        name: "query_of_nothing_is_all",
        guarantee: "R6",
        twin: "no conditions, no WHERE",
        expected: &["read.query_invalid"],
        make: || each_handle(|| Asks(nothing_is_all)),
    },
];

fn any(query: &Query, event: &RecordedEvent, item: fn(&QueryItem, &RecordedEvent) -> bool) -> bool {
    query.is_all() || query.items().iter().any(|of_query| item(of_query, event))
}

fn one_of(part: &[String], mut holds: impl FnMut(&str) -> bool) -> bool {
    part.is_empty() || part.iter().any(|value| holds(value))
}

/// Whether each part of an item holds: streams, prefixes, categories, types, tags.
fn parts(item: &QueryItem, event: &RecordedEvent) -> [bool; 5] {
    let (stream, event_type) = (event.stream().as_str(), event.event_type().as_str());
    [
        one_of(item.stream_part(), |name| name == stream),
        one_of(item.prefix_part(), |prefix| stream.starts_with(prefix)),
        one_of(item.category_part(), |category| category == event.stream().category()),
        one_of(item.type_part(), |name| name == event_type),
        item.tag_part().iter().all(|wanted| event.tags().iter().any(|tag| tag.as_str() == wanted)),
    ]
}

/// All parts, of which one is decided otherwise.
fn but(item: &QueryItem, event: &RecordedEvent, part: usize, holds: bool) -> bool {
    let mut all = parts(item, event);
    all[part] = holds;
    all.into_iter().all(|holds| holds)
}

fn streams_as_prefixes(item: &QueryItem, event: &RecordedEvent) -> bool {
    but(item, event, 0, one_of(item.stream_part(), |name| event.stream().as_str().starts_with(name)))
}

fn prefix_exclusive(item: &QueryItem, event: &RecordedEvent) -> bool {
    let stream = event.stream().as_str();
    but(item, event, 1, one_of(item.prefix_part(), |prefix| stream.starts_with(prefix) && stream != prefix))
}

fn category_as_prefix(item: &QueryItem, event: &RecordedEvent) -> bool {
    but(item, event, 2, one_of(item.category_part(), |name| event.stream().as_str().starts_with(name)))
}

fn category_last_dash(item: &QueryItem, event: &RecordedEvent) -> bool {
    let stream = event.stream().as_str();
    let category = stream.rsplit_once('-').map_or(stream, |(category, _)| category);
    but(item, event, 2, one_of(item.category_part(), |name| name == category))
}

fn first_type_only(item: &QueryItem, event: &RecordedEvent) -> bool {
    let first = item.type_part().first();
    but(item, event, 3, first.is_none_or(|name| name == event.event_type().as_str()))
}

fn tags_overlap(item: &QueryItem, event: &RecordedEvent) -> bool {
    let wanted = item.tag_part();
    let overlap = event.tags().iter().any(|tag| wanted.iter().any(|wanted| tag.as_str() == wanted));
    but(item, event, 4, wanted.is_empty() || overlap)
}

fn parts_by_or(item: &QueryItem, event: &RecordedEvent) -> bool {
    let given = [
        !item.stream_part().is_empty(),
        !item.prefix_part().is_empty(),
        !item.category_part().is_empty(),
        !item.type_part().is_empty(),
        !item.tag_part().is_empty(),
    ];
    given.into_iter().zip(parts(item, event)).any(|(given, holds)| given && holds)
}

fn only_first_item_has_tags(query: &Query, event: &RecordedEvent) -> bool {
    let mut items = query.items().iter().enumerate();
    query.is_all()
        || items.any(|(i, item)| {
            if i == 0 { parts(item, event).into_iter().all(|holds| holds) } else { but(item, event, 4, true) }
        })
}

fn union_all(read: &Read, mut page: Page) -> Result<Page, Error> {
    if let Source::Log(query) = read.source() {
        let times = |event: &RecordedEvent| {
            query.items().iter().filter(|item| item.matches(event.stream(), event.event())).count().max(1)
        };
        page.events =
            page.events.iter().flat_map(|event| std::iter::repeat_n(event.clone(), times(event))).collect();
    }
    Ok(page)
}

/// Whether a text is like a pattern, of which `%` is anything and `_` one character.
fn like(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('%') => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| like(rest.as_str(), &text[at..]))
        }
        Some(c) => {
            let mut chars = text.chars();
            chars.next().is_some_and(|first| c == '_' || c == first) && like(rest.as_str(), chars.as_str())
        }
    }
}

fn by_like(item: &QueryItem, event: &RecordedEvent) -> bool {
    let prefix = one_of(item.prefix_part(), |prefix| like(&format!("{prefix}%"), event.stream().as_str()));
    but(item, event, 1, prefix)
}

fn ignoring_case(item: &QueryItem, event: &RecordedEvent) -> bool {
    let lower = str::to_lowercase;
    let stream = lower(event.stream().as_str());
    one_of(item.stream_part(), |name| lower(name) == stream)
        && one_of(item.prefix_part(), |prefix| stream.starts_with(&lower(prefix)))
        && one_of(item.category_part(), |name| lower(name) == lower(event.stream().category()))
        && one_of(item.type_part(), |name| lower(name) == lower(event.event_type().as_str()))
        && parts(item, event)[4]
}

/// Takes the limit off what it looks at, and filters then.
struct LimitBeforeFilter;

#[async_trait]
impl Bug for LimitBeforeFilter {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let (Source::Log(query), Some(1..)) = (read.source(), read.limit_left()) else {
            return honest.read(read).await;
        };
        let head = honest.read(read.clone()).await?.head;
        let (mut looked_at, _, _) = drained(honest, bounded(&read, Read::log(Query::all()))).await?;
        looked_at.retain(|event| query.matches_recorded(event));
        Ok(cut(&read, looked_at, head))
    }
}

fn empty_is_end(_: &Read, mut page: Page) -> Result<Page, Error> {
    if page.events.is_empty() {
        page.next = None;
    }
    Ok(page)
}

fn nothing_is_all(read: Read) -> Read {
    let Source::Log(query) = read.source() else { return read };
    let empty = |item: &QueryItem| item.name_count() == 0;
    if !query.is_all() && query.items().iter().all(empty) {
        return bounded(&read, Read::log(Query::all()));
    }
    read
}
