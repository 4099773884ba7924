//! Subscriptions that lose or repeat events between what was and what comes, or learn of it too late.

use std::sync::{Arc, Mutex};

use annalist_core::{
    Append, Error, EventStore, Position, Query, Read, Receipt, Signal, Start, Subscribe, Subscription,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::bug::Bug;
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "listens_after_catching_up",
        guarantee: "S1",
        twin: "reads to the end, then LISTEN",
        expected: &["sub.handover_moment", "sub.handover_load", "sub.live"],
        make: || each_handle(|| Handover(Gap::UntilTheNextLook)),
    },
    Mutant {
        name: "listens_a_little_late",
        guarantee: "S1",
        twin: "SQLStreamStore: messages are missed under load (issue 121)",
        expected: &["sub.handover_load"],
        make: || each_handle(|| Handover(Gap::AMoment)),
    },
    Mutant {
        name: "overlap_comes_twice",
        guarantee: "S1",
        twin: "listens first, reads then, and joins the two without looking at positions",
        expected: &["sub.before_first_look", "sub.handover_load"],
        make: || each_handle(|| OverlapComesTwice),
    },
    Mutant {
        name: "now_is_the_first_look",
        guarantee: "S3",
        twin: "a stream that is lazy to its first poll",
        expected: &["sub.from_now", "sub.from_now_other_handle", "sub.from_now_load"],
        make: || each_handle(|| NowIsTheFirstLook),
    },
    Mutant {
        name: "now_is_what_this_handle_saw",
        guarantee: "S3",
        twin: "a head that is cached per connection",
        expected: &["sub.from_now_other_handle"],
        make: || each_handle(NowIsWhatThisHandleSaw::default),
    },
    Mutant {
        name: "waits_before_it_looks",
        guarantee: "S2",
        twin: "pyeventsourcing: NOTIFY is lost, and nothing polls (issue 305)",
        expected: &["sub.live", "sub.handover_moment", "sub.slow_again"],
        make: || each_database(WaitsBeforeItLooks::default),
    },
    Mutant {
        name: "hears_its_own_handle_only",
        guarantee: "S2",
        twin: "a channel in the handle, and a poll for all else",
        expected: &["sub.live_other_handle", "sub.live_while_waiting"],
        make: || each_handle(HearsItsOwnHandleOnly::default),
    },
    Mutant {
        name: "wakes_before_it_commits",
        guarantee: "S2",
        twin: "NOTIFY before COMMIT, on a connection of its own",
        expected: &["sub.live_while_waiting", "sub.live_other_handle"],
        make: || each_database(WakesBeforeItCommits::default),
    },
];

/// How long nobody listens.
#[derive(Clone, Copy, PartialEq)]
enum Gap {
    UntilTheNextLook,
    AMoment,
}

/// Catches up, and listens from then on.
struct Handover(Gap);

struct TwoParts {
    subscription: Box<dyn Subscription>,
    store: Arc<dyn EventStore>,
    query: Query,
    gap: Gap,
    /// Whether it has caught up, and whether it has begun to listen since.
    caught_up: bool,
    listens: bool,
}

impl TwoParts {
    async fn listen(&mut self) -> Result<(), Error> {
        let from_now = Subscribe::to(self.query.clone()).from_now();
        self.subscription = annalist_engine::subscribe(self.store.clone(), from_now).await?;
        self.listens = true;
        Ok(())
    }
}

#[async_trait]
impl Bug for Handover {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let query = subscribe.query().clone();
        let subscription = annalist_engine::subscribe(store.clone(), subscribe).await?;
        let (caught_up, listens) = (false, false);
        Ok(Box::new(TwoParts { subscription, store, query, gap: self.0, caught_up, listens }))
    }
}

#[async_trait]
impl Subscription for TwoParts {
    async fn next(&mut self) -> Option<Result<Signal, Error>> {
        if self.caught_up
            && !self.listens
            && let Err(error) = self.listen().await
        {
            return Some(Err(error));
        }
        let answer = self.subscription.next().await;
        if matches!(answer, Some(Ok(Signal::CaughtUp(_)))) && !self.caught_up {
            self.caught_up = true;
            if self.gap == Gap::AMoment {
                for _ in 0..5 {
                    yield_now().await;
                }
                if let Err(error) = self.listen().await {
                    return Some(Err(error));
                }
            }
        }
        answer
    }

    async fn stop(&mut self) {
        self.subscription.stop().await;
    }
}

/// Gives what was appended between `subscribe` and the first look both as caught up with and as live.
struct OverlapComesTwice;

struct Overlap {
    past: Option<Box<dyn Subscription>>,
    live: Box<dyn Subscription>,
    store: Arc<dyn EventStore>,
    subscribe: Option<Subscribe>,
}

#[async_trait]
impl Bug for OverlapComesTwice {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let from_now = Subscribe::to(subscribe.query().clone()).from_now();
        let live = annalist_engine::subscribe(store.clone(), from_now).await?;
        // What is wrong with the request is told at once.
        annalist_engine::subscribe(store.clone(), subscribe.clone()).await?;
        Ok(Box::new(Overlap { past: None, live, store, subscribe: Some(subscribe) }))
    }
}

#[async_trait]
impl Subscription for Overlap {
    async fn next(&mut self) -> Option<Result<Signal, Error>> {
        if let Some(subscribe) = self.subscribe.take() {
            match annalist_engine::subscribe(self.store.clone(), subscribe).await {
                Ok(past) => self.past = Some(past),
                Err(error) => return Some(Err(error)),
            }
        }
        let Some(past) = &mut self.past else { return self.live.next().await };
        let answer = past.next().await;
        if matches!(answer, Some(Ok(Signal::CaughtUp(_)))) {
            self.past = None;
        }
        answer
    }

    async fn stop(&mut self) {
        self.past = None;
        self.live.stop().await;
    }
}

/// Asks for the head at the first look.
struct NowIsTheFirstLook;

struct Lazy {
    store: Arc<dyn EventStore>,
    subscribe: Option<Subscribe>,
    subscription: Option<Box<dyn Subscription>>,
}

#[async_trait]
impl Bug for NowIsTheFirstLook {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        if subscribe.start() == Start::Now {
            return Ok(Box::new(Lazy { store, subscribe: Some(subscribe), subscription: None }));
        }
        annalist_engine::subscribe(store, subscribe).await
    }
}

#[async_trait]
impl Subscription for Lazy {
    async fn next(&mut self) -> Option<Result<Signal, Error>> {
        if let Some(subscribe) = self.subscribe.take() {
            match annalist_engine::subscribe(self.store.clone(), subscribe).await {
                Ok(subscription) => self.subscription = Some(subscription),
                Err(error) => return Some(Err(error)),
            }
        }
        self.subscription.as_mut()?.next().await
    }

    async fn stop(&mut self) {
        (self.subscribe, self.subscription) = (None, None);
    }
}

/// Takes the last append of this handle for the head.
#[derive(Default)]
struct NowIsWhatThisHandleSaw(Mutex<Option<Position>>);

#[async_trait]
impl Bug for NowIsWhatThisHandleSaw {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await?;
        *self.0.lock().expect("nothing panics here") = receipt.position();
        Ok(receipt)
    }

    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let seen = self.0.lock().expect("nothing panics here").unwrap_or(Position::START);
        let now = subscribe.start() == Start::Now;
        annalist_engine::subscribe(store, if now { subscribe.after(seen) } else { subscribe }).await
    }
}

/// Once caught up, waits for a notification before every look; one that comes while nobody waits is lost.
#[derive(Default)]
struct WaitsBeforeItLooks(Arc<Notify>);

struct WaitsFirst {
    subscription: Box<dyn Subscription>,
    told: Arc<Notify>,
    caught_up: bool,
}

#[async_trait]
impl Bug for WaitsBeforeItLooks {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await;
        self.0.notify_waiters();
        receipt
    }

    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let subscription = annalist_engine::subscribe(store, subscribe).await?;
        Ok(Box::new(WaitsFirst { subscription, told: self.0.clone(), caught_up: false }))
    }
}

#[async_trait]
impl Subscription for WaitsFirst {
    async fn next(&mut self) -> Option<Result<Signal, Error>> {
        if self.caught_up {
            self.told.notified().await;
        }
        let answer = self.subscription.next().await;
        self.caught_up |= matches!(answer, Some(Ok(Signal::CaughtUp(_))));
        answer
    }

    async fn stop(&mut self) {
        self.subscription.stop().await;
    }
}

/// Wakes the subscriptions of the handle that appended; the others wait for the bound.
#[derive(Default)]
struct HearsItsOwnHandleOnly(Notify);

async fn above(honest: &MemoryStore, after: Position, told: &Notify) -> Result<(), Error> {
    let next = told.notified();
    if honest.read(Read::log(Query::all()).limit(0)).await?.head <= after {
        next.await;
    }
    Ok(())
}

#[async_trait]
impl Bug for HearsItsOwnHandleOnly {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await;
        self.0.notify_waiters();
        receipt
    }

    async fn wait_for_more(&self, honest: &MemoryStore, after: Position) -> Result<(), Error> {
        above(honest, after, &self.0).await
    }
}

/// Wakes those who wait before there is anything to see.
#[derive(Default)]
struct WakesBeforeItCommits(Notify);

#[async_trait]
impl Bug for WakesBeforeItCommits {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        self.0.notify_waiters();
        for _ in 0..20 {
            yield_now().await;
        }
        honest.append(append).await
    }

    async fn wait_for_more(&self, honest: &MemoryStore, after: Position) -> Result<(), Error> {
        above(honest, after, &self.0).await
    }
}
