//! Subscriptions that do not end as they should, or begin where they must not.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use annalist_conformance::PollLimit;
use annalist_core::{
    Error, ErrorKind, EventStore, Position, Query, Read, Signal, Start, Subscribe, Subscription, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "stop_does_nothing",
        guarantee: "S8",
        twin: "a consumer that is taken off a list, while its task goes on",
        expected: &["sub.stop_ends", "sub.stop_under_load", "sub.stop_while_idle"],
        make: || each_handle(|| Ends(How::StopDoesNothing)),
    },
    Mutant {
        name: "buffer_after_stop",
        guarantee: "S8",
        twin: "a prefetched buffer that is handed out to its end",
        expected: &["sub.stop_ends", "sub.stop_under_load"],
        make: || each_handle(|| Ends(How::BufferAfterStop)),
    },
    Mutant {
        name: "stop_waits_for_an_event",
        guarantee: "S8",
        twin: "a flag that is looked at when the next event comes",
        expected: &["sub.stop_while_idle"],
        make: || each_handle(|| Ends(How::StopWaits)),
    },
    Mutant {
        name: "ends_silently",
        guarantee: "S7",
        twin: "a stream that ends as if it were complete",
        expected: &["sub.close_ends_with_closed", "sub.rewound_log_ends_it"],
        make: || each_handle(|| Ends(How::Silently)),
    },
    Mutant {
        name: "error_again_and_again",
        guarantee: "S7",
        twin: "a stream that is polled after its error",
        expected: &["sub.close_ends_with_closed", "sub.rewound_log_ends_it"],
        make: || each_handle(|| Ends(How::AgainAndAgain)),
    },
    Mutant {
        name: "begins_anew_after_an_error",
        guarantee: "G5",
        twin: "a supervisor that restarts the subscription from the start",
        expected: &["sub.rewound_log_ends_it"],
        make: || each_handle(|| Ends(How::BeginsAnew)),
    },
    Mutant {
        name: "closing_one_closes_all",
        guarantee: "S8",
        twin: "a feed that handles share",
        expected: &["sub.other_handle_closed"],
        make: || each_database(ClosingOneClosesAll::default),
    },
    Mutant {
        name: "dies_with_its_handle",
        guarantee: "S8",
        twin: "a pool that is closed when its handle is dropped",
        expected: &["sub.outlives_its_handle"],
        make: || each_handle(|| DiesWithItsHandle),
    },
    Mutant {
        name: "future_is_now",
        guarantee: "G5",
        twin: "a tail that waits until the log has grown past its place",
        expected: &["sub.past_head"],
        make: || each_handle(|| Begins(future_is_now)),
    },
    Mutant {
        name: "future_is_the_start",
        guarantee: "G5",
        twin: "etcd: a watch in the future that gives old events (issue 20221)",
        expected: &["sub.past_head"],
        make: || each_handle(|| Begins(future_is_the_start)),
    },
    Mutant {
        name: "bare_numbers",
        guarantee: "G5",
        twin: "positions that are `u64`s",
        expected: &["sub.other_log"],
        make: || each_handle(|| Begins(bare_numbers)),
    },
    Mutant {
        name: "no_condition_is_every_event",
        guarantee: "R6",
        twin: "a WHERE clause that is joined from nothing",
        expected: &["sub.invalid_query"],
        make: || each_handle(|| NoConditionIsEveryEvent),
    },
];

type Answer = Result<Signal, Error>;

#[derive(Clone, Copy, PartialEq)]
enum How {
    StopDoesNothing,
    BufferAfterStop,
    StopWaits,
    Silently,
    AgainAndAgain,
    BeginsAnew,
}

/// Ends in another way than it should.
struct Ends(How);

struct Ending {
    how: How,
    subscription: Box<dyn Subscription>,
    store: Arc<dyn EventStore>,
    query: Query,
    buffer: VecDeque<Answer>,
    error: Option<Error>,
}

#[async_trait]
impl Bug for Ends {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let (how, query) = (self.0, subscribe.query().clone());
        let subscription = annalist_engine::subscribe(store.clone(), subscribe).await?;
        let (buffer, error) = (VecDeque::new(), None);
        Ok(Box::new(Ending { how, subscription, store, query, buffer, error }))
    }
}

impl Ending {
    async fn after(&mut self, error: Error) -> Option<Answer> {
        match self.how {
            How::Silently => None,
            How::AgainAndAgain => {
                self.error = Some(error);
                self.again()
            }
            How::BeginsAnew if !matches!(error.kind(), ErrorKind::Closed) => {
                let anew = Subscribe::to(self.query.clone());
                self.subscription = annalist_engine::subscribe(self.store.clone(), anew).await.ok()?;
                self.subscription.next().await
            }
            _ => Some(Err(error)),
        }
    }

    fn again(&self) -> Option<Answer> {
        self.error.as_ref().map(|error| Err(error.kind().clone().into()))
    }
}

#[async_trait]
impl Subscription for Ending {
    async fn next(&mut self) -> Option<Answer> {
        if self.error.is_some() {
            return self.again();
        }
        while self.how == How::BufferAfterStop && self.buffer.len() < 4 {
            match PollLimit::new(1, self.subscription.next()).await {
                Some(Some(answer)) => self.buffer.push_back(answer),
                _ => break,
            }
        }
        if let Some(answer) = self.buffer.pop_front() {
            return Some(answer);
        }
        match self.subscription.next().await? {
            Err(error) => self.after(error).await,
            answer => Some(answer),
        }
    }

    async fn stop(&mut self) {
        if self.how == How::StopWaits {
            self.subscription.next().await;
        }
        if self.how != How::StopDoesNothing {
            self.subscription.stop().await;
        }
    }
}

/// Every subscription of the namespace ends when any handle is closed.
#[derive(Default)]
struct ClosingOneClosesAll(Arc<AtomicBool>);

struct Closable {
    subscription: Box<dyn Subscription>,
    closed: Arc<AtomicBool>,
}

#[async_trait]
impl Bug for ClosingOneClosesAll {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let subscription = annalist_engine::subscribe(store, subscribe).await?;
        Ok(Box::new(Closable { subscription, closed: self.0.clone() }))
    }

    async fn close(&self, honest: &MemoryStore) -> Result<(), Error> {
        self.0.store(true, Ordering::SeqCst);
        honest.close().await
    }
}

#[async_trait]
impl Subscription for Closable {
    async fn next(&mut self) -> Option<Answer> {
        if self.closed.load(Ordering::SeqCst) {
            self.stop().await;
            return Some(Err(ErrorKind::Closed.into()));
        }
        self.subscription.next().await
    }

    async fn stop(&mut self) {
        self.subscription.stop().await;
    }
}

/// Does not keep its store open.
struct DiesWithItsHandle;

struct Borrowed {
    subscription: Box<dyn Subscription>,
    store: Weak<dyn EventStore>,
}

#[async_trait]
impl Bug for DiesWithItsHandle {
    async fn subscribe(
        &self,
        honest: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let subscription = annalist_engine::subscribe(Arc::new(honest.clone()), subscribe).await?;
        Ok(Box::new(Borrowed { subscription, store: Arc::downgrade(&store) }))
    }
}

#[async_trait]
impl Subscription for Borrowed {
    async fn next(&mut self) -> Option<Answer> {
        if self.store.strong_count() == 0 {
            return Some(Err(ErrorKind::Closed.into()));
        }
        self.subscription.next().await
    }

    async fn stop(&mut self) {
        self.subscription.stop().await;
    }
}

/// Begins somewhere else; the function is given the head and what is subscribed to.
struct Begins(fn(Position, Position, Subscribe) -> Subscribe);

#[async_trait]
impl Bug for Begins {
    async fn subscribe(
        &self,
        honest: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let head = honest.read(Read::log(Query::all()).limit(0)).await?.head;
        let subscribe = match subscribe.start() {
            Start::After(position) => (self.0)(head, position, subscribe),
            _ => subscribe,
        };
        annalist_engine::subscribe(store, subscribe).await
    }
}

/// The log that a position is of, as text.
fn log_of(position: Position) -> String {
    position.to_string().split('-').next().unwrap_or_default().to_owned()
}

fn future_is_now(head: Position, position: Position, subscribe: Subscribe) -> Subscribe {
    let future = log_of(position) == log_of(head) && position > head;
    if future { subscribe.from_now() } else { subscribe }
}

fn future_is_the_start(head: Position, position: Position, subscribe: Subscribe) -> Subscribe {
    let future = log_of(position) == log_of(head) && position > head;
    if future { subscribe.after(Position::START) } else { subscribe }
}

fn bare_numbers(head: Position, position: Position, subscribe: Subscribe) -> Subscribe {
    let (major, minor) = backend::numbers(position);
    if position == Position::START || head == Position::START {
        return subscribe;
    }
    let same = format!("{}-{major:016x}-{minor:08x}", log_of(head)).parse();
    subscribe.after(same.expect("this is the text form of positions"))
}

/// Takes a query without items, and one with an empty item, for all events.
struct NoConditionIsEveryEvent;

#[async_trait]
impl Bug for NoConditionIsEveryEvent {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let items = subscribe.query().items();
        let nothing = !subscribe.query().is_all() && items.iter().all(|item| item.name_count() == 0);
        let subscribe = if nothing { Subscribe::to(Query::all()) } else { subscribe };
        annalist_engine::subscribe(store, subscribe).await
    }
}
