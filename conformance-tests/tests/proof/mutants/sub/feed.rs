//! Subscriptions that are fed by whoever appends: bounded, unordered, shared, or without a bound.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use annalist_core::{
    Append, Error, EventStore, Position, Query, Read, Receipt, RecordedEvent, Signal, Subscribe, Subscription,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc};
use tokio::task::yield_now;

use crate::bug::Bug;
use crate::edit::edit_signals;
use crate::mutants::Mutant;
use crate::world::each_database;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "lag_ignored",
        guarantee: "S6",
        twin: "`tokio::sync::broadcast`, whose `Lagged` is skipped over",
        expected: &["sub.slow_lossless", "sub.slow_again"],
        make: || each_database(|| Bus::new(Flaw::LagIgnored)),
    },
    Mutant {
        name: "second_lag_ignored",
        guarantee: "S6",
        twin: "KurrentDB: a dropped subscription is signalled the first time only (issue 1602)",
        expected: &["sub.slow_again"],
        make: || each_database(|| Bus::new(Flaw::SecondLagIgnored)),
    },
    Mutant {
        name: "published_out_of_order",
        guarantee: "S1",
        twin: "an event bus that is fed after the commit",
        expected: &["sub.complete", "sub.two_same_sequence"],
        make: || each_database(|| Bus::new(Flaw::OutOfOrder)),
    },
    Mutant {
        name: "late_ones_skipped",
        guarantee: "S1",
        twin: "a live filter that drops positions below the last one seen",
        expected: &["sub.complete", "sub.handover_load"],
        make: || each_database(|| Bus::new(Flaw::LateOnesSkipped)),
    },
    Mutant {
        name: "competing_subscriptions",
        guarantee: "S1",
        twin: "subscriptions of one consumer group that nobody asked for",
        expected: &["sub.two_same_sequence", "sub.fifty"],
        make: || each_database(CompetingSubscriptions::default),
    },
    Mutant {
        name: "a_connection_each",
        guarantee: "S6",
        twin: "each LISTEN holds a connection of a pool of thirty-two",
        expected: &["sub.fifty"],
        make: || each_database(|| Slots { slots: Arc::new(Semaphore::new(32)), leaks: false }),
    },
    Mutant {
        name: "slots_leak",
        guarantee: "S8",
        twin: "an advisory lock that only `stop` gives back",
        expected: &["sub.drop_releases"],
        make: || each_database(|| Slots { slots: Arc::new(Semaphore::new(200)), leaks: true }),
    },
    Mutant {
        name: "writers_wait_for_consumers",
        guarantee: "S6",
        twin: "one dispatcher that sends to a bounded queue per consumer",
        expected: &["sub.slow_does_not_block"],
        make: || each_database(WritersWaitForConsumers::default),
    },
    Mutant {
        name: "reads_ahead_without_bound",
        guarantee: "S6",
        twin: "an unbounded channel between a reading task and the consumer",
        expected: &["sub.slow_bounded"],
        make: || each_database(|| ReadsAheadWithoutBound),
    },
];

type Answer = Result<Signal, Error>;

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    LagIgnored,
    SecondLagIgnored,
    OutOfOrder,
    LateOnesSkipped,
}

/// Live events come over a bounded broadcast from those who append.
struct Bus {
    flaw: Flaw,
    /// Held over append and publication, where the flaw is not the order.
    order: tokio::sync::Mutex<()>,
    feed: broadcast::Sender<RecordedEvent>,
}

impl Bus {
    fn new(flaw: Flaw) -> Self {
        let capacity = if matches!(flaw, Flaw::LagIgnored | Flaw::SecondLagIgnored) { 64 } else { 1 << 14 };
        Self { flaw, order: tokio::sync::Mutex::default(), feed: broadcast::Sender::new(capacity) }
    }

    async fn publish(&self, honest: &MemoryStore, receipt: &Receipt) -> Result<(), Error> {
        for written in receipt.written() {
            let read =
                Read::stream(written.stream()).from(written.first_version()).to(written.last_version());
            for event in honest.read(read).await?.events {
                // Nobody may listen.
                let _ = self.feed.send(event);
            }
        }
        Ok(())
    }
}

struct FromBus {
    flaw: Flaw,
    store: Arc<dyn EventStore>,
    query: Query,
    feed: broadcast::Receiver<RecordedEvent>,
    /// Until it has caught up.
    past: Option<Box<dyn Subscription>>,
    reached: Position,
    lags: usize,
}

#[async_trait]
impl Bug for Bus {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        if matches!(self.flaw, Flaw::LagIgnored | Flaw::SecondLagIgnored) {
            let _order = self.order.lock().await;
            let receipt = honest.append(append).await?;
            self.publish(honest, &receipt).await?;
            return Ok(receipt);
        }
        let receipt = honest.append(append).await?;
        yield_now().await;
        self.publish(honest, &receipt).await?;
        Ok(receipt)
    }

    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let (feed, query) = (self.feed.subscribe(), subscribe.query().clone());
        let past = Some(annalist_engine::subscribe(store.clone(), subscribe).await?);
        let (flaw, reached, lags) = (self.flaw, Position::START, 0);
        Ok(Box::new(FromBus { flaw, store, query, feed, past, reached, lags }))
    }
}

impl FromBus {
    fn take(&mut self, event: RecordedEvent) -> Option<Signal> {
        // What was caught up with comes over the feed, too; later on, a lower position is one that came late.
        if event.position() <= self.reached && self.flaw != Flaw::OutOfOrder {
            return None;
        }
        self.reached = self.reached.max(event.position());
        let matches = self.query.matches_recorded(&event);
        Some(if matches { Signal::Event(event) } else { Signal::Progress(event.position()) })
    }

    async fn catch_up_again(&mut self) -> Result<(), Error> {
        self.lags += 1;
        if self.flaw == Flaw::SecondLagIgnored && self.lags == 1 {
            let again = Subscribe::to(self.query.clone()).after(self.reached);
            self.past = Some(annalist_engine::subscribe(self.store.clone(), again).await?);
        }
        Ok(())
    }
}

#[async_trait]
impl Subscription for FromBus {
    async fn next(&mut self) -> Option<Answer> {
        loop {
            if let Some(past) = &mut self.past {
                let answer = past.next().await;
                match &answer {
                    Some(Ok(Signal::Event(event))) => self.reached = event.position(),
                    Some(Ok(Signal::Progress(position))) => self.reached = *position,
                    Some(Ok(Signal::CaughtUp(position))) => {
                        self.reached = self.reached.max(*position);
                        self.past = None;
                    }
                    _ => {}
                }
                return answer;
            }
            match self.feed.recv().await {
                Ok(event) => {
                    if let Some(signal) = self.take(event) {
                        return Some(Ok(signal));
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    if let Err(error) = self.catch_up_again().await {
                        return Some(Err(error));
                    }
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    async fn stop(&mut self) {
        self.past = Some(Box::new(Ended));
    }
}

struct Ended;

#[async_trait]
impl Subscription for Ended {
    async fn next(&mut self) -> Option<Answer> {
        None
    }

    async fn stop(&mut self) {}
}

/// Gives each event to the subscription that comes first.
#[derive(Default)]
struct CompetingSubscriptions {
    next: AtomicU64,
    taken: Arc<Mutex<HashMap<Position, u64>>>,
}

#[async_trait]
impl Bug for CompetingSubscriptions {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let (me, taken) = (self.next.fetch_add(1, Ordering::Relaxed), self.taken.clone());
        let subscription = annalist_engine::subscribe(store, subscribe).await?;
        Ok(edit_signals(subscription, move |answer| match answer {
            Ok(Signal::Event(event)) => {
                let mut taken = taken.lock().expect("nothing panics here");
                let mine = *taken.entry(event.position()).or_insert(me) == me;
                vec![Ok(if mine { Signal::Event(event) } else { Signal::Progress(event.position()) })]
            }
            answer => vec![answer],
        }))
    }
}

/// Each subscription takes a slot, for which it waits.
struct Slots {
    slots: Arc<Semaphore>,
    /// Whether a subscription that is dropped keeps its slot.
    leaks: bool,
}

struct InSlot {
    subscription: Box<dyn Subscription>,
    slot: Option<OwnedSemaphorePermit>,
    leaks: bool,
}

#[async_trait]
impl Bug for Slots {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let slot = self.slots.clone().acquire_owned().await.expect("the slots are never closed");
        let subscription = annalist_engine::subscribe(store, subscribe).await?;
        Ok(Box::new(InSlot { subscription, slot: Some(slot), leaks: self.leaks }))
    }
}

#[async_trait]
impl Subscription for InSlot {
    async fn next(&mut self) -> Option<Answer> {
        self.subscription.next().await
    }

    async fn stop(&mut self) {
        self.slot = None;
        self.subscription.stop().await;
    }
}

impl Drop for InSlot {
    fn drop(&mut self) {
        if self.leaks
            && let Some(slot) = self.slot.take()
        {
            slot.forget();
        }
    }
}

/// Tells every subscription of every append, and waits where one does not listen.
#[derive(Default)]
struct WritersWaitForConsumers(Mutex<Vec<mpsc::Sender<()>>>);

struct Told {
    subscription: Box<dyn Subscription>,
    told: mpsc::Receiver<()>,
}

#[async_trait]
impl Bug for WritersWaitForConsumers {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await?;
        let consumers = self.0.lock().expect("nothing panics here").clone();
        for consumer in consumers {
            // One that is gone is none to wait for.
            let _ = consumer.send(()).await;
        }
        Ok(receipt)
    }

    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let (sender, told) = mpsc::channel(64);
        self.0.lock().expect("nothing panics here").push(sender);
        let subscription = annalist_engine::subscribe(store, subscribe).await?;
        Ok(Box::new(Told { subscription, told }))
    }
}

#[async_trait]
impl Subscription for Told {
    async fn next(&mut self) -> Option<Answer> {
        while self.told.try_recv().is_ok() {}
        self.subscription.next().await
    }

    async fn stop(&mut self) {
        self.told.close();
        self.subscription.stop().await;
    }
}

/// A task reads the whole log ahead of the consumer.
struct ReadsAheadWithoutBound;

struct Ahead(mpsc::UnboundedReceiver<Answer>);

#[async_trait]
impl Bug for ReadsAheadWithoutBound {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let mut subscription = annalist_engine::subscribe(store, subscribe).await?;
        let (ahead, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(answer) = subscription.next().await {
                if ahead.send(answer).is_err() {
                    break;
                }
            }
        });
        Ok(Box::new(Ahead(receiver)))
    }
}

#[async_trait]
impl Subscription for Ahead {
    async fn next(&mut self) -> Option<Answer> {
        self.0.recv().await
    }

    async fn stop(&mut self) {
        self.0.close();
        while self.0.try_recv().is_ok() {}
    }
}
