//! Subscriptions that make the wrong thing of a lost connection.

use annalist_core::{Signal, Subscribe, Subscription};

use super::*;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "remote_reconnects_without_catch_up",
        guarantee: "S7",
        twin: "commanded/eventstore#309: a reconnect that listens for what is new",
        expected: &["sub.outage_bridged"],
        make: || with(|store| flawed(store, Bridges(After::Now))),
    },
    Mutant {
        name: "remote_resumes_with_the_last_event",
        guarantee: "S7",
        twin: "a resumption that begins with the place that was reached",
        expected: &["sub.cut_while_catching_up", "sub.outage_bridged"],
        make: || with(|store| flawed(store, Bridges(After::LastButOne))),
    },
    Mutant {
        name: "remote_outage_ends_silently",
        guarantee: "S7",
        twin: "kurrent-io/KurrentDB#1602: a drop that nobody is told of",
        expected: &["sub.outage_too_long"],
        make: || with(|store| flawed(store, Bridges(After::Silence))),
    },
    Mutant {
        name: "remote_outage_bridged_for_ever",
        guarantee: "S7",
        twin: "a loop that reconnects without end",
        expected: &["sub.outage_too_long"],
        make: || with(|store| flawed(store, Bridges(After::Last))),
    },
];

/// Where a subscription goes on after its connection was lost.
#[derive(Clone, Copy)]
enum After {
    Now,
    Last,
    LastButOne,
    Silence,
}

struct Bridges(After);

#[async_trait]
impl Flaw for Bridges {
    async fn subscribe(
        &self,
        honest: &RemoteStore,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let begun = subscribe.clone().outage_max(Duration::ZERO);
        let running = Some(honest.subscribe(begun.clone()).await?);
        let places = [Position::START; 2];
        let (honest, after, is_over) = (honest.clone(), self.0, false);
        Ok(Box::new(Bridged { honest, after, begun, running, is_over, places }))
    }
}

struct Bridged {
    honest: RemoteStore,
    after: After,
    begun: Subscribe,
    /// `None` while there is no connection.
    running: Option<Box<dyn Subscription>>,
    is_over: bool,
    /// Of the last event but one, and of the last one.
    places: [Position; 2],
}

impl Bridged {
    /// The subscription that goes on, once there is a connection.
    async fn again(&mut self) -> Box<dyn Subscription> {
        let again = match self.after {
            After::Now => self.begun.clone().from_now(),
            After::LastButOne => self.begun.clone().after(self.places[0]),
            After::Last | After::Silence => self.begun.clone().after(self.places[1]),
        };
        loop {
            if let Ok(running) = self.honest.subscribe(again.clone()).await {
                return running;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[async_trait]
impl Subscription for Bridged {
    async fn next(&mut self) -> Option<Result<Signal, Error>> {
        while !self.is_over {
            let Some(running) = &mut self.running else {
                self.running = Some(self.again().await);
                continue;
            };
            match running.next().await {
                Some(Err(_)) if matches!(self.after, After::Silence) => self.is_over = true,
                Some(Err(error)) if matches!(error.kind(), ErrorKind::Unavailable(_)) => self.running = None,
                answer => {
                    if let Some(Ok(Signal::Event(event))) = &answer {
                        self.places = [self.places[1], event.position()];
                    }
                    return answer;
                }
            }
        }
        None
    }

    async fn stop(&mut self) {
        (self.running, self.is_over) = (None, true);
    }
}
