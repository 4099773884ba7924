//! The protocol as a model, every order of steps of which is gone through: writers whose puts land late or whose replies are lost, indexers that stop
//! after any write, processes that die and begin anew, and two requests that exclude one another.
//!
//! A batch holds the event of one request, and its index two items. Both processes want the same: their event once in the log, unless the other's
//! stands there. What a process holds in memory is its own; the log, the items of the index, the watermark and what is on its way are shared.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Property};

const PROCESSES: usize = 2;
const ITEMS: u8 = 2;

/// Bounds that keep the model small.
#[derive(Clone, Copy)]
struct Bounds {
    /// Whether each wants its event only where the other's does not stand.
    excluding: bool,
    /// How often a process sends its request.
    sends: u8,
    /// How often a process dies.
    deaths: u8,
    /// A mistake that is put in, which the model must find.
    mistake: Option<Mistake>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    /// The watermark moves before all items are written.
    EarlyWatermark,
    /// What came between the look at the index and the decision is not looked at.
    NoTail,
    /// A put does not depend on its place being free.
    Unconditional,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    /// Whose event each batch holds.
    log: Vec<u8>,
    /// The items of the index that are written, as batch and item.
    index: BTreeSet<(u8, u8)>,
    watermark: u8,
    /// Puts on their way: who sent them, and for which place.
    puts: BTreeSet<(u8, u8)>,
    processes: Vec<Process>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Process {
    /// Up to which batch it knows the log.
    known: u8,
    /// Up to which batch it takes the index to be complete, and what it said then about either event.
    as_of: u8,
    looked_up: Option<[bool; PROCESSES]>,
    /// Whether it waits for the answer to a put, for this place.
    waits: Option<u8>,
    answer: Option<Answer>,
    /// Items that it wrote itself since it knows of its watermark.
    written: BTreeSet<(u8, u8)>,
    sent: u8,
    deaths: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Answer {
    Committed,
    Refused,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Action {
    Sync(usize),
    LookAtWatermark(usize),
    LookUp(usize),
    Decide(usize),
    /// A put arrives, and its reply comes or is lost.
    Arrive((u8, u8), bool),
    GiveUp(usize),
    WriteItem(usize, (u8, u8)),
    MoveWatermark(usize, u8),
    Die(usize),
}

impl State {
    fn holds(&self, event: usize, from: u8, to: u8) -> bool {
        self.log[usize::from(from.min(to))..usize::from(to)].contains(&(event as u8))
    }

    fn length(&self) -> u8 {
        self.log.len() as u8
    }
}

impl Model for Bounds {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let processes = vec![Process::default(); PROCESSES];
        vec![State {
            log: Vec::new(),
            index: BTreeSet::new(),
            watermark: 0,
            puts: BTreeSet::new(),
            processes,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (p, process) in state.processes.iter().enumerate() {
            if process.known < state.length() {
                actions.push(Action::Sync(p));
            }
            if process.as_of < state.watermark {
                actions.push(Action::LookAtWatermark(p));
            }
            match process.waits {
                Some(_) => actions.push(Action::GiveUp(p)),
                None if process.answer.is_none() && process.sent < self.sends => {
                    actions.push(Action::LookUp(p));
                    if process.looked_up.is_some() {
                        actions.push(Action::Decide(p));
                    }
                }
                None => {}
            }
            for batch in process.as_of + 1..=process.known {
                let items = (0..ITEMS).map(|item| (batch, item));
                let left = items.filter(|item| !process.written.contains(item));
                actions.extend(left.map(|item| Action::WriteItem(p, item)));
                actions.push(Action::MoveWatermark(p, batch));
            }
            if process.deaths < self.deaths {
                actions.push(Action::Die(p));
            }
        }
        for put in &state.puts {
            actions.extend([true, false].map(|is_answered| Action::Arrive(*put, is_answered)));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Sync(p) => state.processes[p].known = state.length(),
            Action::LookAtWatermark(p) => {
                let process = &mut state.processes[p];
                process.as_of = state.watermark;
                // Whoever learns of a watermark knows that so much of the log is there.
                process.known = process.known.max(state.watermark);
                process.looked_up = None;
                process.written.retain(|(batch, _)| *batch > state.watermark);
            }
            Action::LookUp(p) => {
                let is_indexed = |event: usize| {
                    (1..)
                        .zip(&state.log)
                        .any(|(batch, of)| *of == event as u8 && state.index.contains(&(batch, 0)))
                };
                state.processes[p].looked_up = Some([is_indexed(0), is_indexed(1)]);
            }
            Action::Decide(p) => self.decide(&mut state, p)?,
            Action::Arrive(put, is_answered) => self.arrive(&mut state, put, is_answered),
            Action::GiveUp(p) => (state.processes[p].waits, state.processes[p].looked_up) = (None, None),
            Action::WriteItem(p, item) => {
                state.index.insert(item);
                state.processes[p].written.insert(item);
            }
            Action::MoveWatermark(p, to) => {
                let process = &mut state.processes[p];
                let mut needed =
                    (process.as_of + 1..=to).flat_map(|batch| (0..ITEMS).map(move |item| (batch, item)));
                let is_early = self.mistake == Some(Mistake::EarlyWatermark);
                if to <= state.watermark || !(is_early || needed.all(|item| process.written.contains(&item)))
                {
                    return None;
                }
                state.watermark = to;
            }
            Action::Die(p) => {
                let Process { sent, deaths, answer, .. } = state.processes[p];
                let (known, as_of) = (state.watermark, state.watermark);
                let deaths = deaths + 1;
                state.processes[p] = Process { known, as_of, sent, deaths, answer, ..Process::default() };
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("the index is complete up to the watermark", |_, state: &State| {
                let mut needed =
                    (1..=state.watermark).flat_map(|batch| (0..ITEMS).map(move |item| (batch, item)));
                state.watermark <= state.length() && needed.all(|item| state.index.contains(&item))
            }),
            Property::always("no event stands in the log twice", |_, state: &State| {
                (0..PROCESSES as u8).all(|event| state.log.iter().filter(|of| **of == event).count() <= 1)
            }),
            Property::always(
                "of two that exclude one another one commits",
                |bounds: &Self, state: &State| {
                    !bounds.excluding || state.log.iter().collect::<BTreeSet<_>>().len() <= 1
                },
            ),
            Property::always("an answer is true for good", |_, state: &State| {
                (0..PROCESSES).all(|p| match state.processes[p].answer {
                    Some(Answer::Committed) => state.holds(p, 0, state.length()),
                    Some(Answer::Refused) => !state.holds(p, 0, state.length()),
                    None => true,
                })
            }),
            Property::sometimes("both are answered", |_, state: &State| {
                state.processes.iter().all(|process| process.answer.is_some())
            }),
            Property::sometimes("everything is in the index", |_, state: &State| {
                state.watermark > 0 && state.watermark == state.length()
            }),
        ]
    }
}

impl Bounds {
    fn decide(&self, state: &mut State, p: usize) -> Option<()> {
        let process = &state.processes[p];
        let looked_up = process.looked_up?;
        let is_in_tail =
            |event| self.mistake != Some(Mistake::NoTail) && state.holds(event, process.as_of, process.known);
        let is_known = |event: usize| looked_up[event] || is_in_tail(event);
        let (mine, other, place) = (is_known(p), is_known(1 - p), process.known + 1);
        let process = &mut state.processes[p];
        if mine {
            process.answer = Some(Answer::Committed);
        } else if other && self.excluding {
            process.answer = Some(Answer::Refused);
        } else {
            (process.waits, process.sent) = (Some(place), process.sent + 1);
            state.puts.insert((p as u8, place));
        }
        Some(())
    }

    fn arrive(&self, state: &mut State, (sender, place): (u8, u8), is_answered: bool) {
        state.puts.remove(&(sender, place));
        assert!(place <= state.length() + 1, "a put would leave a gap");
        let is_free = place == state.length() + 1;
        if is_free {
            state.log.push(sender);
        } else if self.mistake == Some(Mistake::Unconditional) {
            state.log[usize::from(place) - 1] = sender;
        }
        let process = &mut state.processes[usize::from(sender)];
        if process.waits != Some(place) || !is_answered {
            return;
        }
        process.waits = None;
        process.known = process.known.max(place);
        if is_free || self.mistake == Some(Mistake::Unconditional) {
            process.answer = Some(Answer::Committed);
        }
    }
}

#[test]
fn every_order_of_steps_keeps_the_log_and_its_index_true() {
    for (excluding, sends, deaths) in [(true, 2, 1), (false, 2, 0), (false, 1, 1)] {
        let bounds = Bounds { excluding, sends, deaths, mistake: None };
        let checker = bounds.checker().threads(2).spawn_bfs().join();
        println!(
            "excluding: {excluding}, sends: {sends}, deaths: {deaths}: {} states",
            checker.unique_state_count()
        );
        assert!(checker.unique_state_count() > 1_000);
        checker.assert_properties();
    }
}

/// A model that finds nothing wrong must be able to.
#[test]
fn the_model_finds_the_mistakes_that_are_put_in() {
    for (mistake, broken) in [
        (Mistake::EarlyWatermark, "the index is complete up to the watermark"),
        (Mistake::NoTail, "of two that exclude one another one commits"),
        (Mistake::Unconditional, "an answer is true for good"),
    ] {
        let bounds = Bounds { excluding: true, sends: 2, deaths: 0, mistake: Some(mistake) };
        let checker = bounds.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        assert!(checker.discovery(broken).is_some(), "{broken}");
    }
}
