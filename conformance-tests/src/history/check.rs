//! The pass that decides whether a history is linearizable, given that positions order the appends (G1, G4).
//!
//! Each operation sees the log at one length. An append that committed sees it where its events begin; a read tells its length by
//! its head; a refusal fits some lengths and not others. An operation that began after another had returned must not see less. So one walk through
//! the moments of calls and returns, which gives each operation the least length that fits, finds a contradiction if there is one.

use std::collections::HashMap;

use annalist_core::{Append, Version};
use annalist_engine::admission::{Verdict as Admission, admit};

use super::log::{Appends, FinalLog, Prefix, TOLD_MAX};
use super::record::{committed, refused};
use super::{Answer, Call, Heard, History, Operation, ReadCall, checkpoints, snapshots};

impl History {
    /// Decides whether the history is linearizable.
    ///
    /// # Errors
    ///
    /// What contradicts it.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        if let Err(error) = pass(self, &mut wrong) {
            wrong.push(format!("this is no history: {error}"));
        }
        snapshots::check(&self.operations, &mut wrong);
        checkpoints::check(&self.operations, &mut wrong);
        wrong.truncate(TOLD_MAX);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

fn pass(history: &History, wrong: &mut Vec<String>) -> Result<(), annalist_core::Error> {
    let append = |operation: &Operation| match &operation.call {
        Call::Append(append) => append.append().map(Some),
        _ => Ok(None),
    };
    let appends: Appends = history.operations.iter().map(append).collect::<Result<_, _>>()?;
    let mut log = FinalLog::of(history, wrong)?;
    log.cut(history, &appends, wrong);
    if wrong.is_empty() {
        Walk::new(history, &appends, &log).go(wrong);
    }
    Ok(())
}

/// A moment of the history. What they are called in the same moment does not matter: no two share one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// An operation is called.
    Call(usize),
    /// It returns.
    Return(usize),
    /// A subscription is asked for.
    Follow(usize),
    /// It gives something, by the number of that.
    Hear(usize, usize),
}

struct Walk<'a> {
    history: &'a History,
    appends: &'a Appends,
    log: &'a FinalLog,
    /// The segment that each operation may have committed.
    committed: HashMap<usize, usize>,
    /// For each segment the earliest moment at which it and all before it had been sent.
    sent: Vec<u64>,
    /// Which segments have a committer that fits.
    explained: Vec<bool>,
    /// Why the committers of a segment do not fit.
    against: Vec<Vec<String>>,
}

impl<'a> Walk<'a> {
    fn new(history: &'a History, appends: &'a Appends, log: &'a FinalLog) -> Self {
        let mut latest = 0;
        let sent = log.segments.iter().map(|segment| {
            let first =
                segment.committers.iter().map(|operation| history.operations[*operation].invoked).min();
            latest = latest.max(first.unwrap_or(0));
            latest
        });
        let sent = sent.collect();
        let explained = vec![false; log.segments.len()];
        let against = vec![Vec::new(); log.segments.len()];
        Self { history, appends, log, committed: log.committed(), sent, explained, against }
    }

    /// All moments of the history, in their order.
    fn moments(&self) -> Vec<(u64, Moment)> {
        let mut moments = Vec::new();
        for (index, operation) in self.history.operations.iter().enumerate() {
            moments.push((operation.invoked, Moment::Call(index)));
            moments.extend(operation.returned.map(|returned| (returned, Moment::Return(index))));
        }
        for (index, followed) in self.history.followed.iter().enumerate() {
            moments.push((followed.invoked(), Moment::Follow(index)));
            let heard = followed.heard().iter().enumerate();
            moments.extend(heard.map(|(number, (at, _))| (*at, Moment::Hear(index, number))));
        }
        moments.sort_unstable();
        moments
    }

    fn go(mut self, wrong: &mut Vec<String>) {
        // What operation `i` saw at least, once it has begun, and what was acknowledged before subscription `i` began.
        let mut saw = vec![0; self.history.operations.len()];
        let mut before = vec![0; self.history.followed.len()];
        let mut acknowledged = 0;
        for (moment, what) in self.moments() {
            match what {
                Moment::Return(index) => acknowledged = acknowledged.max(saw[index]),
                Moment::Call(index) => match self.least(index, acknowledged) {
                    Ok(length) => saw[index] = length,
                    Err(why) => wrong.push(self.told(index, &why)),
                },
                Moment::Follow(index) => before[index] = acknowledged,
                Moment::Hear(index, number) => {
                    let heard = &self.history.followed[index].heard()[number].1;
                    let segments = self.shown(heard);
                    acknowledged = acknowledged.max(self.log.boundary(segments));
                    if segments.checked_sub(1).is_some_and(|last| self.sent[last] > moment) {
                        wrong.push(format!(
                            "at {moment} a subscription gave {heard:?}, which had not been sent yet"
                        ));
                    }
                }
            }
            if wrong.len() >= TOLD_MAX {
                return;
            }
        }
        for (followed, before) in self.history.followed.iter().zip(before) {
            let sent = self.log.boundary(self.sent.partition_point(|sent| *sent <= followed.returned()));
            wrong.extend(followed.check(self.log, before, sent).err());
        }
        for (segment, against) in self
            .log
            .segments
            .iter()
            .zip(&self.against)
            .zip(&self.explained)
            .filter_map(|(pair, explained)| (!explained).then_some(pair))
        {
            let first = &self.log.events[segment.start];
            wrong.push(format!(
                "the append at {} of {:?} cannot have committed there: {}",
                first.position(),
                first.stream(),
                against.join("; ")
            ));
        }
    }

    fn told(&self, index: usize, why: &str) -> String {
        let Operation { session, invoked, returned, .. } = &self.history.operations[index];
        let until = returned.map_or("never".to_owned(), |returned| returned.to_string());
        format!("operation {index} of session {session}, {invoked} to {until}: {why}")
    }

    /// How many appends had committed where a subscription gave this.
    fn shown(&self, heard: &Heard) -> usize {
        match self.log.length_at(heard.position()).checked_sub(1) {
            Some(last) => self.log.segments.partition_point(|segment| segment.start <= last),
            None => 0,
        }
    }

    /// The least length of the log that an operation can have seen, given what had been acknowledged before it began.
    fn least(&mut self, index: usize, acknowledged: usize) -> Result<usize, String> {
        let operation = &self.history.operations[index];
        match (&operation.answer, &self.appends[index], &operation.call) {
            (Answer::Unknown, Some(append), _) => {
                self.may_have_committed(index, append, acknowledged);
                Ok(acknowledged)
            }
            (Answer::Committed { already: false, .. }, Some(append), _) if append.event_count() > 0 => {
                self.has_committed(index, append, acknowledged)
            }
            // Nothing that is about the log.
            (_, None, call) if !matches!(call, Call::Append(_) | Call::Read(_)) => Ok(acknowledged),
            (Answer::Unknown | Answer::Refused(_), ..) => self.refused_for_its_own(index, acknowledged),
            (Answer::Events { .. }, _, Call::Read(read)) => self.reads(operation, read, acknowledged),
            (answer, Some(append), _) => self.answers(operation, append, answer, acknowledged),
            (answer, ..) => Err(format!("{answer:?} is no answer to {:?}", operation.call)),
        }
    }

    /// A refusal that does not lie in the log says nothing of its length. But a position that was asked with came from this log.
    fn refused_for_its_own(&self, index: usize, acknowledged: usize) -> Result<usize, String> {
        match &self.history.operations[index].answer {
            Answer::Refused(kind) if kind == "wrong_history" => {
                let conditions = self.appends[index].as_ref().map_or(&[][..], Append::conditions);
                let known =
                    self.log.events.last().map_or(annalist_core::Position::START, |event| event.position());
                if conditions.iter().all(|condition| condition.after <= known) {
                    return Err("a position of this log is refused as one of another history (G5)".to_owned());
                }
                Ok(acknowledged)
            }
            _ => Ok(acknowledged),
        }
    }

    fn has_committed(&mut self, index: usize, append: &Append, acknowledged: usize) -> Result<usize, String> {
        let Some(segment) = self.committed.get(&index).copied() else { return Ok(acknowledged) };
        // Whatever is wrong with it is told here, once.
        self.explained[segment] = true;
        let place = &self.log.segments[segment];
        self.fits(place.start, append, acknowledged)?;
        self.not_from_the_future(index, segment + 1)?;
        Ok(place.end)
    }

    fn may_have_committed(&mut self, index: usize, append: &Append, acknowledged: usize) {
        let Some(segment) = self.committed.get(&index).copied() else { return };
        if !self.explained[segment] {
            match self.fits(self.log.segments[segment].start, append, acknowledged) {
                Ok(()) => self.explained[segment] = true,
                Err(why) => self.against[segment].push(format!("operation {index}: {why}")),
            }
        }
    }

    /// Whether an append can have committed when the log had this length.
    fn fits(&self, start: usize, append: &Append, acknowledged: usize) -> Result<(), String> {
        if acknowledged > start {
            let before = &self.log.events[acknowledged - 1];
            return Err(format!(
                "it stands below {}, which had been acknowledged or read before it was sent (G2, G4)",
                before.position()
            ));
        }
        match said(append, &self.log.prefix(start)) {
            None => Ok(()),
            Some(answer) => Err(format!("it committed where it had to be answered {answer:?} (A3)")),
        }
    }

    fn not_from_the_future(&self, index: usize, segments: usize) -> Result<(), String> {
        let operation = &self.history.operations[index];
        match (operation.returned, segments.checked_sub(1)) {
            (Some(returned), Some(last)) if self.sent[last] > returned => Err(format!(
                "it returned at {returned}, but what it stands on or saw was sent at {}",
                self.sent[last]
            )),
            _ => Ok(()),
        }
    }

    fn reads(&self, operation: &Operation, read: &ReadCall, acknowledged: usize) -> Result<usize, String> {
        let Answer::Events { events, head, version } = &operation.answer else { return Ok(acknowledged) };
        let length = self.log.length_at(*head);
        if length < acknowledged {
            let missing = &self.log.events[acknowledged - 1];
            return Err(format!(
                "a read up to {head} misses {}, which came before it (R3)",
                missing.position()
            ));
        }
        let Some(segments) = self.log.segments_at(length) else {
            return Err(format!("a read up to {head} saw a part of an append (A1)"));
        };
        if let (Some(returned), Some(last)) = (operation.returned, segments.checked_sub(1))
            && self.sent[last] > returned
        {
            return Err(format!("a read up to {head} saw what was sent after it had returned"));
        }
        let (prefix, asked) = (self.log.prefix(length), read.read());
        let must = prefix.read(&asked);
        let must: Vec<_> = must
            .iter()
            .map(|event| (event.stream().clone(), event.version(), event.id(), event.position()))
            .collect();
        if must != *events {
            let differ = must.iter().zip(events).position(|(must, found)| must != found);
            let place = differ.unwrap_or(must.len().min(events.len()));
            let (must, found) = (must.get(place), events.get(place));
            return Err(format!(
                "a read up to {head} gave {found:?} at place {place}, the log has {must:?} (R1, R4, R6)"
            ));
        }
        let at_head = read.stream.as_ref().map_or(Version::NONE, |stream| prefix.version_of(stream));
        if at_head != *version {
            return Err(format!("a read up to {head} told version {version}, not {at_head} (R5)"));
        }
        Ok(length)
    }

    /// An answer that fits some lengths of the log and not others: the least that is not below what had been acknowledged, and not above what had been sent.
    fn answers(
        &self,
        operation: &Operation,
        append: &Append,
        answer: &Answer,
        acknowledged: usize,
    ) -> Result<usize, String> {
        let first = self.log.segments.partition_point(|segment| segment.end < acknowledged);
        let first = if acknowledged == 0 { 0 } else { first + 1 };
        let mut instead = None;
        for segments in first..=self.log.segments.len() {
            let late = |last: usize| operation.returned.is_some_and(|returned| self.sent[last] > returned);
            if segments.checked_sub(1).is_some_and(late) {
                break;
            }
            let length = self.log.boundary(segments);
            let must = said(append, &self.log.prefix(length));
            if must.as_ref() == Some(answer) || (must.is_none() && *answer == nothing_to_write()) {
                return Ok(length);
            }
            instead.get_or_insert(must);
        }
        let instead = instead.flatten().map_or("committed".to_owned(), |must| format!("{must:?}"));
        Err(format!(
            "it was answered {answer:?}, which held at no moment between its call and its return; at its call it had to be {instead} (A5, A7, I1)"
        ))
    }
}

/// What is answered to an append that wrote nothing because there was nothing to write.
fn nothing_to_write() -> Answer {
    Answer::Committed { already: false, written: Vec::new() }
}

/// What must be answered to an append at a state of the log; `None` where it must commit.
fn said(append: &Append, log: &Prefix<'_>) -> Option<Answer> {
    match admit(append, log).expect("every fact about the log is known") {
        Admission::Accepted => None,
        Admission::AlreadyCommitted(receipt) => Some(committed(&receipt)),
        Admission::Refused(error) => Some(refused(&error)),
    }
}
