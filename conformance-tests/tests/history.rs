//! The checkers of histories, put to the test: they accept what a linearizable log can have answered, they reject what it
//! cannot, and the pass and the search agree.

use annalist_conformance::history::{
    Answer, AppendCall, Call, EventText, History, LogEvent, Operation, ReadCall,
};
use annalist_conformance::{Model, exact, stream, tagged};
use annalist_core::{
    Append, ExpectedVersion, LogId, NewEvent, Position, Query, Read, Receipt, Version, backend,
};
use annalist_engine::admission::Verdict;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};

const STREAMS: [&str; 4] = ["A-1", "A-2", "B-1", "B-2"];
const TAGS: [&str; 3] = ["red", "green", "blue"];

/// Sessions that work at once on a log that is linearizable by construction: each operation takes its effect at one moment
/// between its call and its return, or, if it was dropped, at any later one or never.
struct Simulation {
    rng: StdRng,
    log: LogId,
    model: Model,
    moment: u64,
    history: History,
    sent: Vec<Append>,
    /// Dropped appends that may yet land.
    loose: Vec<Append>,
}

/// What a session is in the middle of.
struct Running {
    operation: Operation,
    append: Option<Append>,
    read: Option<Read>,
    effective: bool,
}

impl Simulation {
    fn run(seed: u64, sessions: usize, steps: usize) -> History {
        let mut this = Self {
            rng: StdRng::seed_from_u64(seed),
            log: LogId::new(),
            model: Model::default(),
            moment: 0,
            history: History::default(),
            sent: Vec::new(),
            loose: Vec::new(),
        };
        let mut running: Vec<Option<Running>> = (0..sessions).map(|_| None).collect();
        for _ in 0..steps {
            let session = this.rng.random_range(0..sessions);
            let next = match running[session].take() {
                None => Some(this.begin(session)),
                Some(run) if !run.effective => this.take_effect(run),
                Some(run) => {
                    this.end(run);
                    None
                }
            };
            running[session] = next;
            this.land_loose();
        }
        for run in running.into_iter().flatten() {
            if run.effective { this.end(run) } else { this.history.operations.push(run.operation) }
        }
        this.history.log = this.model.events().map(logged).collect();
        this.history
    }

    fn tick(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    fn begin(&mut self, session: usize) -> Running {
        let (append, read) =
            if self.rng.random_bool(0.7) { (Some(self.append()), None) } else { (None, Some(self.read())) };
        let call = match (&append, &read) {
            (Some(append), _) => Call::Append(AppendCall::of(append)),
            (_, Some(read)) => Call::Read(ReadCall::of(read)),
            _ => Call::Other(String::new()),
        };
        self.sent.extend(append.clone());
        let invoked = self.tick();
        let operation =
            Operation { session: session as u32, invoked, returned: None, call, answer: Answer::Unknown };
        Running { operation, append, read, effective: false }
    }

    fn take_effect(&mut self, mut run: Running) -> Option<Running> {
        if let Some(append) = &run.append {
            if self.rng.random_bool(0.15) {
                // Dropped, or its outcome unknown: whether it lands is decided later.
                run.operation.returned = self.rng.random_bool(0.5).then(|| self.tick());
                self.loose.push(append.clone());
                self.history.operations.push(run.operation);
                return None;
            }
            run.operation.answer = self.answer(append);
        } else if let Some(read) = &run.read {
            let of = |event: &annalist_core::RecordedEvent| {
                (event.stream().clone(), event.version(), event.id(), event.position())
            };
            let events = self.model.read(read).iter().map(of).collect();
            let version = match read.source() {
                annalist_core::Source::Stream(stream) => self.model.version(stream),
                _ => Version::NONE,
            };
            run.operation.answer = Answer::Events { events, head: self.model.head(), version };
        }
        run.effective = true;
        Some(run)
    }

    fn end(&mut self, mut run: Running) {
        run.operation.returned = Some(self.tick());
        self.history.operations.push(run.operation);
    }

    fn land_loose(&mut self) {
        if !self.loose.is_empty() && self.rng.random_bool(0.1) {
            let at = self.rng.random_range(0..self.loose.len());
            let append = self.loose.swap_remove(at);
            self.answer(&append);
        }
    }

    fn answer(&mut self, append: &Append) -> Answer {
        match self.model.admit(append) {
            Verdict::Accepted => {
                let receipt = self.receipt(append);
                self.model.commit(append, &receipt).expect("an admitted append");
                committed(&receipt)
            }
            Verdict::AlreadyCommitted(receipt) => committed(&receipt),
            Verdict::Refused(error) => refused(&error),
        }
    }

    /// A receipt with positions that leave gaps.
    fn receipt(&mut self, append: &Append) -> Receipt {
        let (mut major, _) = backend::numbers(self.model.head());
        let mut written = Vec::new();
        for write in append.writes().iter().filter(|write| !write.events.is_empty()) {
            let first = self.model.version(&write.stream).next();
            let positions = write.events.iter().map(|_| {
                major += self.rng.random_range(1..4);
                backend::position(self.log, major, 0)
            });
            written.push(backend::written(write.stream.clone(), first, positions.collect()));
        }
        backend::receipt(false, written)
    }

    fn append(&mut self) -> Append {
        if !self.sent.is_empty() && self.rng.random_bool(0.2) {
            return self.sent.choose(&mut self.rng).expect("not empty").clone();
        }
        if !self.sent.is_empty() && self.rng.random_bool(0.05) {
            return self.misuse();
        }
        let names: Vec<&str> = STREAMS.iter().copied().choose_multiple(&mut self.rng, 3);
        let mut append = Append::new();
        for name in &names[..self.rng.random_range(0..=2)] {
            let events: Vec<NewEvent> = (0..self.rng.random_range(0..4)).map(|_| self.event()).collect();
            append = append.write(&stream(name), self.expected(name), events);
        }
        if self.rng.random_bool(0.2) {
            append = append.check(&stream(names[2]), self.expected(names[2]));
        }
        if self.rng.random_bool(0.3) {
            let tag = TAGS.choose(&mut self.rng).expect("not empty");
            append = append.condition(Query::tags([tag]), self.known_position());
        }
        append
    }

    /// A part or an extension of an append that was sent.
    fn misuse(&mut self) -> Append {
        let sent = self.sent.choose(&mut self.rng).expect("not empty").clone();
        let mut append = Append::new();
        for write in sent.writes() {
            let mut events = write.events.clone();
            if self.rng.random_bool(0.5) {
                events.pop();
            } else {
                events.push(self.event());
            }
            append = append.write(&write.stream, ExpectedVersion::Any, events);
        }
        append
    }

    fn event(&mut self) -> NewEvent {
        let tags: Vec<&str> = TAGS.iter().copied().filter(|_| self.rng.random_bool(0.2)).collect();
        tagged("Happened", &tags)
    }

    fn expected(&mut self, name: &str) -> ExpectedVersion {
        let version = self.model.version(&stream(name)).get();
        match self.rng.random_range(0..8) {
            0 => ExpectedVersion::NoStream,
            1 => ExpectedVersion::Exists,
            2 | 3 => exact(version),
            4 => exact((version + 1).saturating_sub(self.rng.random_range(0..3))),
            _ => ExpectedVersion::Any,
        }
    }

    fn known_position(&mut self) -> Position {
        let positions = self.model.events().map(|event| event.position());
        positions.choose(&mut self.rng).unwrap_or(Position::START)
    }

    fn read(&mut self) -> Read {
        let read = if self.rng.random_bool(0.5) {
            let name = STREAMS.choose(&mut self.rng).expect("not empty");
            Read::stream(&stream(name)).from(Version::new(self.rng.random_range(0..4)))
        } else {
            let tag = TAGS.choose(&mut self.rng).expect("not empty");
            let query = if self.rng.random_bool(0.5) { Query::all() } else { Query::tags([tag]) };
            Read::log(query).after(self.known_position())
        };
        let read = if self.rng.random_bool(0.3) { read.limit(self.rng.random_range(0..4)) } else { read };
        if self.rng.random_bool(0.3) { read.backward() } else { read }
    }
}

fn logged(event: &annalist_core::RecordedEvent) -> LogEvent {
    let (stream, version, position) = (event.stream().clone(), event.version(), event.position());
    LogEvent { stream, version, position, event: EventText::of(event.event()) }
}

fn committed(receipt: &Receipt) -> Answer {
    let part = |part: &annalist_core::Written| {
        (part.stream().clone(), part.first_version(), part.positions().to_vec())
    };
    Answer::Committed {
        already: receipt.already_committed(),
        written: receipt.written().iter().map(part).collect(),
    }
}

fn refused(error: &annalist_core::Error) -> Answer {
    use annalist_core::{Conflict, ErrorKind};
    match error.kind().clone() {
        ErrorKind::Conflict(Conflict::Version { stream, expected, actual }) => {
            Answer::Version { stream, expected, actual }
        }
        ErrorKind::Conflict(Conflict::Condition { index, matched }) => Answer::Condition { index, matched },
        ErrorKind::IdReused(reused) => {
            Answer::IdReused { id: reused.id, stream: reused.stream, version: reused.version }
        }
        kind => panic!("the model does not answer {kind:?}"),
    }
}

#[test]
fn valid_histories_are_accepted_by_both() {
    for seed in 0..400 {
        let history = Simulation::run(seed, 2 + seed as usize % 4, 90);
        assert_eq!(history.check(), Ok(()), "seed {seed}");
        assert_eq!(history.search(), Some(true), "seed {seed}");
    }
}

#[test]
fn long_histories_are_accepted_by_the_pass() {
    let history = Simulation::run(7, 16, 20_000);
    assert_eq!(history.check(), Ok(()));
    assert_eq!(history.search(), None, "too long to be searched");
}

#[test]
fn both_agree_on_corrupted_histories() {
    let (mut corrupted, mut rejected) = (0, 0);
    for seed in 0..1_500 {
        let mut history = Simulation::run(seed, 2 + seed as usize % 3, 60);
        if !corrupt(&mut history, &mut StdRng::seed_from_u64(seed)) {
            continue;
        }
        corrupted += 1;
        let pass = history.check();
        assert_eq!(Some(pass.is_ok()), history.search(), "seed {seed}: {pass:?}");
        rejected += usize::from(pass.is_err());
    }
    // Some corruptions are harmless: a swap of two appends that nobody can tell apart, an unknown one that is lost.
    assert!(corrupted > 1_000 && rejected * 10 > corrupted * 8, "{rejected} of {corrupted} rejected");
}

/// One random change of the log or of an answer.
fn corrupt(history: &mut History, rng: &mut StdRng) -> bool {
    let events = history.log.len();
    if events < 4 {
        return false;
    }
    let at = rng.random_range(0..events - 1);
    match rng.random_range(0..8) {
        0 => drop(history.log.remove(at)),
        1 => history.log.insert(at, history.log[at].clone()),
        2 => swap(&mut history.log, at),
        3 => history.log[at].version = history.log[at].version.next(),
        4 => move_to_the_end(&mut history.log, at),
        _ => return falsify(history, rng),
    }
    true
}

/// Exchanges two neighbours, as if they had been placed the other way round.
fn swap(log: &mut [LogEvent], at: usize) {
    let (a, b) = (log[at].clone(), log[at + 1].clone());
    let versions = if a.stream == b.stream { (a.version, b.version) } else { (b.version, a.version) };
    log[at] = LogEvent { position: a.position, version: versions.0, ..b };
    log[at + 1] = LogEvent { position: log[at + 1].position, version: versions.1, ..a };
}

/// A late arrival, or one event of a batch torn off.
fn move_to_the_end(log: &mut Vec<LogEvent>, at: usize) {
    let moved = log.remove(at);
    let (major, _) = backend::numbers(log.last().expect("not empty").position);
    let position = log.last().expect("not empty").position.to_string();
    let later = format!("{}-{:016x}-{}", &position[..8], major + 1, &position[26..]);
    log.push(LogEvent { position: later.parse().expect("a position"), ..moved });
}

/// Changes an answer.
fn falsify(history: &mut History, rng: &mut StdRng) -> bool {
    let answered =
        |operation: &&mut Operation| !matches!(operation.answer, Answer::Unknown | Answer::Refused(_));
    let Some(operation) = history.operations.iter_mut().filter(answered).choose(rng) else { return false };
    match &mut operation.answer {
        Answer::Committed { already, written } if written.is_empty() || rng.random_bool(0.5) => {
            *already = !*already
        }
        Answer::Committed { written, .. } => written[0].1 = written[0].1.next(),
        Answer::Version { actual, .. } => *actual = actual.next(),
        Answer::Condition { index, .. } => *index += 1,
        Answer::IdReused { version, .. } => *version = version.next(),
        Answer::Events { events, .. } if !events.is_empty() => drop(events.pop()),
        _ => return false,
    }
    true
}

/// Two sessions, one after the other: the second reads what was there before the first append.
#[test]
fn a_stale_read_is_rejected() {
    let (history, _) =
        one_append_then(|_| Answer::Events { events: vec![], head: Position::START, version: Version::NONE });
    assert_rejected(&history, "R3");
}

#[test]
fn a_lost_acknowledgement_is_rejected() {
    let (mut history, _) = one_append_then(|_| Answer::Unknown);
    history.log.clear();
    assert_rejected(&history, "lost");
}

#[test]
fn a_refused_append_that_lands_is_rejected() {
    let (mut history, _) = one_append_then(|_| Answer::Unknown);
    history.operations[0].answer = Answer::Refused("unavailable".to_owned());
    assert_rejected(&history, "A5");
}

#[test]
fn an_event_that_nobody_sent_is_rejected() {
    let (mut history, _) = one_append_then(|_| Answer::Unknown);
    history.operations.clear();
    assert_rejected(&history, "never sent");
}

#[test]
fn a_part_of_an_append_is_rejected() {
    let (mut history, _) = one_append_then(|_| Answer::Unknown);
    history.operations[0].answer = Answer::Unknown;
    history.log.pop();
    assert_rejected(&history, "A1");
}

#[test]
fn a_saved_history_is_the_same() {
    let history = Simulation::run(11, 4, 200);
    let file = std::env::temp_dir().join(format!("annalist-history-test-{}.jsonl", std::process::id()));
    history.save(&file).expect("a writable folder");
    let loaded = History::load(&file).expect("a history");
    std::fs::remove_file(&file).expect("it was written");
    assert_eq!(loaded, history);
}

/// An append of two events that is acknowledged, and then a read of the whole log that is answered so.
fn one_append_then(answer: impl Fn(&History) -> Answer) -> (History, Append) {
    let events = [tagged("Happened", &[]), tagged("Happened", &[])];
    let append = Append::to(&stream("A-1"), ExpectedVersion::NoStream, events);
    let log = LogId::new();
    let positions = vec![backend::position(log, 1, 0), backend::position(log, 2, 0)];
    let receipt = backend::receipt(false, vec![backend::written(stream("A-1"), Version::FIRST, positions)]);
    let mut model = Model::default();
    model.commit(&append, &receipt).expect("a first append");
    let mut history = History { log: model.events().map(logged).collect(), ..History::default() };
    let call = Call::Append(AppendCall::of(&append));
    history.operations.push(Operation {
        session: 0,
        invoked: 1,
        returned: Some(2),
        call,
        answer: committed(&receipt),
    });
    let (call, answer) = (Call::Read(ReadCall::of(&Read::log(Query::all()))), answer(&history));
    history.operations.push(Operation { session: 1, invoked: 3, returned: Some(4), call, answer });
    (history, append)
}

fn assert_rejected(history: &History, why: &str) {
    let told = history.check().expect_err("a history without an explanation");
    assert!(told.iter().any(|told| told.contains(why)), "{told:?} does not name {why}");
    assert_eq!(history.search(), Some(false));
}
