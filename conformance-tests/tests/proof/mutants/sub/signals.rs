//! Subscriptions that tell the wrong positions, too early, too late or not at all.

use std::sync::Arc;

use annalist_conformance::PollLimit;
use annalist_core::{Error, EventStore, Position, Query, Read, Signal, Subscribe, Subscription};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use futures::FutureExt;

use crate::bug::Bug;
use crate::edit::edit_signals;
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "caught_up_first",
        guarantee: "S4",
        twin: "a feed that says `live` when its connection is live",
        expected: &["sub.caught_up_after_all", "sub.caught_up_tells_head", "sub.catchup_all"],
        make: || each_handle(|| Edits(caught_up_first)),
    },
    Mutant {
        name: "caught_up_after_one_page",
        guarantee: "S4",
        twin: "a page that is full is taken for all there is",
        expected: &["sub.caught_up_after_all", "sub.caught_up_tells_head", "sub.handover_edges"],
        make: || each_handle(|| Edits(caught_up_after_one_page)),
    },
    Mutant {
        name: "caught_up_not_at_page_edges",
        guarantee: "S4",
        twin: "a last page that is full is taken for a sign that there is more",
        expected: &["sub.handover_edges"],
        make: || each_handle(|| Edits(caught_up_not_at_page_edges)),
    },
    Mutant {
        name: "caught_up_once",
        guarantee: "S4",
        twin: "a flag of the subscription, set once",
        expected: &["sub.caught_up_again"],
        make: || each_handle(|| Edits(caught_up_once)),
    },
    Mutant {
        name: "caught_up_at_the_last_match",
        guarantee: "S4",
        twin: "only events move the position of the subscription",
        expected: &["sub.caught_up_tells_head"],
        make: || each_handle(|| Edits(caught_up_at_the_last_match)),
    },
    Mutant {
        name: "caught_up_with_the_head_of_now",
        guarantee: "S4",
        twin: "the head is asked for when the signal is made",
        expected: &["sub.caught_up_behind_writers"],
        make: || each_handle(|| Edits(caught_up_with_the_head_of_now)),
    },
    Mutant {
        name: "progress_with_the_head_of_now",
        guarantee: "S4",
        twin: "the head is asked for after the page",
        expected: &["sub.filter_equivalence"],
        make: || each_handle(|| ProgressWithTheHeadOfNow),
    },
    Mutant {
        name: "progress_before_its_match",
        guarantee: "S4",
        twin: "the position of the page is told before its events",
        expected: &["sub.progress_after_matches", "sub.resume_at_every_signal"],
        make: || each_handle(|| Edits(progress_before_its_match)),
    },
    Mutant {
        name: "progress_never",
        guarantee: "S4",
        twin: "a selector that drops events before anyone acknowledges them (commanded)",
        expected: &["sub.progress_over_filtered", "sub.checkpoint_over_filtered", "sub.filter_stream"],
        make: || each_handle(|| Edits(progress_never)),
    },
    Mutant {
        name: "idle_chatter",
        guarantee: "S2",
        twin: "heartbeats that are handed to the consumer",
        expected: &["sub.idle_waits"],
        make: || each_handle(|| IdleChatter),
    },
];

type Answer = Result<Signal, Error>;
type Edit = Box<dyn FnMut(Answer) -> Vec<Answer> + Send>;

/// Signals that are edited; the function is given the store and what is subscribed to.
struct Edits(fn(MemoryStore, Subscribe, Position) -> Edit);

/// The head of the log now.
fn head(honest: &MemoryStore) -> Position {
    let read = honest.read(Read::log(Query::all()).limit(0)).now_or_never();
    read.expect("memory does not wait").map_or(Position::START, |page| page.head)
}

#[async_trait]
impl Bug for Edits {
    async fn subscribe(
        &self,
        honest: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let edit = (self.0)(honest.clone(), subscribe.clone(), head(honest));
        Ok(edit_signals(annalist_engine::subscribe(store, subscribe).await?, edit))
    }
}

fn caught_up_first(_: MemoryStore, _: Subscribe, head: Position) -> Edit {
    let mut first = Some(Ok(Signal::CaughtUp(head)));
    Box::new(move |answer| first.take().into_iter().chain([answer]).collect())
}

fn caught_up_after_one_page(_: MemoryStore, subscribe: Subscribe, _: Position) -> Edit {
    let mut left = Some(subscribe.page_events_max());
    Box::new(move |answer| {
        let mut answers = vec![answer];
        if let (Ok(Signal::Event(event)), Some(events)) = (&answers[0], left) {
            left = (events > 1).then_some(events - 1);
            if left.is_none() {
                answers.push(Ok(Signal::CaughtUp(event.position())));
            }
        }
        answers
    })
}

fn caught_up_not_at_page_edges(_: MemoryStore, subscribe: Subscribe, _: Position) -> Edit {
    let mut events = 0;
    Box::new(move |answer| {
        events += usize::from(matches!(answer, Ok(Signal::Event(_))));
        let at_edge = events > 0 && events % subscribe.page_events_max() == 0;
        if at_edge && matches!(answer, Ok(Signal::CaughtUp(_))) { Vec::new() } else { vec![answer] }
    })
}

fn caught_up_once(_: MemoryStore, _: Subscribe, _: Position) -> Edit {
    let mut told = false;
    Box::new(move |answer| match answer {
        Ok(Signal::CaughtUp(position)) if std::mem::replace(&mut told, true) => {
            vec![Ok(Signal::Progress(position))]
        }
        answer => vec![answer],
    })
}

fn caught_up_at_the_last_match(_: MemoryStore, _: Subscribe, _: Position) -> Edit {
    let mut matched = Position::START;
    Box::new(move |answer| match answer {
        Ok(Signal::Event(event)) => {
            matched = event.position();
            vec![Ok(Signal::Event(event))]
        }
        Ok(Signal::CaughtUp(_)) => vec![Ok(Signal::CaughtUp(matched))],
        answer => vec![answer],
    })
}

fn caught_up_with_the_head_of_now(honest: MemoryStore, _: Subscribe, _: Position) -> Edit {
    Box::new(move |answer| match answer {
        Ok(Signal::CaughtUp(_)) => vec![Ok(Signal::CaughtUp(head(&honest)))],
        answer => vec![answer],
    })
}

fn progress_before_its_match(_: MemoryStore, _: Subscribe, _: Position) -> Edit {
    Box::new(|answer| match answer {
        Ok(Signal::Event(event)) => {
            vec![Ok(Signal::Progress(event.position())), Ok(Signal::Event(event))]
        }
        answer => vec![answer],
    })
}

fn progress_never(_: MemoryStore, _: Subscribe, _: Position) -> Edit {
    Box::new(|answer| if matches!(answer, Ok(Signal::Progress(_))) { Vec::new() } else { vec![answer] })
}

/// Tells progress to where it is whenever it would wait.
struct IdleChatter;

struct Chatty {
    subscription: Box<dyn Subscription>,
    reached: Position,
}

#[async_trait]
impl Bug for IdleChatter {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let subscription = annalist_engine::subscribe(store, subscribe).await?;
        Ok(Box::new(Chatty { subscription, reached: Position::START }))
    }
}

#[async_trait]
impl Subscription for Chatty {
    async fn next(&mut self) -> Option<Answer> {
        let Some(answer) = PollLimit::new(1, self.subscription.next()).await else {
            return Some(Ok(Signal::Progress(self.reached)));
        };
        if let Some(Ok(Signal::CaughtUp(position) | Signal::Progress(position))) = &answer {
            self.reached = *position;
        }
        answer
    }

    async fn stop(&mut self) {
        self.subscription.stop().await;
    }
}

/// Asks for the head when it tells progress, some time after it read the page.
struct ProgressWithTheHeadOfNow;

struct LateHead {
    subscription: Box<dyn Subscription>,
    honest: MemoryStore,
}

#[async_trait]
impl Bug for ProgressWithTheHeadOfNow {
    async fn subscribe(
        &self,
        honest: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let subscription = annalist_engine::subscribe(store, subscribe).await?;
        Ok(Box::new(LateHead { subscription, honest: honest.clone() }))
    }
}

#[async_trait]
impl Subscription for LateHead {
    async fn next(&mut self) -> Option<Answer> {
        match self.subscription.next().await? {
            Ok(Signal::Progress(_)) => {
                tokio::task::yield_now().await;
                Some(Ok(Signal::Progress(head(&self.honest))))
            }
            answer => Some(answer),
        }
    }

    async fn stop(&mut self) {
        self.subscription.stop().await;
    }
}
