//! The search that decides whether a history is linearizable by trying out orders, after Wing and Gong with the cache of
//! Lowe, as Porcupine does it. Exponential at worst, and simple: it keeps the pass honest.

use std::collections::HashSet;

use annalist_core::{Append, RecordedEvent, backend};
use annalist_engine::admission::Verdict as Admission;

use super::record::{committed, refused};
use super::{Answer, Call, EventText, History, LogEvent, Operation};
use crate::Model;

/// The most operations that are searched.
const OPERATIONS_MAX: usize = 200;

impl History {
    /// Decides whether the history is linearizable by searching for an order; `None` where it is longer than 200 operations.
    #[must_use]
    pub fn search(&self) -> Option<bool> {
        if self.operations.len() > OPERATIONS_MAX {
            return None;
        }
        let appends = self.operations.iter().map(|operation| match &operation.call {
            Call::Append(append) => append.append().ok(),
            _ => None,
        });
        let mut search = Search { history: self, appends: appends.collect(), tried: HashSet::new() };
        Some(search.from(&State::default()))
    }
}

/// What has been put in order so far.
#[derive(Clone, Default)]
struct State {
    done: Vec<usize>,
    /// The operations that wrote something, in their order: with `done` it says all about the model.
    wrote: Vec<usize>,
    model: Model,
}

struct Search<'a> {
    history: &'a History,
    appends: Vec<Option<Append>>,
    tried: HashSet<(Vec<usize>, Vec<usize>)>,
}

impl Search<'_> {
    /// Whether what is left can be put in order after this state.
    fn from(&mut self, state: &State) -> bool {
        let mut done = state.done.clone();
        done.sort_unstable();
        if !self.tried.insert((done, state.wrote.clone())) {
            return false;
        }
        let left: Vec<usize> =
            (0..self.history.operations.len()).filter(|index| !state.done.contains(index)).collect();
        let must_return = |index: &&usize| returned(&self.history.operations[**index]).is_some();
        if !left.iter().any(|index| must_return(&index))
            && state.model.events().count() == self.history.log.len()
        {
            return true;
        }
        let first_return = left.iter().filter_map(|index| returned(&self.history.operations[*index])).min();
        let begun =
            |index: &usize| first_return.is_none_or(|first| self.history.operations[*index].invoked < first);
        let next: Vec<usize> = left.into_iter().filter(begun).collect();
        next.into_iter().any(|index| {
            let mut after = state.clone();
            after.done.push(index);
            self.apply(index, &mut after) && self.from(&after)
        })
    }

    /// Whether the operation can come next, with its answer.
    fn apply(&self, index: usize, state: &mut State) -> bool {
        let operation = &self.history.operations[index];
        match (&operation.answer, &self.appends[index], &operation.call) {
            (Answer::Refused(_), ..) => true,
            (Answer::Unknown, Some(append), _) => self.commits(index, append, &self.written(append), state),
            (Answer::Committed { already: false, written }, Some(append), _) if append.event_count() > 0 => {
                self.commits(index, append, &Some(written.clone()), state)
            }
            (Answer::Events { events, head, version }, _, Call::Read(call)) => {
                let beyond = self.history.log.get(state.model.events().count()).map(|event| event.position);
                let (must, read) = (state.model.read(&call.read()), call);
                let must = must
                    .iter()
                    .map(|event| (event.stream().clone(), event.version(), event.id(), event.position()));
                let must_version =
                    read.stream.as_ref().map(|stream| state.model.version(stream)).unwrap_or_default();
                must.eq(events.iter().cloned())
                    && must_version == *version
                    && state.model.head() <= *head
                    && beyond.is_none_or(|beyond| beyond > *head)
            }
            (answer, Some(append), _) => match state.model.admit(append) {
                Admission::Accepted => {
                    append.event_count() == 0
                        && *answer == Answer::Committed { already: false, written: Vec::new() }
                }
                Admission::AlreadyCommitted(receipt) => *answer == committed(&receipt),
                Admission::Refused(error) => *answer == refused(&error),
            },
            // Nothing that is about the log.
            (_, None, call) => !matches!(call, Call::Append(_) | Call::Read(_)),
        }
    }

    /// Whether an append can commit next, so that the model is still a beginning of the log.
    fn commits(&self, index: usize, append: &Append, written: &Option<Written>, state: &mut State) -> bool {
        let Some(written) = written else { return false };
        if !matches!(state.model.admit(append), Admission::Accepted)
            || written.iter().any(|part| part.2.is_empty())
        {
            return false;
        }
        let parts = written
            .iter()
            .cloned()
            .map(|(stream, first, positions)| backend::written(stream, first, positions));
        let receipt = backend::receipt(false, parts.collect());
        let before = state.model.events().count();
        if state.model.commit(append, &receipt).is_err() {
            return false;
        }
        state.wrote.push(index);
        let new = state.model.events().skip(before);
        let logged = self.history.log.get(before..before + append.event_count()).unwrap_or_default();
        logged.len() == append.event_count() && new.zip(logged).all(|(event, logged)| same(event, logged))
    }

    /// Where the log has the events of an append of which nothing was told; `None` where it does not have them.
    fn written(&self, append: &Append) -> Option<Written> {
        let place = |stream: &annalist_core::StreamId, id| {
            self.history.log.iter().find(|logged| logged.stream == *stream && logged.event.id == id)
        };
        let writes = append.writes().iter().filter(|write| !write.events.is_empty()).map(|write| {
            let places: Option<Vec<&LogEvent>> =
                write.events.iter().map(|event| place(&write.stream, event.id())).collect();
            let places = places?;
            Some((
                write.stream.clone(),
                places[0].version,
                places.iter().map(|place| place.position).collect(),
            ))
        });
        let written: Option<Written> = writes.collect();
        written.filter(|written| !written.is_empty())
    }
}

type Written = Vec<(annalist_core::StreamId, annalist_core::Version, Vec<annalist_core::Position>)>;

/// When an operation must have had its effect. One of unknown outcome may have it at any time, or never.
fn returned(operation: &Operation) -> Option<u64> {
    operation.returned.filter(|_| operation.answer != Answer::Unknown)
}

fn same(event: &RecordedEvent, logged: &LogEvent) -> bool {
    let (stream, version, position) = (event.stream(), event.version(), event.position());
    (stream, version, position) == (&logged.stream, logged.version, logged.position)
        && EventText::of(event.event()) == logged.event
}
