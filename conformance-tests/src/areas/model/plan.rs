//! Random series of steps. A step is made concrete only when its turn comes, by what the model holds then: so steps can be
//! left out and the rest still means something.

use annalist_core::{Append, ExpectedVersion, NewEvent, Position, Query, Read, StreamId, Version};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::{Model, exact, query_medley, stream, tagged};

/// Steps, each with the handle that does it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<(usize, Step)>,
}

/// One operation, as far as it can be said beforehand.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Append {
        writes: Vec<(usize, Expect, usize)>,
        checks: Vec<(usize, Expect)>,
        conditions: Vec<(usize, Place)>,
    },
    /// Something is sent again that was sent so many appends ago.
    Again {
        ago: usize,
        twist: Twist,
    },
    ReadStream {
        stream: usize,
        from: u64,
        to: u64,
        backward: bool,
        limit: Option<u64>,
    },
    ReadLog {
        query: usize,
        after: Place,
        until: Option<Place>,
        backward: bool,
        limit: Option<u64>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Expect {
    Any,
    NoStream,
    Exists,
    /// The version as it is, and this much more or less.
    Near(i64),
}

/// A place in the log, as so many thousandths of its events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(usize);

#[derive(Clone, Copy, Debug)]
pub(super) enum Twist {
    None,
    StreamsReversed,
    EventsReversed,
    LastEventLess,
    OneEventMore,
    OtherContent,
    OtherExpectation,
}

const STREAMS: [&str; 5] = ["Order-1", "Order-10", "Cart-1", "Cart-2", "Order"];
const TYPES: [&str; 3] = ["Placed", "Paid", "Shipped"];
const TAGS: [&[&str]; 5] = [&[], &["even"], &["third"], &["even", "third"], &["third", "even"]];

impl Plan {
    pub(super) fn random(rng: &mut StdRng, steps: usize) -> Self {
        Self { steps: (0..steps).map(|_| (rng.random_range(0..2), step(rng))).collect() }
    }

    pub(super) fn without(&self, from: usize, count: usize) -> Self {
        let mut steps = self.steps.clone();
        steps.drain(from..(from + count).min(steps.len()));
        Self { steps }
    }
}

fn step(rng: &mut StdRng) -> Step {
    match rng.random_range(0..10) {
        0..5 => append_step(rng),
        5 | 6 => Step::Again { ago: rng.random_range(0..8), twist: twist(rng) },
        7 => Step::ReadStream {
            stream: rng.random_range(0..STREAMS.len()),
            from: rng.random_range(0..6),
            to: if rng.random_bool(0.5) { u64::MAX } else { rng.random_range(0..12) },
            backward: rng.random(),
            limit: limit(rng),
        },
        _ => Step::ReadLog {
            query: rng.random_range(0..query_medley().len()),
            after: place(rng),
            until: rng.random_bool(0.3).then(|| place(rng)),
            backward: rng.random(),
            limit: limit(rng),
        },
    }
}

fn append_step(rng: &mut StdRng) -> Step {
    let streams = rand::seq::index::sample(rng, STREAMS.len(), 4).into_vec();
    let writes = rng.random_range(0..=2);
    let checks = usize::from(rng.random_bool(0.25));
    let conditions = if rng.random_bool(0.3) { rng.random_range(1..=2) } else { 0 };
    Step::Append {
        writes: streams[..writes].iter().map(|at| (*at, expect(rng), rng.random_range(0..4))).collect(),
        checks: streams[writes..writes + checks].iter().map(|at| (*at, expect(rng))).collect(),
        conditions: (0..conditions)
            .map(|_| (rng.random_range(0..query_medley().len()), place(rng)))
            .collect(),
    }
}

fn expect(rng: &mut StdRng) -> Expect {
    match rng.random_range(0..10) {
        0 => Expect::NoStream,
        1 => Expect::Exists,
        2..6 => Expect::Near(0),
        6 => Expect::Near(*[-2, -1, 1].choose(rng).expect("it has elements")),
        _ => Expect::Any,
    }
}

fn twist(rng: &mut StdRng) -> Twist {
    use Twist::{
        EventsReversed, LastEventLess, None, OneEventMore, OtherContent, OtherExpectation, StreamsReversed,
    };
    let twists = [
        None,
        None,
        None,
        StreamsReversed,
        EventsReversed,
        LastEventLess,
        OneEventMore,
        OtherContent,
        OtherExpectation,
    ];
    *twists.choose(rng).expect("it has elements")
}

fn place(rng: &mut StdRng) -> Place {
    Place(*[0, 1_000, 1_000, rng.random_range(0..=1_000)].choose(rng).expect("it has elements"))
}

fn limit(rng: &mut StdRng) -> Option<u64> {
    rng.random_bool(0.4).then(|| rng.random_range(0..12))
}

/// The append that a step asks for, where it asks for one.
pub(super) fn append(step: &Step, model: &Model, sent: &[Append]) -> Option<Append> {
    match step {
        Step::Append { writes, checks, conditions } => {
            let mut append = Append::new();
            for (at, expect, events) in writes {
                let stream = stream(STREAMS[*at]);
                append =
                    append.write(&stream, expected(*expect, model, &stream), new_events(*events, sent.len()));
            }
            for (at, expect) in checks {
                let stream = stream(STREAMS[*at]);
                append = append.check(&stream, expected(*expect, model, &stream));
            }
            for (query, place) in conditions {
                append = append.condition(query_at(*query), position(*place, model));
            }
            Some(append)
        }
        Step::Again { ago, twist } => {
            let at = sent.len().checked_sub(1 + ago)?;
            Some(twisted(&sent[at], *twist))
        }
        _ => None,
    }
}

/// The read that a step asks for, where it asks for one.
pub(super) fn read(step: &Step, model: &Model) -> Option<Read> {
    let (read, backward, limit) = match step {
        Step::ReadStream { stream: at, from, to, backward, limit } => {
            let read = Read::stream(&stream(STREAMS[*at])).from(Version::new(*from)).to(Version::new(*to));
            (read, backward, limit)
        }
        Step::ReadLog { query, after, until, backward, limit } => {
            let read = Read::log(query_at(*query)).after(position(*after, model));
            let until = until.map(|until| position(until, model));
            (until.into_iter().fold(read, Read::until), backward, limit)
        }
        _ => return None,
    };
    let read = limit.iter().copied().fold(read, Read::limit);
    Some(if *backward { read.backward() } else { read })
}

fn query_at(index: usize) -> Query {
    query_medley().swap_remove(index).1
}

fn position(Place(thousandths): Place, model: &Model) -> Position {
    let events = model.events().count() * thousandths / 1_000;
    events
        .checked_sub(1)
        .and_then(|index| model.events().nth(index))
        .map_or(Position::START, |event| event.position())
}

fn expected(expect: Expect, model: &Model, stream: &StreamId) -> ExpectedVersion {
    match expect {
        Expect::Any => ExpectedVersion::Any,
        Expect::NoStream => ExpectedVersion::NoStream,
        Expect::Exists => ExpectedVersion::Exists,
        Expect::Near(more) => exact(model.version(stream).get().saturating_add_signed(more)),
    }
}

fn new_events(count: usize, salt: usize) -> Vec<NewEvent> {
    (0..count).map(|i| tagged(TYPES[(salt + i) % TYPES.len()], TAGS[(salt / 2 + i) % TAGS.len()])).collect()
}

fn twisted(sent: &Append, twist: Twist) -> Append {
    let mut writes: Vec<_> = sent.writes().to_vec();
    match (twist, writes.last_mut()) {
        (Twist::StreamsReversed, _) => writes.reverse(),
        (Twist::EventsReversed, Some(last)) => last.events.reverse(),
        (Twist::LastEventLess, Some(last)) => drop(last.events.pop()),
        (Twist::OneEventMore, Some(last)) => last.events.extend(new_events(1, 7)),
        (Twist::OtherContent, Some(last)) => last.events.iter_mut().for_each(|event| {
            *event = tagged("Falsified", &[]).with_id(event.id());
        }),
        (Twist::OtherExpectation, Some(last)) => last.expected = ExpectedVersion::Exists,
        _ => {}
    }
    let mut append = Append::new();
    for write in writes {
        append = append.write(&write.stream, write.expected, write.events);
    }
    for check in sent.checks() {
        append = append.check(&check.stream, check.expected);
    }
    for condition in sent.conditions() {
        append = append.condition(condition.query.clone(), condition.after);
    }
    append
}
