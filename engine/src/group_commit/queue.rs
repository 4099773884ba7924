//! The queue: who waits for what, in the order of arrival. Pure state behind one lock; nothing here waits.

use std::collections::BTreeSet;

use annalist_core::{Append, Error, ErrorKind, EventId, StreamId};
use hashbrown::HashMap;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Span;

use super::config::Config;
use super::entry::{Answer, Entry, Place, Waiter};
use super::pick::pick;
use super::verdict::{Failure, Verdict, judge};

/// The number of an append in the order of arrival.
pub(super) type Arrival = u64;

/// All appends that have no answer yet.
pub(super) struct Queue {
    config: Config,
    entries: HashMap<Arrival, Entry>,
    line: BTreeSet<Arrival>,
    line_bytes: usize,
    room: BTreeSet<Arrival>,
    /// The newest append under the first event that it writes, by which its twins find it.
    newest: HashMap<(StreamId, EventId), Arrival>,
    arrivals: Arrival,
    is_closed: bool,
    is_served: bool,
    is_dozing: bool,
}

/// What a caller gets for an append that has entered.
pub(super) struct Entered {
    pub(super) arrival: Arrival,
    pub(super) number: u64,
    pub(super) answer: oneshot::Receiver<Answer>,
    pub(super) stir: Stir,
}

/// What must be done, once the lock is free, about the task that serves the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stir {
    Nothing,
    Start,
    Wake,
}

/// What the task that serves the queue does next.
pub(super) enum Next {
    Send(Batch),
    /// Wait until something changes, and until then at most.
    Doze(Option<Instant>),
    /// End: nobody waits for anything. The next append starts another task.
    End,
}

/// The appends of one batch.
pub(super) struct Batch {
    pub(super) arrivals: Vec<Arrival>,
    pub(super) appends: Vec<Append>,
    pub(super) events: usize,
    pub(super) attempt: u32,
    pub(super) callers: Vec<Span>,
    /// When a reply that has not come counts as lost.
    pub(super) until: Instant,
}

impl Queue {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            entries: HashMap::new(),
            line: BTreeSet::new(),
            line_bytes: 0,
            room: BTreeSet::new(),
            newest: HashMap::new(),
            arrivals: 0,
            is_closed: false,
            is_served: false,
            is_dozing: false,
        }
    }

    /// Takes in an append, or lets it join its twin.
    pub(super) fn enter(&mut self, append: Append, deadline: Instant) -> Result<Entered, Error> {
        if self.is_closed {
            return Err(ErrorKind::Closed.into());
        }
        self.arrivals += 1;
        let number = self.arrivals;
        let (sender, answer) = oneshot::channel();
        let waiter = Waiter { number, span: Span::current(), answer: sender, late: false };
        if let Some(arrival) = self.twin(&append)
            && let Some(entry) = self.entries.get_mut(&arrival)
        {
            entry.join(waiter, deadline);
            return Ok(Entered { arrival, number, answer, stir: Stir::Nothing });
        }
        if let Some(key) = twin_key(&append) {
            self.newest.insert(key, number);
        }
        self.entries.insert(number, Entry::new(append, deadline, waiter));
        self.room.insert(number);
        self.let_in();
        Ok(Entered { arrival: number, number, answer, stir: self.stir() })
    }

    fn twin(&self, append: &Append) -> Option<Arrival> {
        let arrival = *self.newest.get(&twin_key(append)?)?;
        let entry = self.entries.get(&arrival)?;
        // One that all have given up on is sent no more: whoever comes now has a fate of its own.
        let goes_on = entry.is_awaited() || entry.deadline > Instant::now();
        (goes_on && entry.append.same_request(append)).then_some(arrival)
    }

    /// A caller stops waiting. What is in no batch and has not left, and nobody else waits for, is withdrawn.
    pub(super) fn leave(&mut self, arrival: Arrival, number: u64, now: Instant) -> Stir {
        let Some(entry) = self.entries.get_mut(&arrival) else { return Stir::Nothing };
        entry.part(number);
        if entry.place == Place::Batch || !entry.is_useless(now) {
            return Stir::Nothing;
        }
        self.remove(arrival);
        self.let_in();
        self.stir()
    }

    /// What a caller whose time is up is told; `None` where an answer is there already.
    pub(super) fn overdue(&self, arrival: Arrival) -> Option<Error> {
        let entry = self.entries.get(&arrival)?;
        Some(entry.undecided(match entry.place {
            Place::Room => "the queue was full until the deadline",
            Place::Line => "not sent, or not answered, by the deadline",
            Place::Batch if entry.is_sent => "no reply by the deadline",
            Place::Batch => "no way to the store by the deadline",
        }))
    }

    /// Takes the next batch, if one can go.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let candidates = self.line.iter().filter_map(|arrival| Some((*arrival, self.entries.get(arrival)?)));
        let picked = pick(candidates, &self.config, now);
        for arrival in picked.useless {
            self.remove(arrival);
        }
        let next = if !picked.batch.is_empty() {
            Next::Send(self.load(picked.batch, now))
        } else if self.line.is_empty() && self.room.is_empty() {
            self.is_served = false;
            Next::End
        } else {
            self.is_dozing = true;
            Next::Doze(picked.again_at)
        };
        self.let_in();
        next
    }

    fn load(&mut self, arrivals: Vec<Arrival>, now: Instant) -> Batch {
        let mut batch = Batch {
            appends: Vec::with_capacity(arrivals.len()),
            arrivals,
            events: 0,
            attempt: 0,
            callers: Vec::new(),
            until: now,
        };
        for arrival in &batch.arrivals {
            let Some(entry) = self.entries.get_mut(arrival) else { continue };
            self.line.remove(arrival);
            self.line_bytes -= entry.bytes;
            entry.depart();
            batch.appends.push(entry.append.clone());
            batch.events += entry.events;
            batch.attempt = batch.attempt.max(entry.attempts);
            batch.callers.extend(entry.spans().filter(|span| !span.is_none()).cloned());
            batch.until = batch.until.max(entry.deadline);
        }
        batch.until = batch.until.min(crate::later(now, self.config.attempt_timeout));
        batch
    }

    /// Lets the batch that was taken last leave now: from here on what becomes of it is not known without a reply. Not so where the time of any of
    /// it is up: its caller may have been told that it never left.
    pub(super) fn may_leave(&mut self, arrivals: &[Arrival], now: Instant) -> bool {
        let in_time = |arrival| self.entries.get(arrival).is_some_and(|entry| entry.deadline > now);
        if !arrivals.iter().all(in_time) {
            return false;
        }
        for arrival in arrivals {
            if let Some(entry) = self.entries.get_mut(arrival) {
                entry.is_sent = true;
            }
        }
        true
    }

    /// Takes the writer's answer for an append of the batch in flight. Gives the error for which it is sent again, if it is.
    pub(super) fn receive(&mut self, arrival: Arrival, answer: Answer, now: Instant) -> Option<Error> {
        let may_have_left = self.entries.get(&arrival)?.may_have_left();
        match judge(answer, may_have_left) {
            Verdict::Final(verdict) => {
                self.settle(arrival, verdict);
                None
            }
            Verdict::Again(failure) => self.put_back(arrival, &failure, now).then_some(failure.error),
        }
    }

    fn settle(&mut self, arrival: Arrival, verdict: Answer) {
        let Some(entry) = self.remove(arrival) else { return };
        if let Some(entry) = entry.settle(verdict) {
            if let Some(key) = twin_key(&entry.append) {
                self.newest.entry(key).or_insert(arrival);
            }
            self.entries.insert(arrival, entry);
            self.line_up(arrival);
        }
    }

    /// Answers for an append of the batch in flight of which nothing more can be learnt.
    pub(super) fn give_up(&mut self, arrival: Arrival, answer: Error) {
        if let Some(entry) = self.remove(arrival) {
            entry.answer(Err(answer));
        }
    }

    /// Puts an append of the batch in flight back into its place in the queue, to be sent again after a pause; tells
    /// whether it will be.
    pub(super) fn put_back(&mut self, arrival: Arrival, failure: &Failure, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(&arrival) else { return false };
        let failures = entry.fail(failure);
        entry.not_before = Some(crate::later(now, self.config.backoff(failures)));
        if entry.is_useless(now) {
            self.remove(arrival);
            return false;
        }
        self.line_up(arrival);
        true
    }

    /// Puts an append of the batch in flight back into its place in the queue, to be sent at once.
    pub(super) fn send_again(&mut self, arrival: Arrival) {
        self.line_up(arrival);
    }

    /// Bounds the next batch that an append goes in.
    pub(super) fn bound(&mut self, arrival: Arrival, batch_max: usize) {
        if let Some(entry) = self.entries.get_mut(&arrival) {
            entry.batch_max = batch_max;
        }
    }

    fn line_up(&mut self, arrival: Arrival) {
        let Some(entry) = self.entries.get_mut(&arrival) else { return };
        entry.place = Place::Line;
        self.line.insert(arrival);
        self.line_bytes += entry.bytes;
    }

    /// Answers everybody, because nobody is there any more to serve the queue.
    pub(super) fn abandon(&mut self) {
        for (_, entry) in self.entries.drain() {
            let answer = entry.undecided("the runtime stopped the group commit");
            entry.answer(Err(answer));
        }
        self.line.clear();
        self.room.clear();
        self.newest.clear();
        self.line_bytes = 0;
        self.is_served = false;
    }

    /// Refuses whatever comes from now on.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Whether a task serves the queue, as it does while anybody waits for anything.
    pub(super) fn is_served(&self) -> bool {
        self.is_served
    }

    /// Moves those who came first from before the queue into it, while there is room.
    fn let_in(&mut self) {
        while let Some(arrival) = self.room.first().copied() {
            let bytes = self.entries.get(&arrival).map_or(0, |entry| entry.bytes);
            let fits = self.line.len() < self.config.queue_appends_max
                && self.line_bytes.saturating_add(bytes) <= self.config.queue_bytes_max;
            if !fits && !self.line.is_empty() {
                return;
            }
            self.room.remove(&arrival);
            self.line_up(arrival);
        }
    }

    fn remove(&mut self, arrival: Arrival) -> Option<Entry> {
        let entry = self.entries.remove(&arrival)?;
        if self.line.remove(&arrival) {
            self.line_bytes -= entry.bytes;
        }
        self.room.remove(&arrival);
        if let Some(key) = twin_key(&entry.append)
            && self.newest.get(&key) == Some(&arrival)
        {
            self.newest.remove(&key);
        }
        Some(entry)
    }

    fn stir(&mut self) -> Stir {
        if !std::mem::replace(&mut self.is_served, true) {
            Stir::Start
        } else if std::mem::take(&mut self.is_dozing) {
            Stir::Wake
        } else {
            Stir::Nothing
        }
    }
}

/// By what an append is found by its twins: its first event. One without events is nobody's twin: nothing is written
/// twice if it is sent twice, and its verdict must be younger than its request.
fn twin_key(append: &Append) -> Option<(StreamId, EventId)> {
    append.events().next().map(|(stream, event)| (stream.clone(), event.id()))
}

#[cfg(test)]
mod tests {
    use annalist_core::{ExpectedVersion, NewEvent, backend};

    use super::*;

    fn append(name: &str) -> Append {
        let (stream, event) =
            (StreamId::new(name).expect("a name"), NewEvent::new("Ticked", "{}").expect("a type"));
        Append::to(&stream, ExpectedVersion::Any, [event])
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_what_is_answered_or_withdrawn() {
        let mut queue = Queue::new(Config { queue_appends_max: 2, ..Config::default() });
        let now = Instant::now();
        let deadline = crate::later(now, std::time::Duration::from_secs(1));
        let mut entered = ["A", "B", "C"].map(|name| queue.enter(append(name), deadline).expect("open"));
        queue.leave(entered[1].arrival, entered[1].number, now);
        let Next::Send(batch) = queue.next(now) else { panic!("a batch") };
        for arrival in batch.arrivals {
            assert!(queue.receive(arrival, Ok(backend::receipt(false, Vec::new())), now).is_none());
        }
        assert!(entered[0].answer.try_recv().is_ok() && entered[2].answer.try_recv().is_ok());
        assert!(matches!(queue.next(now), Next::End));
        assert!(queue.entries.is_empty() && queue.newest.is_empty());
        assert!(queue.line.is_empty() && queue.room.is_empty());
        assert_eq!(queue.line_bytes, 0);
    }
}
