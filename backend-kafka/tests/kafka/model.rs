//! The protocol as a model, every order of steps of which is gone through: writers whose records come late, twice or never, who give up and settle
//! what became of them, who die and begin anew under another id, and readers.
//!
//! The log is all that is shared. Each process has read some of it, and folds that; what is on its way is in the air.

use std::collections::{BTreeMap, BTreeSet};

use stateright::{Checker, HasDiscoveries, Model, Property};

const PROCESSES: u8 = 2;

/// Bounds that keep the model small.
#[derive(Clone, Copy)]
struct Bounds {
    /// Whether each process wants its event only where no other stands.
    excluding: bool,
    /// How many records each process sends.
    sends: u8,
    deaths: u8,
    /// How many records the log holds at most.
    length: usize,
    /// A mistake that is put in, which the model must find.
    mistake: Option<Mistake>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    /// The broker's answer is taken for that of the log.
    AnsweredByDelivery,
    /// A record counts although a later one of its writer has.
    LateRecordsCount,
    /// What was given up is taken for lost.
    GivenUpIsLost,
    /// A read looks at what its process has.
    NoBarrier,
    /// An event that stands in the log is accepted again.
    NoIds,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Record {
    /// A process and its life.
    writer: (u8, u8),
    number: u8,
    body: Body,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Body {
    /// The event of a process.
    Append(u8),
    Barrier,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Verdict {
    Accepted,
    Already,
    Refused,
    Late,
    Barrier,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    log: Vec<Record>,
    air: BTreeSet<Record>,
    processes: Vec<Process>,
    /// Whose event was acknowledged to anyone.
    acknowledged: BTreeSet<u8>,
    /// Records that their writers hold to be without effect for ever.
    dead: BTreeSet<((u8, u8), u8)>,
    /// A read did not see what was acknowledged before it began.
    read_was_stale: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Process {
    life: u8,
    /// The number of its last record.
    number: u8,
    /// How much of the log it has read.
    applied: usize,
    /// The append that it waits for.
    waits: Option<u8>,
    /// The barrier that settles it.
    settles: Option<u8>,
    answer: Option<bool>,
    /// The barrier of a read, and what it must see.
    reads: Option<(u8, BTreeSet<u8>)>,
    has_read: bool,
    sent: u8,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Action {
    Send(u8),
    /// A record gets into the log, and may be on its way once more.
    Arrive(Record, bool),
    Lose(Record),
    /// The process reads the next record.
    Apply(u8),
    GiveUp(u8),
    Read(u8),
    Die(u8),
}

/// What becomes of each record of a log, and whose events it holds then.
fn fold(log: &[Record], bounds: &Bounds) -> (Vec<Verdict>, Vec<u8>) {
    let (mut verdicts, mut events, mut last) = (Vec::new(), Vec::new(), BTreeMap::new());
    for record in log {
        let before = last.get(&record.writer).copied().unwrap_or(0);
        let is_late = record.number <= before && bounds.mistake != Some(Mistake::LateRecordsCount);
        last.insert(record.writer, before.max(record.number));
        verdicts.push(match record.body {
            _ if is_late => Verdict::Late,
            Body::Barrier => Verdict::Barrier,
            Body::Append(event) if events.contains(&event) && bounds.mistake != Some(Mistake::NoIds) => {
                Verdict::Already
            }
            Body::Append(event) if bounds.excluding && events.iter().any(|other| *other != event) => {
                Verdict::Refused
            }
            Body::Append(event) => {
                events.push(event);
                Verdict::Accepted
            }
        });
    }
    (verdicts, events)
}

impl State {
    fn send(&mut self, p: u8, body: Body) -> u8 {
        let process = &mut self.processes[usize::from(p)];
        process.number += 1;
        process.sent += 1;
        let record = Record { writer: (p, process.life), number: process.number, body };
        self.air.insert(record);
        record.number
    }

    fn answer(&mut self, p: u8, committed: bool) {
        let process = &mut self.processes[usize::from(p)];
        (process.answer, process.waits, process.settles) = (Some(committed), None, None);
        if committed {
            self.acknowledged.insert(p);
        }
    }

    fn apply(&mut self, p: u8, bounds: &Bounds) {
        let process = &mut self.processes[usize::from(p)];
        let record = self.log[process.applied];
        process.applied += 1;
        let (verdicts, events) = fold(&self.log[..process.applied], bounds);
        if record.writer != (p, process.life) {
            return;
        }
        match (verdicts.last(), record.body) {
            (Some(Verdict::Barrier), _) => {
                if process.settles == Some(record.number)
                    && let Some(number) = process.waits
                {
                    // It has not come to it by now.
                    self.dead.insert((record.writer, number));
                    (process.waits, process.settles) = (None, None);
                }
                let process = &mut self.processes[usize::from(p)];
                if let Some((barrier, must_see)) = process.reads.clone()
                    && barrier == record.number
                {
                    (process.reads, process.has_read) = (None, true);
                    self.read_was_stale |= !must_see.iter().all(|event| events.contains(event));
                }
            }
            (Some(verdict), Body::Append(_)) if process.waits == Some(record.number) => match verdict {
                Verdict::Late => {
                    self.dead.insert((record.writer, record.number));
                    (process.waits, process.settles) = (None, None);
                }
                verdict => {
                    let committed = *verdict != Verdict::Refused;
                    self.answer(p, committed);
                }
            },
            _ => {}
        }
    }

    fn give_up(&mut self, p: u8, bounds: &Bounds) {
        if bounds.mistake == Some(Mistake::GivenUpIsLost) {
            let process = &mut self.processes[usize::from(p)];
            if let Some(number) = process.waits.take() {
                self.dead.insert(((p, process.life), number));
            }
            return;
        }
        let barrier = self.send(p, Body::Barrier);
        self.processes[usize::from(p)].settles = Some(barrier);
    }

    fn read(&mut self, p: u8, bounds: &Bounds) {
        let must_see = self.acknowledged.clone();
        if bounds.mistake == Some(Mistake::NoBarrier) {
            let process = &mut self.processes[usize::from(p)];
            process.has_read = true;
            let (_, events) = fold(&self.log[..process.applied], bounds);
            self.read_was_stale |= !must_see.iter().all(|event| events.contains(event));
            return;
        }
        let barrier = self.send(p, Body::Barrier);
        self.processes[usize::from(p)].reads = Some((barrier, must_see));
    }
}

impl Model for Bounds {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            log: Vec::new(),
            air: BTreeSet::new(),
            processes: vec![Process::default(); usize::from(PROCESSES)],
            acknowledged: BTreeSet::new(),
            dead: BTreeSet::new(),
            read_was_stale: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for record in &state.air {
            actions.push(Action::Lose(*record));
            if state.log.len() < self.length {
                actions.push(Action::Arrive(*record, false));
                actions.push(Action::Arrive(*record, true));
            }
        }
        for (p, process) in (0..).zip(&state.processes) {
            let may_send = process.sent < self.sends;
            if may_send && process.waits.is_none() && process.answer.is_none() {
                actions.push(Action::Send(p));
            }
            if may_send && process.waits.is_some() {
                actions.push(Action::GiveUp(p));
            }
            if may_send && process.reads.is_none() && !process.has_read {
                actions.push(Action::Read(p));
            }
            if process.applied < state.log.len() {
                actions.push(Action::Apply(p));
            }
            if process.life < self.deaths {
                actions.push(Action::Die(p));
            }
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Send(p) => {
                let number = state.send(p, Body::Append(p));
                state.processes[usize::from(p)].waits = Some(number);
            }
            Action::Arrive(record, stays) => {
                state.log.push(record);
                if !stays {
                    state.air.remove(&record);
                }
                let (p, life) = record.writer;
                let process = &state.processes[usize::from(p)];
                if self.mistake == Some(Mistake::AnsweredByDelivery)
                    && process.life == life
                    && process.waits == Some(record.number)
                {
                    state.answer(p, true);
                }
            }
            Action::Lose(record) => drop(state.air.remove(&record)),
            Action::Apply(p) => state.apply(p, self),
            Action::GiveUp(p) => state.give_up(p, self),
            Action::Read(p) => state.read(p, self),
            // The local store is taken up again; whoever waited asks again.
            Action::Die(p) => {
                let process = &mut state.processes[usize::from(p)];
                *process = Process {
                    life: process.life + 1,
                    applied: process.applied,
                    sent: process.sent,
                    answer: process.answer,
                    has_read: process.has_read,
                    ..Process::default()
                };
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("an event stands once", |bounds: &Self, state: &State| {
                let (_, events) = fold(&state.log, bounds);
                (0..PROCESSES).all(|p| events.iter().filter(|event| **event == p).count() <= 1)
            }),
            Property::always("what excludes one another stands alone", |bounds: &Self, state: &State| {
                !bounds.excluding || fold(&state.log, bounds).1.len() <= 1
            }),
            Property::always("what was acknowledged is there", |bounds: &Self, state: &State| {
                let (_, events) = fold(&state.log, bounds);
                state.acknowledged.iter().all(|event| events.contains(event))
            }),
            Property::always("what was refused is not there", |bounds: &Self, state: &State| {
                let (_, events) = fold(&state.log, bounds);
                (0..)
                    .zip(&state.processes)
                    .all(|(p, process)| process.answer != Some(false) || !events.contains(&p))
            }),
            Property::always("what was held to be dead never counts", |bounds: &Self, state: &State| {
                let (verdicts, _) = fold(&state.log, bounds);
                state.log.iter().zip(verdicts).all(|(record, verdict)| {
                    verdict != Verdict::Accepted || !state.dead.contains(&(record.writer, record.number))
                })
            }),
            Property::always("a read sees what was acknowledged before", |_, state: &State| {
                !state.read_was_stale
            }),
            Property::sometimes("both are answered", |_, state: &State| {
                state.processes.iter().all(|process| process.answer.is_some())
            }),
            Property::sometimes("a record comes too late", |bounds: &Self, state: &State| {
                fold(&state.log, bounds).0.contains(&Verdict::Late)
            }),
            Property::sometimes("a record is held to be dead", |_, state: &State| !state.dead.is_empty()),
        ]
    }
}

const BOUNDS: Bounds = Bounds { excluding: true, sends: 2, deaths: 0, length: 4, mistake: None };

#[test]
fn in_every_order_it_keeps_what_it_promises() {
    for (excluding, deaths, length) in [(true, 0, 4), (true, 1, 3), (false, 0, 3)] {
        let bounds = Bounds { excluding, deaths, length, ..BOUNDS };
        let checker = bounds.checker().threads(2).spawn_bfs().join();
        println!("excluding {excluding}, deaths {deaths}: {} states", checker.unique_state_count());
        assert!(checker.unique_state_count() > 1_000);
        checker.assert_properties();
    }
}

#[test]
fn each_mistake_is_found() {
    for (mistake, excluding, breaks) in [
        (Mistake::AnsweredByDelivery, true, "what was acknowledged is there"),
        (Mistake::LateRecordsCount, true, "what was held to be dead never counts"),
        (Mistake::GivenUpIsLost, true, "what was held to be dead never counts"),
        (Mistake::NoBarrier, true, "a read sees what was acknowledged before"),
        (Mistake::NoIds, false, "an event stands once"),
    ] {
        // One who died sends again under another id.
        let deaths = u8::from(mistake == Mistake::NoIds);
        let bounds = Bounds { mistake: Some(mistake), excluding, deaths, ..BOUNDS };
        let checker = bounds.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let found = checker.discoveries();
        assert!(found.contains_key(breaks), "{breaks}: {:?}", found.keys().collect::<Vec<_>>());
    }
}
