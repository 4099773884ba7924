//! What subscriptions gave, held against the log.

use annalist_core::{EventId, Position, Query, Signal, Start, StreamId, Subscribe, Version};
use serde::{Deserialize, Serialize};

use super::log::FinalLog;
use super::{QueryText, query, query_text};

/// What was subscribed to, in a form that can be saved.
///
/// ```
/// use annalist_conformance::history::FollowCall;
/// use annalist_core::{Query, Subscribe};
///
/// let all = Subscribe::to(Query::all());
/// assert_ne!(FollowCall::of(&all), FollowCall::of(&all.clone().from_now()));
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FollowCall {
    query: QueryText,
    /// `None` is "from now".
    after: Option<Position>,
}

/// A subscription, and what it gave.
///
/// ```
/// use annalist_conformance::history::{Followed, History};
///
/// assert_eq!(History::default().followed, Vec::<Followed>::new());
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Followed {
    session: u32,
    call: FollowCall,
    invoked: u64,
    returned: u64,
    heard: Vec<(u64, Heard)>,
}

/// What a subscription gave.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Heard {
    Event(StreamId, Version, EventId, Position),
    /// It is there: everything that matches up to this position was given.
    At(Position),
}

impl FollowCall {
    /// The subscription, as it was asked for.
    #[must_use]
    pub fn of(subscribe: &Subscribe) -> Self {
        let after = if let Start::After(position) = subscribe.start() { Some(position) } else { None };
        Self { query: query_text(subscribe.query()), after }
    }
}

impl Heard {
    pub(crate) fn of(signal: &Signal) -> Option<Self> {
        match signal {
            Signal::Event(event) => {
                Some(Self::Event(event.stream().clone(), event.version(), event.id(), event.position()))
            }
            Signal::CaughtUp(position) | Signal::Progress(position) => Some(Self::At(*position)),
            _ => None,
        }
    }

    pub(crate) fn position(&self) -> Position {
        match self {
            Self::Event(.., position) | Self::At(position) => *position,
        }
    }
}

impl Followed {
    pub(super) fn begun(session: u32, call: FollowCall, invoked: u64, returned: u64) -> Self {
        Self { session, call, invoked, returned, heard: Vec::new() }
    }

    pub(super) fn hears(&mut self, at: u64, heard: Heard) {
        self.heard.push((at, heard));
    }

    /// All moments, to be changed; with each whether it is that of an answer.
    pub(super) fn moments(&mut self) -> impl Iterator<Item = (u64, bool, &mut u64)> {
        let call = [(self.invoked, false, &mut self.invoked), (self.returned, true, &mut self.returned)];
        call.into_iter().chain(self.heard.iter_mut().map(|(at, _)| (*at, true, at)))
    }

    /// How many signals it gave.
    pub(crate) fn count(&self) -> u64 {
        self.heard.len() as u64
    }

    pub(super) fn heard(&self) -> &[(u64, Heard)] {
        &self.heard
    }

    pub(super) fn invoked(&self) -> u64 {
        self.invoked
    }

    pub(super) fn returned(&self) -> u64 {
        self.returned
    }

    /// Holds it against the log. "From now" lies between `acknowledged` and `sent`, both lengths of the log: what was there for certain when it was
    /// asked for, and all that can have been there when it was answered.
    pub(super) fn check(&self, log: &FinalLog, acknowledged: usize, sent: usize) -> Result<(), String> {
        let query = query(&self.call.query);
        let mut place = match self.call.after {
            Some(position) => {
                let next = log.length_at(position);
                Place { log, query, next, must: next }
            }
            None => Place { log, query, next: acknowledged, must: sent.max(acknowledged) },
        };
        for (number, (_, heard)) in self.heard.iter().enumerate() {
            place.moves(heard).map_err(|why| {
                format!(
                    "the subscription that session {} began at {}: signal {number}: {why}",
                    self.session, self.invoked
                )
            })?;
        }
        Ok(())
    }
}

/// Where a subscription is in the log.
struct Place<'a> {
    log: &'a FinalLog,
    query: Query,
    /// The first event that it may give.
    next: usize,
    /// The first event that it must give, where it matches.
    must: usize,
}

impl Place<'_> {
    fn moves(&mut self, heard: &Heard) -> Result<(), String> {
        let to = match heard {
            Heard::Event(stream, version, id, position) => {
                let Some(index) = self.log.index_of(stream, *id) else {
                    return Err(format!("event {id} of {stream:?} is not in the log (S1)"));
                };
                let event = &self.log.events[index];
                if (event.version(), event.position()) != (*version, *position) {
                    return Err(format!(
                        "event {id} of {stream:?} is version {version} at {position}, in the log it is {} at {} (G1)",
                        event.version(),
                        event.position()
                    ));
                }
                if !self.query.matches_recorded(event) {
                    return Err(format!("event {id} of {stream:?} does not match (R6)"));
                }
                if index < self.next {
                    return Err(format!("event {id} at {position} comes again, or after later ones (S1)"));
                }
                index
            }
            Heard::At(position) => {
                let length = self.log.length_at(*position);
                if length < self.next {
                    return Err(format!("it is at {position}, which it has passed before (S4)"));
                }
                length
            }
        };
        let missed = self.log.events.get(self.must..to).unwrap_or_default();
        if let Some(missed) = missed.iter().find(|event| self.query.matches_recorded(event)) {
            return Err(format!(
                "it is at {}, and has not given {} (S1)",
                heard.position(),
                missed.position()
            ));
        }
        // "Now" was before whatever comes first.
        self.next = to + usize::from(matches!(heard, Heard::Event(..)));
        self.must = self.next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use annalist_core::{Append, ExpectedVersion, LogId, backend};

    use super::super::merge::{Merged, Noted, rank};
    use super::super::{Answer, AppendCall, Call, EventText, History, LogEvent, Operation};
    use super::*;
    use crate::{stream, tagged};

    /// Six appends of one event each, red and blue in turn, and one of two; then a subscription, which gives what a test says.
    struct Story {
        history: History,
        moment: u64,
    }

    impl Story {
        fn new() -> Self {
            let (log, mut story) = (LogId::new(), Self { history: History::default(), moment: 0 });
            for number in [1, 2, 3, 4, 5, 6, 7] {
                let tags = [if number % 2 == 1 { "red" } else { "blue" }];
                let count = if number == 7 { 2 } else { 1 };
                let events: Vec<_> = (0..count).map(|_| tagged("Made", &tags)).collect();
                let first = Version::new(number);
                let positions: Vec<_> =
                    (0..count).map(|n| backend::position(log, 10 * number + n, 0)).collect();
                for (n, event) in (0..).zip(&events) {
                    let (version, position) = (Version::new(number + n), positions[n as usize]);
                    let event = EventText::of(event);
                    story.history.log.push(LogEvent { stream: stream("A-1"), version, position, event });
                }
                let append = Append::to(&stream("A-1"), ExpectedVersion::Any, events);
                let answer =
                    Answer::Committed { already: false, written: vec![(stream("A-1"), first, positions)] };
                story.then(Call::Append(AppendCall::of(&append)), answer);
            }
            story
        }

        fn tick(&mut self) -> u64 {
            self.moment += 1;
            self.moment
        }

        fn then(&mut self, call: Call, answer: Answer) {
            let (invoked, returned) = (self.tick(), Some(self.tick()));
            self.history.operations.push(Operation { session: 0, invoked, returned, call, answer });
        }

        fn event(&self, number: usize) -> Heard {
            let LogEvent { stream, version, position, event } = &self.history.log[number - 1];
            Heard::Event(stream.clone(), *version, event.id, *position)
        }

        fn at(&self, number: usize) -> Heard {
            Heard::At(self.history.log[number - 1].position)
        }

        fn follows(&mut self, subscribe: &Subscribe) {
            let (call, invoked, returned) = (FollowCall::of(subscribe), self.tick(), self.tick());
            self.history.followed.push(Followed::begun(1, call, invoked, returned));
        }

        fn hears(&mut self, heard: Heard) {
            let at = self.tick();
            self.history.followed[0].hears(at, heard);
        }

        /// What is told where all red ones are followed, and these are given.
        fn red(give: impl Fn(&Self) -> Vec<Heard>) -> String {
            let mut story = Self::new();
            story.follows(&Subscribe::to(Query::tags(["red"])));
            give(&story).into_iter().for_each(|heard| story.hears(heard));
            story.told()
        }

        fn told(&self) -> String {
            self.history.check().err().unwrap_or_default().join("\n")
        }
    }

    #[test]
    fn complete_once_and_in_order() {
        let all =
            |story: &Story| vec![story.event(1), story.event(3), story.at(4), story.event(5), story.at(6)];
        assert_eq!(Story::red(all), "");
        let gap = |story: &Story| vec![story.event(1), story.event(5)];
        assert!(Story::red(gap).contains("has not given"));
        let hidden_gap = |story: &Story| vec![story.event(1), story.at(4)];
        assert!(Story::red(hidden_gap).contains("has not given"));
        let twice = |story: &Story| vec![story.event(1), story.event(3), story.event(3)];
        assert!(Story::red(twice).contains("comes again"));
        let unordered = |story: &Story| vec![story.event(1), story.at(2), story.event(5), story.event(3)];
        assert!(Story::red(unordered).contains("(S1)"));
        let unasked = |story: &Story| vec![story.event(1), story.event(2)];
        assert!(Story::red(unasked).contains("does not match"));
        let back = |story: &Story| vec![story.event(1), story.event(3), story.at(2)];
        assert!(Story::red(back).contains("passed before"));
    }

    #[test]
    fn what_is_not_in_the_log_is_not_given() {
        let unknown = |story: &Story| {
            let Heard::Event(stream, version, _, position) = story.event(1) else {
                unreachable!("it is one")
            };
            vec![Heard::Event(stream, version, EventId::new(), position)]
        };
        assert!(Story::red(unknown).contains("is not in the log"));
        let moved = |story: &Story| {
            let Heard::Event(stream, _, id, position) = story.event(1) else { unreachable!("it is one") };
            vec![Heard::Event(stream, Version::new(4), id, position)]
        };
        assert!(Story::red(moved).contains("(G1)"));
    }

    #[test]
    fn after_a_position_is_exclusive() {
        let told = |first: usize| {
            let mut story = Story::new();
            let after = story.history.log[2].position;
            story.follows(&Subscribe::to(Query::all()).after(after));
            story.hears(story.event(first));
            story.told()
        };
        assert!(told(3).contains("comes again"));
        assert_eq!(told(4), "");
        assert!(told(5).contains("has not given"));
    }

    /// One append returns before the subscription is asked for, another is under way meanwhile, and one comes after it.
    #[test]
    fn now_is_between_call_and_return() {
        let told = |first: usize| {
            let mut story = Story::new();
            story.follows(&Subscribe::to(Query::all()).from_now());
            let (call, answer) = (story.history.followed[0].invoked, story.history.followed[0].returned);
            // The fifth is under way when the subscription is asked for, the sixth comes after it.
            story.history.operations[4].returned = Some(answer + 100);
            for operation in &mut story.history.operations[5..] {
                operation.invoked += call + 100;
                operation.returned = operation.returned.map(|returned| returned + call + 100);
            }
            story.moment += 200;
            story.hears(story.event(first));
            rank(&mut story.history.operations, &mut story.history.followed);
            story.told()
        };
        assert!(told(4).contains("comes again"));
        assert_eq!((told(5), told(6)), (String::new(), String::new()));
        assert!(told(7).contains("has not given"));
    }

    #[test]
    fn what_was_given_counts_as_read() {
        let mut story = Story::new();
        story.follows(&Subscribe::to(Query::all()));
        (1..=8).for_each(|number| story.hears(story.event(number)));
        // The last append was not acknowledged, but given; so a read afterwards must have it.
        story.history.operations[6].answer = Answer::Unknown;
        assert_eq!(story.told(), "");
        let read = super::super::ReadCall::of(&annalist_core::Read::log(Query::all()).limit(0));
        let head = story.history.log[5].position;
        story.then(Call::Read(read), Answer::Events { events: Vec::new(), head, version: Version::NONE });
        assert!(story.told().contains("R3"));
    }

    #[test]
    fn nothing_is_given_before_it_is_sent() {
        let mut story = Story::new();
        story.follows(&Subscribe::to(Query::all()));
        story.hears(story.event(1));
        let late = &mut story.history.operations[0];
        (late.invoked, late.returned) = (100, Some(101));
        assert!(story.told().contains("had not been sent yet"));
    }

    #[test]
    fn notes_become_subscriptions() {
        let story = Story::new();
        let call = FollowCall::of(&Subscribe::to(Query::all()));
        let begun = |session, invoked| {
            let call = Call::Follow(call.clone());
            Noted::Begun(Box::new(Operation {
                session,
                invoked,
                returned: None,
                call,
                answer: Answer::Unknown,
            }))
        };
        let mut merged = Merged::default();
        merged.note_all([
            begun(1, 1),
            Noted::Ended { session: 1, returned: 2, answer: Answer::Done },
            Noted::Heard { session: 1, at: 3, heard: story.event(1) },
            begun(1, 4),
            Noted::Ended { session: 1, returned: 5, answer: Answer::Done },
            Noted::Heard { session: 1, at: 6, heard: story.at(1) },
            // It was never answered.
            begun(2, 7),
        ]);
        let followed = merged.history().followed;
        let heard: Vec<_> = followed.iter().map(|followed| followed.heard.clone()).collect();
        assert_eq!(heard, [vec![(3, story.event(1))], vec![(6, story.at(1))]]);
    }
}
