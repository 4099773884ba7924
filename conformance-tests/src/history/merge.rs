//! One history of what several processes noted.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Answer, Call, Followed, Heard, History, Operation};

/// What a process reports of its sessions, each of which does one thing after the other.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Noted {
    /// An operation is about to be called.
    Begun(Box<Operation>),
    /// The last one of this session has returned.
    Ended { session: u32, returned: u64, answer: Answer },
    /// The subscription that this session began last gave something.
    Heard { session: u32, at: u64, heard: Heard },
    /// The error behind an answer of this session.
    Failed { session: u32, at: u64, kind: String, text: String },
    /// What this session saw that is wrong whatever is in the log.
    Wrong { session: u32, at: u64, what: String },
}

/// The operations that other processes report. One that was begun and never ended, because its process was killed, is of unknown outcome.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    begun: HashMap<u32, Operation>,
    ended: Vec<Operation>,
    acknowledged: usize,
    followed: Vec<Followed>,
    /// The place in `followed` of what each session began last.
    follows: HashMap<u32, usize>,
    /// The kinds of errors: how many there were, and the first of them.
    pub(crate) failures: BTreeMap<String, (u64, String)>,
    /// What sessions saw that is wrong.
    pub(crate) wrong: Vec<String>,
}

impl Merged {
    pub(crate) fn note_all(&mut self, notes: impl IntoIterator<Item = Noted>) {
        notes.into_iter().for_each(|noted| self.note(noted));
    }

    pub(crate) fn note(&mut self, noted: Noted) {
        match noted {
            Noted::Begun(operation) => {
                let dropped = self.begun.insert(operation.session, *operation);
                self.ended.extend(dropped);
            }
            Noted::Ended { session, returned, answer } => {
                let Some(mut operation) = self.begun.remove(&session) else { return };
                self.acknowledged += usize::from(matches!(answer, Answer::Committed { .. }));
                operation.returned = Some(returned);
                operation.answer = answer;
                if let (Call::Follow(call), Answer::Done) = (&operation.call, &operation.answer) {
                    self.follows.insert(session, self.followed.len());
                    self.followed.push(Followed::begun(session, call.clone(), operation.invoked, returned));
                }
                self.ended.push(operation);
            }
            Noted::Heard { session, at, heard } => {
                if let Some(followed) = self.follows.get(&session) {
                    self.followed[*followed].hears(at, heard);
                }
            }
            Noted::Failed { kind, text, .. } => self.failures.entry(kind).or_insert((0, text)).0 += 1,
            Noted::Wrong { session, at, what } => {
                self.wrong.push(format!("session {session} at {at}: {what}"))
            }
        }
    }

    /// Takes in an operation that is over.
    pub(crate) fn add(&mut self, operation: Operation) {
        self.ended.push(operation);
    }

    /// Takes in a subscription that is over.
    pub(crate) fn add_followed(&mut self, followed: Followed) {
        self.followed.push(followed);
    }

    /// How many appends were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// How many operations were begun.
    pub(crate) fn count(&self) -> usize {
        self.begun.len() + self.ended.len()
    }

    /// How many operations have no answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.begun.len() + self.ended.iter().filter(|operation| operation.returned.is_none()).count()
    }

    pub(crate) fn operations(self) -> impl Iterator<Item = Operation> {
        self.ended.into_iter().chain(self.begun.into_values())
    }

    /// All of it, but for the log.
    pub(crate) fn history(mut self) -> History {
        let followed = std::mem::take(&mut self.followed);
        History { operations: self.operations().collect(), log: Vec::new(), followed }
    }
}

/// Adds an attempt of unknown outcome to each append that was told to be there already.
pub(crate) fn add_attempts(operations: &mut Vec<Operation>) {
    let again = |operation: &&Operation| matches!(operation.answer, Answer::Committed { already: true, .. });
    let attempt =
        |operation: &Operation| Operation { returned: None, answer: Answer::Unknown, ..operation.clone() };
    let attempts: Vec<_> = operations.iter().filter(again).map(attempt).collect();
    operations.extend(attempts);
}

/// Makes moments numbers that no two share, in the same order. Of equal ones the calls come first: then the operations overlapped, which
/// is the weaker claim.
pub(crate) fn rank(operations: &mut [Operation], followed: &mut [Followed]) {
    let mut moments: Vec<(u64, bool, &mut u64)> = Vec::with_capacity(2 * operations.len());
    for operation in operations {
        moments.push((operation.invoked, false, &mut operation.invoked));
        moments.extend(operation.returned.as_mut().map(|returned| (*returned, true, returned)));
    }
    followed.iter_mut().for_each(|followed| moments.extend(followed.moments()));
    // What is equal keeps its order, so that of one subscription does too.
    moments.sort_by_key(|(moment, is_return, _)| (*moment, *is_return));
    for (number, (_, _, moment)) in moments.into_iter().enumerate() {
        *moment = number as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{AppendCall, Call};

    fn operation(session: u32, invoked: u64, returned: Option<u64>) -> Operation {
        Operation {
            session,
            invoked,
            returned,
            call: Call::Append(AppendCall::default()),
            answer: Answer::Unknown,
        }
    }

    #[test]
    fn equal_moments_overlap() {
        let mut operations = [operation(0, 5, Some(9)), operation(1, 9, None), operation(2, 9, Some(9))];
        rank(&mut operations, &mut []);
        let moments = operations.map(|operation| (operation.invoked, operation.returned));
        assert_eq!(moments, [(0, Some(3)), (1, None), (2, Some(4))]);
    }

    #[test]
    fn what_never_ended_is_unknown() {
        let mut merged = Merged::default();
        merged.note(Noted::Begun(Box::new(operation(0, 1, None))));
        merged.note(Noted::Ended { session: 0, returned: 2, answer: Answer::Refused("closed".into()) });
        merged.note(Noted::Begun(Box::new(operation(0, 3, None))));
        assert_eq!((merged.count(), merged.unanswered(), merged.acknowledged()), (2, 1, 0));
        let returned: Vec<_> = merged.operations().map(|operation| operation.returned).collect();
        assert_eq!(returned, [Some(2), None]);
    }
}
