//! Conditions, judged wrongly.

use annalist_core::{
    Append, Conflict, Error, EventStore, Page, Position, Query, QueryItem, Read, Receipt, RecordedEvent,
    StreamId,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::keep;
use crate::look::{all_of, demands, head_of, is_conflict, knows, log_of, wrong_append};
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "conditions_mean_no_news",
        guarantee: "A3",
        twin: "an expected position of the whole log in place of a condition",
        expected: &["append.condition_holds", "append.condition_query_kinds"],
        make: || each_handle(|| ConditionsMeanNoNews),
    },
    Mutant {
        name: "conditions_ignored",
        guarantee: "A3",
        twin: "a request option that the backend does not know, dropped silently",
        expected: &[
            "append.condition_fails",
            "append.condition_exclusive_after",
            "append.first_failed_condition",
        ],
        make: || each_handle(|| ConditionsIgnored),
    },
    Mutant {
        name: "newest_match_told",
        guarantee: "A5",
        twin: "`SELECT max(position)` of the matches",
        expected: &["append.condition_fails"],
        make: || each_handle(|| NewestMatchTold),
    },
    Mutant {
        name: "head_is_the_last_event_found",
        guarantee: "R5",
        twin: "the head of a page taken from its last event",
        expected: &["append.condition_after_head_is_free"],
        make: || each_handle(|| HeadIsTheLastFound),
    },
    Mutant {
        name: "conditions_see_written_streams_only",
        guarantee: "A3",
        twin: "conditions checked against the rows that are locked anyway",
        expected: &["append.condition_sees_everything_before_it", "append.any_with_condition_can"],
        make: || each_handle(|| ConditionsSeeWrittenStreams),
    },
    Mutant {
        name: "conditions_after_the_insert",
        guarantee: "A3",
        twin: "conditions checked at the end of the transaction that inserted the events",
        expected: &["append.condition_ignores_own_events"],
        make: || each_handle(|| ConditionsAfterInsert),
    },
    Mutant {
        name: "conditions_include_their_position",
        guarantee: "A3",
        twin: "`position >= $after`",
        expected: &["append.condition_exclusive_after", "append.condition_query_kinds"],
        make: || each_handle(|| ConditionsInclusive),
    },
    Mutant {
        name: "conditions_from_the_start",
        guarantee: "A3",
        twin: "a unique index for conditions, which knows no position",
        expected: &["append.condition_fails", "append.condition_exclusive_after"],
        make: || each_handle(|| ConditionsFromTheStart),
    },
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

/// The append with other queries in its conditions.
fn with_queries(append: &Append, edit: impl Fn(&Query) -> Query) -> Append {
    append.conditions().iter().fold(keep(append, true, false), |edited, condition| {
        edited.condition(edit(&condition.query), condition.after)
    })
}

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

/// Judges conditions by another idea of what matches; the store beneath judges all else.
async fn judge(
    honest: &MemoryStore,
    append: Append,
    matches: impl Fn(&Query, &RecordedEvent) -> bool,
) -> Result<Receipt, Error> {
    if knows(honest, &append).await? || append.conditions().iter().any(|c| c.query.items().is_empty()) {
        return honest.append(append).await;
    }
    honest.append(keep(&demands(&append), true, false)).await?;
    let log = log_of(honest).await?;
    for (index, condition) in append.conditions().iter().enumerate() {
        let found =
            log.iter().find(|event| event.position() > condition.after && matches(&condition.query, event));
        if let Some(found) = found {
            return Err(Conflict::Condition { index, matched: found.position() }.into());
        }
    }
    honest.append(keep(&append, true, false)).await
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
    /// Takes a condition for: nothing was appended since.
    ConditionsMeanNoNews: |honest, append| {
        let valid = append.conditions().iter().all(|c| c.query.is_all() || !c.query.items().is_empty());
        honest.append(if valid { with_queries(&append, |_| Query::all()) } else { append }).await
    }

    /// Forgets conditions.
    ConditionsIgnored: |honest, append| {
        honest.append(keep(&append, true, false)).await
    }

    /// Tells the newest event that matches.
    NewestMatchTold: |honest, append| {
        let answer = honest.append(append.clone()).await;
        for (index, condition) in append.conditions().iter().enumerate() {
            let read = Read::log(condition.query.clone()).after(condition.after);
            if answer.as_ref().is_err_and(is_conflict)
                && let Some(newest) = all_of(honest, read).await?.last()
            {
                return Err(Conflict::Condition { index, matched: newest.position() }.into());
            }
        }
        answer
    }

    /// Sees only events of streams that the append names.
    ConditionsSeeWrittenStreams: |honest, append| {
        let streams: Vec<StreamId> = append.writes().iter().map(|write| write.stream.clone()).collect();
        if streams.is_empty() {
            return honest.append(append).await;
        }
        judge(honest, append, |query, event| {
            streams.contains(event.stream()) && query.matches_recorded(event)
        }).await
    }

    /// Sees the append's own events.
    ConditionsAfterInsert: |honest, append| {
        let own = |query: &Query| append.events().any(|(stream, event)| query.matches(stream, event));
        let index = append.conditions().iter().position(|condition| own(&condition.query));
        if let Some(index) = index && !knows(honest, &append).await? {
            honest.append(demands(&append)).await?;
            return Err(Conflict::Condition { index, matched: head_of(honest).await? }.into());
        }
        honest.append(append).await
    }

    /// Sees the event at the position itself.
    ConditionsInclusive: |honest, append| {
        let at = log_of(honest).await?;
        for (index, condition) in append.conditions().iter().enumerate() {
            let event = at.iter().find(|event| event.position() == condition.after);
            if let Some(event) = event.filter(|event| condition.query.matches_recorded(event)) {
                return Err(Conflict::Condition { index, matched: event.position() }.into());
            }
        }
        honest.append(append).await
    }

    /// Looks at the whole log.
    ConditionsFromTheStart: |honest, append| {
        let kept = keep(&append, true, false);
        honest.append(append.conditions().iter().fold(kept, |edited, condition| {
            edited.condition(condition.query.clone(), Position::START)
        })).await
    }

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

/// Tells the position of the last event of a page as the head.
struct HeadIsTheLastFound;

#[async_trait]
impl Bug for HeadIsTheLastFound {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read).await?;
        page.head = page.events.iter().map(RecordedEvent::position).max().unwrap_or(Position::START);
        Ok(page)
    }
}
