//! Conditions whose query is understood wrongly.

use annalist_core::{Append, Error, EventStore, Query, QueryItem, Receipt, RecordedEvent};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::conditions::{judge, with_queries};
use crate::bug::Bug;
use crate::look::wrong_append;
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "condition_tags_any_of",
        guarantee: "R6",
        twin: "`tags && $1` for `tags @> $1`",
        expected: &["append.condition_query_kinds", "append.condition_holds"],
        make: || each_handle(|| ConditionTagsAnyOf),
    },
    Mutant {
        name: "condition_first_item_only",
        guarantee: "R6",
        twin: "a query of one item, made first, and the others forgotten",
        expected: &["append.condition_query_kinds"],
        make: || each_handle(|| ConditionFirstItemOnly),
    },
    Mutant {
        name: "condition_types_ignored",
        guarantee: "R6",
        twin: "a lock for each category in place of the query",
        expected: &["append.condition_query_kinds", "append.condition_holds"],
        make: || each_handle(|| ConditionTypesIgnored),
    },
    Mutant {
        name: "condition_category_is_a_prefix",
        guarantee: "R6",
        twin: "`stream LIKE 'Order%'` for a category",
        expected: &["append.condition_literal"],
        make: || each_handle(|| ConditionCategoryIsAPrefix),
    },
    Mutant {
        name: "condition_prefix_is_exact",
        guarantee: "R6",
        twin: "a prefix looked up by equality",
        expected: &["append.condition_query_kinds", "append.condition_literal"],
        make: || each_handle(|| ConditionPrefixIsExact),
    },
    Mutant {
        name: "condition_names_are_patterns",
        guarantee: "R6",
        twin: "`LIKE $1` for `= $1`",
        expected: &["append.condition_literal"],
        make: || each_handle(|| ConditionNamesArePatterns),
    },
];

/// The query with other items, unless it is the one for all.
fn with_items(query: &Query, edit: impl Fn(&QueryItem) -> Vec<QueryItem>) -> Query {
    if query.is_all() || query.items().is_empty() {
        query.clone()
    } else {
        Query::any_of(query.items().iter().flat_map(edit))
    }
}

/// The item without its types and tags.
fn of_streams(item: &QueryItem) -> QueryItem {
    let mut kept = QueryItem::new().streams(item.stream_part());
    for prefix in item.prefix_part() {
        kept = kept.stream_prefix(prefix);
    }
    for category in item.category_part() {
        kept = kept.category(category);
    }
    kept
}

/// What `LIKE` says: `%` is anything and `_` one character.
fn like(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('%') => {
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.into_iter().any(|at| like(rest.as_str(), &name[at..]))
        }
        Some(wanted) => {
            let mut chars = name.chars();
            chars.next().is_some_and(|found| wanted == '_' || wanted == found)
                && like(rest.as_str(), chars.as_str())
        }
    }
}

fn item_is_like(item: &QueryItem, event: &RecordedEvent) -> bool {
    let one_of = |part: &[String], name: &str, end: &str| {
        part.is_empty() || part.iter().any(|pattern| like(&format!("{pattern}{end}"), name))
    };
    let tagged = |wanted: &String| event.tags().iter().any(|tag| like(wanted, tag.as_str()));
    one_of(item.stream_part(), event.stream().as_str(), "")
        && one_of(item.prefix_part(), event.stream().as_str(), "%")
        && one_of(item.category_part(), event.stream().category(), "")
        && one_of(item.type_part(), event.event_type().as_str(), "")
        && item.tag_part().iter().all(tagged)
}

wrong_append! {
    /// Takes tags as any-of.
    ConditionTagsAnyOf: |honest, append| {
        honest.append(with_queries(&append, |query| {
            with_items(query, |item| {
                let without = || of_streams(item).types(item.type_part());
                let one = |tag: &String| without().tags([tag]);
                if item.tag_part().is_empty() { vec![item.clone()] } else { item.tag_part().iter().map(one).collect() }
            })
        })).await
    }

    /// Looks at the first item.
    ConditionFirstItemOnly: |honest, append| {
        honest.append(with_queries(&append, |query| match query.items() {
            [first, ..] => first.clone().into(),
            [] => query.clone(),
        })).await
    }

    /// Does not look at types where there is something else.
    ConditionTypesIgnored: |honest, append| {
        honest.append(with_queries(&append, |query| {
            with_items(query, |item| {
                let without = of_streams(item).tags(item.tag_part());
                vec![if without.name_count() == 0 { item.clone() } else { without }]
            })
        })).await
    }

    /// Takes categories as prefixes of the stream's name.
    ConditionCategoryIsAPrefix: |honest, append| {
        honest.append(with_queries(&append, |query| {
            with_items(query, |item| {
                let mut turned = QueryItem::new().streams(item.stream_part());
                for prefix in item.prefix_part().iter().chain(item.category_part()) {
                    turned = turned.stream_prefix(prefix);
                }
                vec![turned.types(item.type_part()).tags(item.tag_part())]
            })
        })).await
    }

    /// Takes prefixes as whole names.
    ConditionPrefixIsExact: |honest, append| {
        honest.append(with_queries(&append, |query| {
            with_items(query, |item| {
                let mut turned = QueryItem::new().streams(item.stream_part()).streams(item.prefix_part());
                for category in item.category_part() {
                    turned = turned.category(category);
                }
                vec![turned.types(item.type_part()).tags(item.tag_part())]
            })
        })).await
    }

    /// Takes names as patterns.
    ConditionNamesArePatterns: |honest, append| {
        judge(honest, append, |query, event| {
            query.is_all() || query.items().iter().any(|item| item_is_like(item, event))
        }).await
    }
}
