//! Subscriptions that give the wrong events: too many, too few, in another order, with another content.

use std::sync::Arc;

use annalist_core::{
    Error, EventStore, Metadata, Page, Position, Query, Read, RecordedEvent, Signal, Start, Subscribe,
    Subscription,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::task::yield_now;

use crate::bug::{Broken, Bug};
use crate::edit::{edit_signals, with_event};
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "after_is_inclusive",
        guarantee: "S3",
        twin: "`>=` in the query of the tail",
        expected: &["sub.catchup_after", "sub.before_first_look", "sub.resume_at_every_index"],
        make: || each_handle(|| AfterIsInclusive),
    },
    Mutant {
        name: "start_by_equality",
        guarantee: "G5",
        twin: "the row number of the start is looked up by its position",
        expected: &["sub.catchup_non_event_position", "sub.checkpoint_non_event_position"],
        make: || each_handle(|| StartByEquality),
    },
    Mutant {
        name: "nothing_is_above_null",
        guarantee: "S1",
        twin: "`WHERE position > NULL` on a log that was empty",
        expected: &["sub.empty_then_live", "sub.live"],
        make: || each_handle(|| NothingIsAboveNull),
    },
    Mutant {
        name: "look_ahead_row_lost",
        guarantee: "S1",
        twin: "`LIMIT n + 1` to see whether there is more, and the cursor behind that row",
        expected: &["sub.catchup_all", "sub.handover_edges", "sub.slow_again"],
        make: || each_handle(|| Reads(|| LookAheadRowLost)),
    },
    Mutant {
        name: "page_sorted_by_stream",
        guarantee: "S1",
        twin: "one feed for each stream, merged page by page",
        expected: &["sub.catchup_all", "sub.whole_appends"],
        make: || each_handle(|| Reads(|| PageSortedByStream)),
    },
    Mutant {
        name: "live_without_metadata",
        guarantee: "S1",
        twin: "NOTIFY with a payload of its own",
        expected: &["sub.same_content"],
        make: || each_handle(|| LiveWithoutMetadata),
    },
    Mutant {
        name: "dropped_next_takes_its_signal",
        guarantee: "C1",
        twin: "a queue is popped before the last await",
        expected: &["sub.next_is_cancel_safe", "sub.next_in_select"],
        make: || each_handle(|| DroppedNextTakesItsSignal),
    },
];

/// Subscriptions over a store whose reads are broken, while the reads of everyone else are right.
struct Reads<B>(fn() -> B);

#[async_trait]
impl<B: Bug> Bug for Reads<B> {
    async fn subscribe(
        &self,
        honest: &MemoryStore,
        _: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        annalist_engine::subscribe(Broken::new(honest.clone(), Arc::new((self.0)())), subscribe).await
    }
}

/// Gives the event at the position that was asked to begin after.
struct AfterIsInclusive;

async fn at(honest: &MemoryStore, query: &Query, position: Position) -> Result<Option<RecordedEvent>, Error> {
    let read = Read::log(query.clone()).until(position).backward().limit(1);
    let event = honest.read(read).await?.events.into_iter().next();
    Ok(event.filter(|event| event.position() == position))
}

#[async_trait]
impl Bug for AfterIsInclusive {
    async fn subscribe(
        &self,
        honest: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let subscription = annalist_engine::subscribe(store, subscribe.clone()).await?;
        let Start::After(position) = subscribe.start() else { return Ok(subscription) };
        let mut first = at(honest, subscribe.query(), position).await?.map(|event| Ok(Signal::Event(event)));
        Ok(edit_signals(subscription, move |answer| first.take().into_iter().chain([answer]).collect()))
    }
}

/// Begins anew where there is no event at the position.
struct StartByEquality;

#[async_trait]
impl Bug for StartByEquality {
    async fn subscribe(
        &self,
        honest: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let known = match subscribe.start() {
            Start::After(position) => at(honest, &Query::all(), position).await?.is_some(),
            _ => true,
        };
        let subscribe = if known { subscribe } else { subscribe.after(Position::START) };
        annalist_engine::subscribe(store, subscribe).await
    }
}

/// Gives no event ever where the log was empty.
struct NothingIsAboveNull;

#[async_trait]
impl Bug for NothingIsAboveNull {
    async fn subscribe(
        &self,
        honest: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let head = honest.read(Read::log(Query::all()).limit(0)).await?.head;
        let subscription = annalist_engine::subscribe(store, subscribe).await?;
        Ok(edit_signals(subscription, move |answer| match answer {
            Ok(Signal::Event(_)) if head == Position::START => Vec::new(),
            answer => vec![answer],
        }))
    }
}

/// Loses the last event of each page that is full and has a next one.
struct LookAheadRowLost;

#[async_trait]
impl Bug for LookAheadRowLost {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read).await?;
        if page.next.is_some() {
            page.events.pop();
        }
        Ok(page)
    }
}

/// Gives the events of a page stream by stream.
struct PageSortedByStream;

#[async_trait]
impl Bug for PageSortedByStream {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read).await?;
        page.events.sort_by(|a, b| a.stream().cmp(b.stream()));
        Ok(page)
    }
}

/// Gives live events without their metadata.
struct LiveWithoutMetadata;

#[async_trait]
impl Bug for LiveWithoutMetadata {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let mut live = false;
        let subscription = annalist_engine::subscribe(store, subscribe).await?;
        Ok(edit_signals(subscription, move |answer| match answer {
            Ok(Signal::Event(event)) if live => {
                let stripped = event.event().clone().with_metadata(Metadata::NONE);
                vec![Ok(Signal::Event(with_event(&event, stripped)))]
            }
            answer => {
                live |= matches!(answer, Ok(Signal::CaughtUp(_)));
                vec![answer]
            }
        }))
    }
}

/// Awaits once more after it has taken a signal.
struct DroppedNextTakesItsSignal;

struct AwaitsAgain(Box<dyn Subscription>);

#[async_trait]
impl Bug for DroppedNextTakesItsSignal {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        Ok(Box::new(AwaitsAgain(annalist_engine::subscribe(store, subscribe).await?)))
    }
}

#[async_trait]
impl Subscription for AwaitsAgain {
    async fn next(&mut self) -> Option<Result<Signal, Error>> {
        let answer = self.0.next().await;
        yield_now().await;
        answer
    }

    async fn stop(&mut self) {
        self.0.stop().await;
    }
}
