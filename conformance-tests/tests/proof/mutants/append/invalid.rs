//! Rules that are not kept.

use std::collections::HashSet;

use annalist_core::{Append, Error, EventStore, ExpectedVersion, Query, QueryItem, Receipt, StreamId};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::{edit_writes, keep};
use crate::look::wrong_append;
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "query_without_items_matches_nothing",
        guarantee: "A3",
        twin: "`WHERE position = ANY('{}')`",
        expected: &["append.query_without_items_invalid", "append.invalid_before_everything"],
        make: || each_handle(|| QueryWithoutItemsMatchesNothing),
    },
    Mutant {
        name: "query_without_items_matches_all",
        guarantee: "A3",
        twin: "an empty WHERE clause",
        expected: &["append.query_without_items_invalid"],
        make: || each_handle(|| QueryWithoutItemsMatchesAll),
    },
    Mutant {
        name: "items_without_parts_dropped",
        guarantee: "A3",
        twin: "parts joined with OR, an empty one left out",
        expected: &["append.item_without_parts_invalid"],
        make: || each_handle(|| ItemsWithoutPartsDropped),
    },
    Mutant {
        name: "writes_of_one_stream_merged",
        guarantee: "A3",
        twin: "requests grouped by stream in a map",
        expected: &["append.stream_twice_invalid"],
        make: || each_handle(|| WritesOfOneStreamMerged),
    },
    Mutant {
        name: "checks_of_written_streams_dropped",
        guarantee: "A3",
        twin: "a map of expectations by stream, in which writes win",
        expected: &["append.written_and_checked_invalid"],
        make: || each_handle(|| ChecksOfWrittenStreamsDropped),
    },
    Mutant {
        name: "second_of_an_id_dropped",
        guarantee: "I2",
        twin: "`INSERT … ON CONFLICT DO NOTHING` for each event",
        expected: &["append.id_twice_invalid", "idem.dup_in_batch"],
        make: || each_handle(|| SecondOfAnIdDropped),
    },
];

fn with_queries(append: &Append, edit: impl Fn(&Query) -> Option<Query>) -> Append {
    append.conditions().iter().fold(keep(append, true, false), |edited, condition| {
        match edit(&condition.query) {
            Some(query) => edited.condition(query, condition.after),
            None => edited,
        }
    })
}

fn has_no_items(query: &Query) -> bool {
    !query.is_all() && query.items().is_empty()
}

wrong_append! {
    /// Takes a query without items for one that finds nothing.
    QueryWithoutItemsMatchesNothing: |honest, append| {
        honest.append(with_queries(&append, |query| (!has_no_items(query)).then(|| query.clone()))).await
    }

    /// Takes a query without items for the one for all.
    QueryWithoutItemsMatchesAll: |honest, append| {
        honest.append(with_queries(&append, |query| {
            Some(if has_no_items(query) { Query::all() } else { query.clone() })
        })).await
    }

    /// Leaves out items that say nothing.
    ItemsWithoutPartsDropped: |honest, append| {
        honest.append(with_queries(&append, |query| {
            if query.is_all() || has_no_items(query) {
                return Some(query.clone());
            }
            let kept: Vec<QueryItem> = query.items().iter().filter(|item| item.name_count() > 0).cloned().collect();
            (!kept.is_empty()).then(|| Query::any_of(kept))
        })).await
    }

    /// Takes the events of all writes of a stream together, and the first expectation; so with checks.
    WritesOfOneStreamMerged: |honest, append| {
        let mut streams: Vec<&StreamId> = Vec::new();
        for write in append.writes() {
            if !streams.contains(&&write.stream) {
                streams.push(&write.stream);
            }
        }
        let mut merged = Append::new();
        for stream in streams {
            let of_stream = || append.writes().iter().filter(|write| write.stream == *stream);
            let expected = of_stream().next().map_or(ExpectedVersion::Any, |write| write.expected);
            let events = of_stream().flat_map(|write| write.events.iter().cloned());
            merged = merged.write(stream, expected, events);
        }
        let mut seen = HashSet::new();
        for check in append.checks().iter().filter(|check| seen.insert(&check.stream)) {
            merged = merged.check(&check.stream, check.expected);
        }
        honest.append(append.conditions().iter().fold(merged, |merged, condition| {
            merged.condition(condition.query.clone(), condition.after)
        })).await
    }

    /// Forgets the check of a stream that is written.
    ChecksOfWrittenStreamsDropped: |honest, append| {
        let written: HashSet<_> = append.writes().iter().map(|write| &write.stream).collect();
        let mut kept = keep(&append, false, true);
        for check in append.checks().iter().filter(|check| !written.contains(&check.stream)) {
            kept = kept.check(&check.stream, check.expected);
        }
        honest.append(kept).await
    }

    /// Leaves out the second event of the same id.
    SecondOfAnIdDropped: |honest, append| {
        honest.append(edit_writes(&append, |write| {
            let mut seen = HashSet::new();
            write.events.retain(|event| seen.insert(event.id()));
        })).await
    }
}
