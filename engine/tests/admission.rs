//! Admission against a second statement of the contract that shares no code and no shape with it: the log is a list of
//! appends, and "the same append" is equality of maps.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::collections::BTreeMap;

use annalist_core::{
    Append, Conflict, Error, ErrorKind, EventId, ExpectedVersion, LogId, NewEvent, Position, Query, Receipt,
    StreamId, Version, backend,
};
use annalist_engine::admission::{Facts, Gathered, Stored, Verdict, admit, needs};
use proptest::prelude::*;
use uuid::Uuid;

/// One committed event: where it is, and what it is.
#[derive(Clone, Debug)]
struct Row {
    append: usize,
    stream: StreamId,
    version: Version,
    position: Position,
    event: NewEvent,
}

#[derive(Debug)]
struct Model {
    log: LogId,
    rows: Vec<Row>,
    appends: usize,
}

type Content = (EventId, String, Vec<u8>, Vec<String>);
type Shape = BTreeMap<StreamId, Vec<Content>>;

fn content(event: &NewEvent) -> Content {
    let tags = event.tags().iter().map(ToString::to_string).collect();
    (event.id(), event.event_type().to_string(), event.data().to_vec(), tags)
}

/// What an append would store: for each stream its events in order, without what a retry may change.
fn shape<'a>(events: impl Iterator<Item = (&'a StreamId, &'a NewEvent)>) -> Shape {
    let mut shape = Shape::new();
    for (stream, event) in events {
        shape.entry(stream.clone()).or_default().push(content(event));
    }
    shape
}

/// What the contract says of an append, in the words of the contract.
#[derive(Debug, PartialEq)]
enum Said {
    Accepted,
    Again(BTreeMap<StreamId, (Version, Vec<Position>)>),
    Reused(EventId, Version),
    Refused(ErrorKind),
}

impl Model {
    fn head(&self) -> Position {
        self.rows.last().map_or(Position::START, |row| row.position)
    }

    fn version(&self, stream: &StreamId) -> Version {
        Version::new(self.rows.iter().filter(|row| row.stream == *stream).count() as u64)
    }

    fn row(&self, stream: &StreamId, id: EventId) -> Option<&Row> {
        self.rows.iter().find(|row| row.stream == *stream && row.event.id() == id)
    }

    fn of_append(&self, append: usize) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.append == append)
    }

    fn says(&self, append: &Append) -> Said {
        let asked = shape(append.events());
        let known: Vec<_> = append
            .events()
            .filter_map(|(stream, event)| Some((event, self.row(stream, event.id())?)))
            .collect();
        if !known.is_empty() {
            for number in 0..self.appends {
                if shape(self.of_append(number).map(|row| (&row.stream, &row.event))) == asked {
                    let mut places = BTreeMap::new();
                    for row in self.of_append(number) {
                        let place = places.entry(row.stream.clone()).or_insert((row.version, Vec::new()));
                        place.1.push(row.position);
                    }
                    return Said::Again(places);
                }
            }
            let differs = |(event, row): &&(&NewEvent, &Row)| content(event) != content(&row.event);
            let (event, row) = known.iter().find(differs).unwrap_or(&known[0]);
            return Said::Reused(event.id(), row.version);
        }
        self.first_failed(append).map_or(Said::Accepted, Said::Refused)
    }

    fn first_failed(&self, append: &Append) -> Option<ErrorKind> {
        let writes = append.writes().iter().map(|write| (&write.stream, write.expected));
        for (stream, expected) in writes.chain(append.checks().iter().map(|c| (&c.stream, c.expected))) {
            let actual = self.version(stream);
            let holds = match expected {
                ExpectedVersion::Any => true,
                ExpectedVersion::NoStream => actual.get() == 0,
                ExpectedVersion::Exists => actual.get() != 0,
                ExpectedVersion::Exact(version) => version.get() == actual.get(),
            };
            if !holds {
                let stream = stream.clone();
                return Some(ErrorKind::Conflict(Conflict::Version { stream, expected, actual }));
            }
        }
        for (index, condition) in append.conditions().iter().enumerate() {
            if condition.after > self.head() {
                return Some(ErrorKind::WrongHistory(String::new()));
            }
            let later = self.rows.iter().filter(|row| row.position > condition.after);
            let mut matching = later.filter(|row| condition.query.matches(&row.stream, &row.event));
            if let Some(row) = matching.next() {
                return Some(ErrorKind::Conflict(Conflict::Condition { index, matched: row.position }));
            }
        }
        None
    }

    fn commit(&mut self, append: &Append) {
        for (stream, event) in append.events() {
            let version = self.version(stream).next();
            // Places leave gaps, as most logs do.
            let position = backend::position(self.log, self.rows.len() as u64 * 3 + 1, 0);
            let (stream, event) = (stream.clone(), event.clone());
            self.rows.push(Row { append: self.appends, stream, version, position, event });
        }
        self.appends += 1;
    }
}

impl Facts for Model {
    fn version(&self, stream: &StreamId) -> Result<Version, Error> {
        Ok(self.version(stream))
    }

    fn stored(&self, stream: &StreamId, event: &NewEvent) -> Result<Option<Stored>, Error> {
        Ok(self.row(stream, event.id()).map(|row| {
            let mut mates = self.of_append(row.append);
            let append_first = mates.next().unwrap().position;
            Stored {
                version: row.version,
                position: row.position,
                append_first,
                append_events: mates.count() + 1,
                same_content: content(event) == content(&row.event),
            }
        }))
    }

    fn first_match(&self, query: &Query, after: Position) -> Result<Option<Position>, Error> {
        backend::check_position(after, self.log, self.head())?;
        let mut later = self.rows.iter().filter(|row| row.position > after);
        Ok(later.find(|row| query.matches(&row.stream, &row.event)).map(|row| row.position))
    }
}

fn said(verdict: Verdict) -> Said {
    match verdict {
        Verdict::Accepted => Said::Accepted,
        Verdict::AlreadyCommitted(receipt) => Said::Again(places(&receipt)),
        Verdict::Refused(error) => match error.kind() {
            ErrorKind::IdReused(reused) => Said::Reused(reused.id, reused.version),
            ErrorKind::WrongHistory(_) => Said::Refused(ErrorKind::WrongHistory(String::new())),
            kind => Said::Refused(kind.clone()),
        },
    }
}

fn places(receipt: &Receipt) -> BTreeMap<StreamId, (Version, Vec<Position>)> {
    assert!(receipt.already_committed());
    let written = receipt.written().iter();
    written.map(|w| (w.stream().clone(), (w.first_version(), w.positions().to_vec()))).collect()
}

/// A stream, an expectation, and events by id, some of them with the other content.
type WriteRecipe = (u8, u8, Vec<(u8, bool)>);

/// A small world, so that random appends meet one another's ids, streams and contents.
#[derive(Clone, Debug)]
struct Recipe {
    writes: Vec<WriteRecipe>,
    checks: Vec<(u8, u8)>,
    conditions: Vec<(u8, u8)>,
    again: Option<u8>,
}

fn recipes() -> impl Strategy<Value = Vec<Recipe>> {
    let events = prop::collection::vec((0..6u8, prop::bool::weighted(0.15)), 0..4);
    let recipe = (
        prop::collection::vec((0..3u8, 0..7u8, events), 0..3),
        prop::collection::vec((0..3u8, 0..7u8), 0..2),
        prop::collection::vec((0..3u8, 0..4u8), 0..2),
        prop::option::weighted(0.3, any::<u8>()),
    );
    let recipe =
        recipe.prop_map(|(writes, checks, conditions, again)| Recipe { writes, checks, conditions, again });
    prop::collection::vec(recipe, 1..25)
}

fn stream(n: u8) -> StreamId {
    StreamId::new(["Order-1", "Order-2", "Cart-1"][usize::from(n)]).unwrap()
}

fn expected(n: u8) -> ExpectedVersion {
    match n {
        0..=2 => ExpectedVersion::Any,
        3 => ExpectedVersion::NoStream,
        4 => ExpectedVersion::Exists,
        n => ExpectedVersion::Exact(Version::new(u64::from(n) - 4)),
    }
}

fn event(id: u8, other: bool) -> NewEvent {
    let (event_type, tag) = if other { ("Other", "t:1") } else { ("Usual", "t:0") };
    let event = NewEvent::new(event_type, vec![id]).unwrap().with_tags([tag]).unwrap();
    event.with_id(EventId::from_uuid(Uuid::from_u128(u128::from(id) + 1)))
}

fn query(n: u8) -> Query {
    match n {
        0 => Query::category("Order"),
        1 => Query::tags(["t:1"]),
        _ => Query::all(),
    }
}

/// An append of the recipe, or one that was sent before with its streams in another order.
fn append(recipe: &Recipe, model: &Model, sent: &[Append]) -> Append {
    if let (Some(again), false) = (recipe.again, sent.is_empty()) {
        let earlier = &sent[usize::from(again) % sent.len()];
        let writes = earlier.writes().iter().rev();
        return writes.fold(Append::new(), |a, w| a.write(&w.stream, w.expected, w.events.clone()));
    }
    let mut append = Append::new();
    let mut named = Vec::new();
    for (n, expectation, events) in &recipe.writes {
        if named.contains(n) {
            continue;
        }
        named.push(*n);
        let mut ids: Vec<(u8, bool)> = Vec::new();
        for &(id, other) in events {
            if ids.iter().all(|(known, _)| *known != id) {
                ids.push((id, other));
            }
        }
        append = append.write(&stream(*n), expected(*expectation), ids.iter().map(|&(id, o)| event(id, o)));
    }
    for (n, expectation) in &recipe.checks {
        if !named.contains(n) {
            named.push(*n);
            append = append.check(&stream(*n), expected(*expectation));
        }
    }
    for (n, place) in &recipe.conditions {
        let after = match (place, model.rows.len()) {
            (0, _) | (_, 0) => Position::START,
            (1, _) => model.head(),
            (2, rows) => model.rows[rows / 2].position,
            _ => backend::position(model.log, 1_000_000, 0),
        };
        append = append.condition(query(*n), after);
    }
    append
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_words_of_the_contract(recipes in recipes()) {
        let mut model = Model { log: LogId::new(), rows: Vec::new(), appends: 0 };
        let mut sent = Vec::new();
        for recipe in &recipes {
            let append = append(recipe, &model, &sent);
            let verdict = admit(&append, &model).unwrap();
            let accepted = matches!(verdict, Verdict::Accepted);
            prop_assert_eq!(said(verdict), model.says(&append), "{:?} in {:?}", append, model);
            if accepted {
                model.commit(&append);
                sent.push(append);
            }
        }
    }

    #[test]
    fn needs_names_every_fact_that_is_asked_for(recipes in recipes()) {
        let mut model = Model { log: LogId::new(), rows: Vec::new(), appends: 0 };
        let mut sent = Vec::new();
        for recipe in &recipes {
            let append = append(recipe, &model, &sent);
            let ahead = append.conditions().iter().any(|condition| condition.after > model.head());
            if ahead {
                // A wrong position is no fact: it is found when the facts are fetched.
                continue;
            }
            let asked = needs(&append);
            let mut facts = Gathered::new();
            for stream in asked.streams {
                facts.add_version(stream, model.version(stream));
            }
            for (stream, event) in asked.events {
                facts.add_event(stream, event.id(), model.stored(stream, event).unwrap());
            }
            for condition in asked.conditions {
                facts.add_match(condition, model.first_match(&condition.query, condition.after).unwrap());
            }
            let verdict = admit(&append, &facts).unwrap();
            let accepted = matches!(verdict, Verdict::Accepted);
            prop_assert_eq!(said(verdict), model.says(&append));
            if accepted {
                model.commit(&append);
                sent.push(append);
            }
        }
    }
}

/// The random world must reach every verdict, or agreement shows nothing.
#[test]
fn the_small_world_reaches_every_verdict() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut seen = [0usize; 5];
    let mut runner = TestRunner::deterministic();
    for _ in 0..300 {
        let recipes = recipes().new_tree(&mut runner).unwrap().current();
        let mut model = Model { log: LogId::new(), rows: Vec::new(), appends: 0 };
        let mut sent = Vec::new();
        for recipe in &recipes {
            let append = append(recipe, &model, &sent);
            let verdict = said(admit(&append, &model).unwrap());
            seen[match &verdict {
                Said::Accepted => 0,
                Said::Again(_) => 1,
                Said::Reused(..) => 2,
                Said::Refused(ErrorKind::WrongHistory(_)) => 3,
                Said::Refused(_) => 4,
            }] += 1;
            if verdict == Said::Accepted {
                model.commit(&append);
                sent.push(append);
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 50), "too few of some verdict: {seen:?}");
}
