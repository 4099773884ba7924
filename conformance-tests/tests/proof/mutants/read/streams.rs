//! Wrong streams: order, ranges, limits.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Mutex;

use annalist_core::{
    Error, ErrorKind, EventStore, Page, Query, QueryItem, Read, RecordedEvent, Source, StreamId, Version,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::super::Mutant;
use crate::bug::Bug;
use crate::edit::with_event;
use crate::edit_read::{Answers, Asks, anew, drained, is_backward, of_stream};
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "missing_stream_is_an_error",
        guarantee: "R2",
        twin: "a driver's \"no rows\" passed on as a storage error",
        expected: &["read.missing"],
        make: || each_handle(|| Answers(missing_is_error)),
    },
    Mutant {
        name: "stream_in_no_order",
        guarantee: "R1",
        twin: "SELECT without ORDER BY, here in the order of the ids' last digits",
        expected: &["read.forward"],
        make: || each_handle(|| Answers(in_no_order)),
    },
    Mutant {
        name: "versions_sorted_as_text",
        guarantee: "R1",
        twin: "a version in a text sort key: 10 before 9",
        expected: &["read.numeric_order"],
        make: || each_handle(|| Answers(sorted_as_text)),
    },
    Mutant {
        name: "stream_by_prefix",
        guarantee: "R1",
        twin: "begins_with on a joined sort key",
        expected: &["read.isolation"],
        make: || each_handle(|| StreamByPrefix),
    },
    Mutant {
        name: "newest_event_cached",
        guarantee: "R1",
        twin: "a cache of the last event that only its own handle refreshes",
        expected: &["read.latest_one"],
        make: || each_handle(NewestCached::default),
    },
    Mutant {
        name: "log_and_stream_differ",
        guarantee: "R1",
        twin: "a second table for streams, whose writer drops the tags",
        expected: &["read.same_as_log"],
        make: || each_handle(|| Answers(streams_without_tags)),
    },
    Mutant {
        name: "server_page_is_the_end",
        guarantee: "R1",
        twin: "DynamoDB's LastEvaluatedKey ignored",
        expected: &["read.over_server_page"],
        make: || each_handle(|| ServerPage),
    },
    Mutant {
        name: "from_exclusive",
        guarantee: "R1",
        twin: "`version > $1`",
        expected: &["read.from_inclusive", "read.range", "read.limit"],
        make: || each_handle(|| Asks(from_exclusive)),
    },
    Mutant {
        name: "to_exclusive",
        guarantee: "R1",
        twin: "`version < $2`",
        expected: &["read.to_inclusive", "read.range"],
        make: || each_handle(|| Asks(to_exclusive)),
    },
    Mutant {
        name: "bounds_swapped",
        guarantee: "R1",
        twin: "BETWEEN SYMMETRIC",
        expected: &["read.range"],
        make: || each_handle(|| Asks(bounds_swapped)),
    },
    Mutant {
        name: "limit_before_range",
        guarantee: "R1",
        twin: "the limit in the inner query, the range in the outer one",
        expected: &["read.limit"],
        make: || each_handle(|| Answers(limit_before_range)),
    },
    Mutant {
        name: "limit_as_i64",
        guarantee: "R1",
        twin: "`limit as i64`, which is negative for the largest",
        expected: &["read.limit_huge"],
        make: || each_handle(|| Asks(limit_as_i64)),
    },
    Mutant {
        name: "version_as_i64",
        guarantee: "R1",
        twin: "`version as i64`, which is below every version for the largest",
        expected: &["read.past_end"],
        make: || each_handle(|| Asks(version_as_i64)),
    },
    Mutant {
        name: "backward_reversed_after_limit",
        guarantee: "R1",
        twin: "the first events are taken and then reversed",
        expected: &["read.backward", "read.latest_one"],
        make: || each_handle(|| ReversedAfterLimit),
    },
    Mutant {
        name: "foreign_bounds_ignored",
        guarantee: "R1",
        twin: "a request option that the backend never looks at",
        expected: &["read.invalid_bounds"],
        make: || each_handle(|| Asks(foreign_bounds_ignored)),
    },
    Mutant {
        name: "limit_zero_is_all",
        guarantee: "R1",
        twin: "0 as \"no limit\"",
        expected: &["read.limit_zero"],
        make: || each_handle(|| Asks(zero_is_all)),
    },
];

fn missing_is_error(read: &Read, page: Page) -> Result<Page, Error> {
    if of_stream(read) && page.version == Version::NONE {
        return Err(ErrorKind::Internal("no rows".to_owned()).into());
    }
    Ok(page)
}

fn in_no_order(read: &Read, mut page: Page) -> Result<Page, Error> {
    if of_stream(read) {
        page.events.sort_by_key(|event| event.id().as_uuid().as_u128() as u16);
    }
    Ok(page)
}

fn sorted_as_text(read: &Read, mut page: Page) -> Result<Page, Error> {
    let text = |event: &RecordedEvent| event.version().to_string();
    if of_stream(read) && is_backward(read) {
        page.events.sort_by_key(|event| Reverse(text(event)));
    } else if of_stream(read) {
        page.events.sort_by_key(text);
    }
    Ok(page)
}

fn streams_without_tags(read: &Read, mut page: Page) -> Result<Page, Error> {
    if of_stream(read) {
        let strip = |event: &RecordedEvent| -> Result<_, Error> {
            let stripped = event.event().clone().with_tags(Vec::<String>::new())?;
            Ok(with_event(event, stripped))
        };
        page.events = page.events.iter().map(strip).collect::<Result<_, _>>()?;
    }
    Ok(page)
}

/// Gives the events of every stream whose name begins like the one that is asked for.
struct StreamByPrefix;

#[async_trait]
impl Bug for StreamByPrefix {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read.clone()).await?;
        if let Source::Stream(stream) = read.source() {
            let query: Query = QueryItem::new().stream_prefix(stream.as_str()).into();
            page.events = drained(honest, Read::log(query)).await?.0;
            page.events.truncate(read.page_events_max());
            page.next = None;
        }
        Ok(page)
    }
}

/// Remembers the first answer to "the newest event of the stream".
#[derive(Default)]
struct NewestCached(Mutex<HashMap<StreamId, Vec<RecordedEvent>>>);

#[async_trait]
impl Bug for NewestCached {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read.clone()).await?;
        if let (Source::Stream(stream), true, Some(1)) =
            (read.source(), is_backward(&read), read.limit_left())
        {
            let mut cache = self.0.lock().expect("nothing panics here");
            page.events = cache.entry(stream.clone()).or_insert(page.events).clone();
        }
        Ok(page)
    }
}

/// Gives up to a thousand events, and takes them for all.
struct ServerPage;

#[async_trait]
impl Bug for ServerPage {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        const SERVER_PAGE: usize = 1_000;
        if read.page_events_max() <= SERVER_PAGE {
            return honest.read(read).await;
        }
        let mut page = honest.read(read.page_size(SERVER_PAGE)).await?;
        page.next = None;
        Ok(page)
    }
}

fn from_exclusive(read: Read) -> Read {
    let (from, _) = read.versions();
    let first_page = of_stream(&read) && read.fixed_head().is_none() && from > Version::FIRST;
    if first_page { read.from(from.next()) } else { read }
}

fn to_exclusive(read: Read) -> Read {
    let (_, to) = read.versions();
    let first_page = of_stream(&read) && read.fixed_head().is_none() && to < Version::MAX;
    if first_page { read.to(Version::new(to.get().saturating_sub(1))) } else { read }
}

fn bounds_swapped(read: Read) -> Read {
    let (from, to) = read.versions();
    if of_stream(&read) && from > to { read.from(to).to(from) } else { read }
}

fn limit_before_range(read: &Read, mut page: Page) -> Result<Page, Error> {
    if let (true, false, Some(limit)) = (of_stream(read), is_backward(read), read.limit_left()) {
        page.events.retain(|event| event.version().get() <= limit);
    }
    Ok(page)
}

fn limit_as_i64(read: Read) -> Read {
    if read.limit_left().is_some_and(|limit| limit > i64::MAX as u64) { read.limit(0) } else { read }
}

fn version_as_i64(read: Read) -> Read {
    let (from, _) = read.versions();
    if of_stream(&read) && from.get() > i64::MAX as u64 { read.from(Version::FIRST) } else { read }
}

/// Takes the first events for a backward read, and turns them round.
struct ReversedAfterLimit;

#[async_trait]
impl Bug for ReversedAfterLimit {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let (Source::Stream(stream), true, Some(limit)) =
            (read.source(), is_backward(&read), read.limit_left())
        else {
            return honest.read(read).await;
        };
        let (from, to) = read.versions();
        let mut page = honest.read(Read::stream(stream).from(from).to(to).limit(limit)).await?;
        page.events.reverse();
        page.next = None;
        Ok(page)
    }
}

fn foreign_bounds_ignored(read: Read) -> Read {
    // `anew` takes only the bounds that fit the source.
    if read.fixed_head().is_none() { anew(&read) } else { read }
}

fn zero_is_all(read: Read) -> Read {
    if read.limit_left() == Some(0) { read.limit(u64::MAX).page_size(1_000) } else { read }
}
