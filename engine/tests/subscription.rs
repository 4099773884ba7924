//! The subscription engine over a store that is told what to answer.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annalist_core::{
    Append, Capabilities, Error, ErrorKind, EventStore, ExpectedVersion, NewEvent, Page, Position, Query,
    Read, Receipt, Signal, StreamId, Subscribe, Subscription,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::time::{Instant, timeout};

/// A memory store whose reads fail as often as it is told, and whose wake-ups may be lost.
#[derive(Clone, Debug)]
struct Shaky {
    inner: MemoryStore,
    failures: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
    deaf: bool,
}

impl Shaky {
    fn new(deaf: bool) -> Self {
        Self { inner: MemoryStore::new(), failures: Arc::default(), reads: Arc::default(), deaf }
    }

    async fn ticks(&self, stream: &str, count: usize) {
        let stream = StreamId::new(stream).unwrap();
        for _ in 0..count {
            let event = NewEvent::new("Ticked", "{}").unwrap();
            self.inner.append(Append::to(&stream, ExpectedVersion::Any, [event])).await.unwrap();
        }
    }

    async fn follow(&self, subscribe: Subscribe) -> Box<dyn Subscription> {
        self.subscribe(subscribe).await.unwrap()
    }
}

#[async_trait]
impl EventStore for Shaky {
    async fn append(&self, append: Append) -> Result<Receipt, Error> {
        self.inner.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return Err(ErrorKind::Unavailable("told to fail".to_owned()).into());
        }
        self.inner.read(read).await
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        annalist_engine::subscribe(Arc::new(self.clone()), subscribe).await
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        if self.deaf {
            std::future::pending::<()>().await;
        }
        self.inner.wait_for_more(after).await
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn close(&self) -> Result<(), Error> {
        self.inner.close().await
    }
}

/// Every signal up to and with the n-th `CaughtUp`, as one letter each.
async fn until_caught_up(events: &mut Box<dyn Subscription>, times: usize) -> String {
    let mut said = String::new();
    while said.matches('C').count() < times {
        said.push(match events.next().await.unwrap().unwrap() {
            Signal::Event(_) => 'e',
            Signal::CaughtUp(_) => 'C',
            Signal::Progress(_) => 'p',
            other => panic!("{other:?}"),
        });
    }
    said
}

#[tokio::test]
async fn catches_up_at_every_edge_of_a_page() {
    for count in 0..=9 {
        let store = Shaky::new(false);
        store.ticks("Clock-1", count).await;
        let mut events = store.follow(Subscribe::to(Query::all()).page_size(3)).await;
        let said = until_caught_up(&mut events, 1).await;
        assert_eq!(said, "e".repeat(count) + "C", "with {count} events");
    }
}

#[tokio::test]
async fn tells_progress_over_what_does_not_match_and_only_after_what_does() {
    let store = Shaky::new(false);
    store.ticks("Clock-1", 2).await;
    let mut events = store.follow(Subscribe::to(Query::category("Clock"))).await;
    assert_eq!(until_caught_up(&mut events, 1).await, "eeC");

    store.ticks("Other-1", 5).await;
    let head = store.read(Read::log(Query::all()).limit(0)).await.unwrap().head;
    assert_eq!(events.next().await.unwrap().unwrap(), Signal::Progress(head));

    store.ticks("Clock-1", 1).await;
    store.ticks("Other-1", 5).await;
    assert!(matches!(events.next().await.unwrap().unwrap(), Signal::Event(_)));
    assert!(matches!(events.next().await.unwrap().unwrap(), Signal::Progress(_)));
}

#[tokio::test]
async fn is_caught_up_again_after_falling_more_than_a_page_behind() {
    let store = Shaky::new(false);
    let mut events = store.follow(Subscribe::to(Query::all()).page_size(3)).await;
    assert_eq!(until_caught_up(&mut events, 1).await, "C");
    store.ticks("Clock-1", 7).await;
    assert_eq!(until_caught_up(&mut events, 1).await, "eeeeeeeC");
}

#[tokio::test]
async fn is_caught_up_at_the_head_of_its_beginning_although_writers_never_stop() {
    let store = Shaky::new(false);
    store.ticks("Clock-1", 4).await;
    let mut events = store.follow(Subscribe::to(Query::all()).page_size(3)).await;
    store.ticks("Clock-1", 100).await;
    assert_eq!(until_caught_up(&mut events, 1).await, "eeeeC");
}

/// Dropping `next` while it waits, at every poll of it, loses no signal and repeats none.
#[tokio::test]
async fn a_dropped_next_takes_nothing_with_it() {
    let store = Shaky::new(false);
    let mut events = store.follow(Subscribe::to(Query::all()).page_size(2)).await;
    let mut versions = Vec::new();
    for _ in 0..20 {
        store.ticks("Clock-1", 1).await;
        // A zero timeout polls once and drops.
        while let Ok(signal) = timeout(Duration::ZERO, events.next()).await {
            if let Signal::Event(event) = signal.unwrap().unwrap() {
                versions.push(event.version().get());
            }
        }
    }
    assert_eq!(versions, (1..=20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_lost_wake_up_costs_no_more_than_the_declared_bound() {
    let store = Shaky::new(true);
    let mut events = store.follow(Subscribe::to(Query::all())).await;
    assert_eq!(until_caught_up(&mut events, 1).await, "C");
    let bound = store.capabilities().wake_up_max();
    let began = Instant::now();
    let (signal, ()) = tokio::join!(events.next(), store.ticks("Clock-1", 1));
    assert!(matches!(signal.unwrap().unwrap(), Signal::Event(_)));
    assert!(began.elapsed() <= bound + Duration::from_millis(1), "took {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_bridged_without_loss_or_repetition() {
    let store = Shaky::new(false);
    store.ticks("Clock-1", 5).await;
    let mut events = store.follow(Subscribe::to(Query::all()).page_size(2)).await;
    assert!(matches!(events.next().await.unwrap().unwrap(), Signal::Event(_)));
    store.failures.store(6, Ordering::SeqCst);
    assert_eq!(until_caught_up(&mut events, 1).await, "eeeeC");
    assert_eq!(store.failures.load(Ordering::SeqCst), 0, "the outage happened");

    // A second outage is bridged as the first was.
    store.ticks("Clock-1", 1).await;
    store.failures.store(6, Ordering::SeqCst);
    assert!(matches!(events.next().await.unwrap().unwrap(), Signal::Event(_)));
    assert_eq!(store.failures.load(Ordering::SeqCst), 0, "the second outage happened");
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_lasts_ends_it_with_exactly_one_error() {
    let store = Shaky::new(false);
    let subscribe = Subscribe::to(Query::all()).outage_max(Duration::from_secs(5));
    let mut events = store.follow(subscribe).await;
    assert_eq!(until_caught_up(&mut events, 1).await, "C");
    store.ticks("Clock-1", 1).await;
    store.failures.store(usize::MAX, Ordering::SeqCst);

    let began = Instant::now();
    let error = events.next().await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
    assert!(began.elapsed() >= Duration::from_secs(5), "gave up after {:?}", began.elapsed());
    assert!(events.next().await.is_none());
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn closing_the_store_ends_it_with_exactly_one_error() {
    let store = Shaky::new(false);
    let mut events = store.follow(Subscribe::to(Query::all())).await;
    assert_eq!(until_caught_up(&mut events, 1).await, "C");
    let (signal, closed) = tokio::join!(events.next(), store.close());
    closed.unwrap();
    let error = signal.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed), "{error}");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_stopped_subscription_gives_nothing_and_lets_go_of_its_store() {
    let store = Shaky::new(false);
    store.ticks("Clock-1", 5).await;
    let shared = Arc::downgrade(&store.reads);
    let mut events = store.follow(Subscribe::to(Query::all())).await;
    assert!(matches!(events.next().await.unwrap().unwrap(), Signal::Event(_)));
    events.stop().await;
    events.stop().await;
    assert!(events.next().await.is_none());
    drop(store);
    assert_eq!(shared.strong_count(), 0, "the subscription holds the store");
}

/// An idle subscription must wait, not spin: with nothing new it reads only when the wake-up bound has passed.
#[tokio::test(start_paused = true)]
async fn an_idle_subscription_reads_only_at_the_bound() {
    let store = Shaky::new(false);
    let mut events = store.follow(Subscribe::to(Query::all())).await;
    assert_eq!(until_caught_up(&mut events, 1).await, "C");
    let before = store.reads.load(Ordering::SeqCst);
    let bound = store.capabilities().wake_up_max();
    assert!(timeout(bound * 10, events.next()).await.is_err());
    let reads = store.reads.load(Ordering::SeqCst) - before;
    assert!((1..=11).contains(&reads), "{reads} reads in ten bounds");
}
