//! Subscriptions that take a query for another one.

use std::sync::Arc;

use annalist_core::{
    Error, EventStore, Page, Query, QueryItem, Read, RecordedEvent, Signal, Source, Subscribe, Subscription,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::{Broken, Bug};
use crate::edit::edit_signals;
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "live_stream_by_beginning",
        guarantee: "R6",
        twin: "a topic subscription: `Order-1` also gives `Order-10`",
        expected: &["sub.filter_stream", "sub.filter_medley"],
        make: || each_handle(|| Takes(|item, event| is(item, event, Part::Stream, &begins))),
    },
    Mutant {
        name: "live_prefix_is_a_name",
        guarantee: "R6",
        twin: "routing keys without a wildcard",
        expected: &["sub.filter_prefix", "sub.filter_medley"],
        make: || each_handle(|| Takes(|item, event| is(item, event, Part::Prefix, &equal))),
    },
    Mutant {
        name: "live_category_by_beginning",
        guarantee: "R6",
        twin: "`LIKE 'Order%'` for a category",
        expected: &["sub.filter_category"],
        make: || each_handle(|| Takes(|item, event| is(item, event, Part::Category, &begins))),
    },
    Mutant {
        name: "live_first_type_only",
        guarantee: "R6",
        twin: "one routing key per subscription",
        expected: &["sub.filter_type", "sub.filter_medley"],
        make: || each_handle(|| Takes(first_type_only)),
    },
    Mutant {
        name: "live_any_tag",
        guarantee: "R6",
        twin: "`tags && $1` for `tags @> $1`",
        expected: &["sub.filter_tags", "sub.filter_medley"],
        make: || each_handle(|| Takes(any_tag)),
    },
    Mutant {
        name: "live_like",
        guarantee: "R6",
        twin: "LIKE without ESCAPE",
        expected: &["sub.filter_literal"],
        make: || {
            each_handle(|| {
                Takes(|item, event| {
                    [Part::Stream, Part::Prefix].iter().any(|part| is(item, event, *part, &like))
                })
            })
        },
    },
    Mutant {
        name: "limit_before_filter",
        guarantee: "S1",
        twin: "a DynamoDB page, whose limit counts what the filter drops; an empty one is taken for the end",
        expected: &["sub.filter_sparse", "sub.progress_over_filtered"],
        make: || each_handle(|| LimitBeforeFilter),
    },
];

/// Follows the whole log, and decides with this function which events match an item.
struct Takes(fn(&QueryItem, &RecordedEvent) -> bool);

#[async_trait]
impl Bug for Takes {
    async fn subscribe(
        &self,
        honest: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let (query, takes) = (subscribe.query().clone(), self.0);
        if query.is_all() {
            return annalist_engine::subscribe(store, subscribe).await;
        }
        // What is wrong with the query is told as it should be.
        honest.read(Read::log(query.clone()).limit(0)).await?;
        let mut all = Subscribe::to(Query::all()).page_size(subscribe.page_events_max());
        all = match subscribe.start() {
            annalist_core::Start::After(position) => all.after(position),
            _ => all.from_now(),
        };
        let subscription = annalist_engine::subscribe(store, all).await?;
        Ok(edit_signals(subscription, move |answer| match answer {
            Ok(Signal::Event(event)) => {
                let matches = query.items().iter().any(|item| takes(item, &event));
                vec![Ok(if matches { Signal::Event(event) } else { Signal::Progress(event.position()) })]
            }
            answer => vec![answer],
        }))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Stream,
    Prefix,
    Category,
}

fn equal(name: &str, wanted: &str) -> bool {
    name == wanted
}

fn begins(name: &str, wanted: &str) -> bool {
    name.starts_with(wanted)
}

/// Whether an item matches, where one of its parts is compared in another way than it should be.
fn is(item: &QueryItem, event: &RecordedEvent, odd: Part, holds: &dyn Fn(&str, &str) -> bool) -> bool {
    let stream = event.stream();
    let part = |part: Part, names: &[String], name: &str, right: &dyn Fn(&str, &str) -> bool| {
        let holds = if part == odd { holds } else { right };
        names.is_empty() || names.iter().any(|wanted| holds(name, wanted))
    };
    part(Part::Stream, item.stream_part(), stream.as_str(), &equal)
        && part(Part::Prefix, item.prefix_part(), stream.as_str(), &begins)
        && part(Part::Category, item.category_part(), stream.category(), &equal)
        && QueryItem::new().types(item.type_part()).tags(item.tag_part()).matches(stream, event.event())
}

fn first_type_only(item: &QueryItem, event: &RecordedEvent) -> bool {
    let first = item.type_part().first();
    item.matches(event.stream(), event.event())
        && first.is_none_or(|first| event.event_type().as_str() == first)
}

fn any_tag(item: &QueryItem, event: &RecordedEvent) -> bool {
    let without = |tags: &[String]| {
        let mut other = QueryItem::new().streams(item.stream_part()).types(item.type_part()).tags(tags);
        other = item.prefix_part().iter().fold(other, |other, prefix| other.stream_prefix(prefix.clone()));
        item.category_part().iter().fold(other, |other, category| other.category(category))
    };
    let alone = |tag: &String| without(std::slice::from_ref(tag)).matches(event.stream(), event.event());
    item.tag_part().iter().any(alone) || item.matches(event.stream(), event.event())
}

/// SQL's LIKE: `%` is anything, `_` one character. A prefix has a `%` behind it, which does not matter for whole names here.
fn like(name: &str, pattern: &str) -> bool {
    fn from(name: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => true,
            Some(('%', rest)) => (0..=name.len()).any(|skipped| from(&name[skipped..], rest)),
            Some(('_', rest)) => !name.is_empty() && from(&name[1..], rest),
            Some((plain, rest)) => name.first() == Some(plain) && from(&name[1..], rest),
        }
    }
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    from(&chars(name), &chars(pattern))
}

/// Reads a page of the log and filters it; where nothing is left, that is the end for now.
struct LimitBeforeFilter;

struct FilteredPages;

#[async_trait]
impl Bug for LimitBeforeFilter {
    async fn subscribe(
        &self,
        honest: &MemoryStore,
        _: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let store = Broken::new(honest.clone(), Arc::new(FilteredPages));
        annalist_engine::subscribe(store, subscribe).await
    }
}

#[async_trait]
impl Bug for FilteredPages {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let (query, after) = match read.source() {
            Source::Log(query) if read.page_events_max() > 0 => (query.clone(), read.positions().0),
            _ => return honest.read(read).await,
        };
        let all = Read::log(Query::all()).after(after).page_size(read.page_events_max());
        let mut page = honest.read(all).await?;
        page.events.retain(|event| query.matches_recorded(event));
        if page.events.is_empty() {
            // Whoever follows comes back at once; others must have their turn.
            tokio::task::yield_now().await;
            (page.next, page.head) = (None, after);
        }
        Ok(page)
    }
}
