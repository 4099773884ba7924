//! Positions that are wrong when they are read, and bounds that are wrong.

use std::ops::Bound;
use std::time::UNIX_EPOCH;

use annalist_core::{Error, EventStore, LogId, Page, Position, Query, Read, RecordedEvent, Source, backend};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::super::Mutant;
use crate::bug::Bug;
use crate::edit::with_position;
use crate::edit_read::{Answers, Asks, drained, is_backward, just_below, of_stream, with_numbers};
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "timestamps_as_positions",
        guarantee: "G1",
        twin: "created_at as the place in the log: all rows of one transaction have the same",
        expected: &["global.strictly_increasing"],
        make: || each_handle(|| Answers(timestamps)),
    },
    Mutant {
        name: "positions_as_f64",
        guarantee: "G1",
        twin: "JSON numbers: beyond 2^53 neighbours become one",
        expected: &["global.strictly_increasing"],
        make: || each_handle(|| Answers(as_f64)),
    },
    Mutant {
        name: "row_number_as_position",
        guarantee: "G1",
        twin: "ROW_NUMBER() OVER the rows that are read",
        expected: &["global.position_stable", "global.filtered_equals_filter"],
        make: || each_handle(|| Answers(row_number)),
    },
    Mutant {
        name: "join_with_tags",
        guarantee: "G1",
        twin: "a join with the table of tags: an event once for each of them, and none without",
        expected: &["global.complete_once"],
        make: || each_handle(|| Answers(joined_with_tags)),
    },
    Mutant {
        name: "after_inclusive",
        guarantee: "G5",
        twin: "`position >= $1`",
        expected: &["global.after_exclusive", "global.resume_everywhere", "global.after_and_until"],
        make: || each_handle(|| Asks(after_inclusive)),
    },
    Mutant {
        name: "until_exclusive",
        guarantee: "G5",
        twin: "`position < $2`",
        expected: &["global.until_inclusive", "global.after_and_until"],
        make: || each_handle(|| Asks(until_exclusive)),
    },
    Mutant {
        name: "until_replaces_after",
        guarantee: "G5",
        twin: "one key condition where two are wanted",
        expected: &["global.after_and_until"],
        make: || each_handle(|| Asks(until_replaces_after)),
    },
    Mutant {
        name: "backward_pages_forward",
        guarantee: "R4",
        twin: "an outer ORDER BY that sorts each page again",
        expected: &["global.backward"],
        make: || each_handle(|| Answers(backward_pages_forward)),
    },
    Mutant {
        name: "place_by_equality",
        guarantee: "G5",
        twin: "the place is looked up, and one that is not found is the beginning",
        expected: &["global.resume_between"],
        make: || each_handle(|| PlaceByEquality),
    },
    Mutant {
        name: "empty_log_has_the_head_of_another",
        guarantee: "R5",
        twin: "MAX(position) over a table that namespaces share",
        expected: &["global.empty_head"],
        make: || each_handle(|| Answers(head_of_another)),
    },
];

fn timestamps(_: &Read, mut page: Page) -> Result<Page, Error> {
    let millis = |event: &RecordedEvent| {
        let since =
            event.recorded_at().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64);
        with_position(event, with_numbers(event.position(), since, 0))
    };
    page.events = page.events.iter().map(millis).collect();
    Ok(page)
}

/// As if 2^53 events had gone before.
fn as_f64(_: &Read, mut page: Page) -> Result<Page, Error> {
    let rounded = |event: &RecordedEvent| {
        let number = backend::numbers(event.position()).0 + (1 << 53);
        with_position(event, with_numbers(event.position(), number as f64 as u64, 0))
    };
    page.events = page.events.iter().map(rounded).collect();
    Ok(page)
}

fn row_number(read: &Read, mut page: Page) -> Result<Page, Error> {
    if read.fixed_head().is_none() && !of_stream(read) && !is_backward(read) {
        let numbered = page.events.iter().zip(1..);
        page.events = numbered
            .map(|(event, row)| with_position(event, with_numbers(event.position(), row, 0)))
            .collect();
    }
    Ok(page)
}

fn joined_with_tags(read: &Read, mut page: Page) -> Result<Page, Error> {
    if !of_stream(read) {
        let rows = |event: &RecordedEvent| std::iter::repeat_n(event.clone(), event.tags().len());
        page.events = page.events.iter().flat_map(rows).collect();
    }
    Ok(page)
}

fn after_inclusive(read: Read) -> Read {
    let (after, _) = read.positions();
    let bound = !of_stream(&read) && read.fixed_head().is_none() && after > Position::START;
    if bound { read.after(just_below(after)) } else { read }
}

fn until_exclusive(read: Read) -> Read {
    let (_, upper) = read.positions();
    match upper {
        Bound::Included(until) if !of_stream(&read) => read.until(just_below(until)),
        _ => read,
    }
}

fn until_replaces_after(read: Read) -> Read {
    let (_, upper) = read.positions();
    let both = matches!(upper, Bound::Included(_)) && read.fixed_head().is_none();
    if both { read.after(Position::START) } else { read }
}

fn backward_pages_forward(read: &Read, mut page: Page) -> Result<Page, Error> {
    if !of_stream(read) && is_backward(read) {
        page.events.reverse();
    }
    Ok(page)
}

/// Begins with the first event where none stands at the position that it is to begin after.
struct PlaceByEquality;

#[async_trait]
impl Bug for PlaceByEquality {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let (after, _) = read.positions();
        if of_stream(&read) || after == Position::START || read.fixed_head().is_some() {
            return honest.read(read).await;
        }
        honest.read(read.clone().limit(0)).await?;
        let (log, _, _) = drained(honest, Read::log(Query::all())).await?;
        let found = log.iter().any(|event| event.position() == after);
        honest.read(if found { read } else { read.after(Position::START) }).await
    }
}

fn head_of_another(read: &Read, mut page: Page) -> Result<Page, Error> {
    if page.head == Position::START && matches!(read.source(), Source::Log(_)) {
        page.head = backend::position(LogId::new(), 7, 0);
    }
    Ok(page)
}
