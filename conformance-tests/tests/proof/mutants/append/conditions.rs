//! Conditions, judged wrongly.

use annalist_core::{
    Append, Conflict, Error, EventStore, Page, Position, Query, Read, Receipt, RecordedEvent, StreamId,
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
];

/// The append with other queries in its conditions.
pub(super) fn with_queries(append: &Append, edit: impl Fn(&Query) -> Query) -> Append {
    append.conditions().iter().fold(keep(append, true, false), |edited, condition| {
        edited.condition(edit(&condition.query), condition.after)
    })
}

/// Judges conditions by another idea of what matches; the store beneath judges all else.
pub(super) async fn judge(
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
