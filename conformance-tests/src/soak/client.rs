//! A client: it does what the plan says, and notes what it is answered.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use annalist_core::{Append, Error, ErrorKind, Position, Query, Read, Snapshot, StreamId, Version};
use tokio::sync::watch;

use super::place::Way;
use super::plan::{AppendPlan, Fate, Plan, Since, Step};
use crate::history::{Answer, Call, Session};
use crate::{Drained, PollLimit};

/// How long an operation is given by those who wait for it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client waits before it sends an append again.
const BREATH: Duration = Duration::from_millis(30);

/// How many appends are remembered, to be sent again.
const SENT_MAX: usize = 8;

/// How many appends of unknown outcome are remembered. What is beyond stays unknown.
const UNSETTLED_MAX: usize = 20;

/// How many positions are remembered, to be read from.
const SEEN_MAX: usize = 16;

pub(super) struct Client {
    pub(super) plan: Plan,
    pub(super) number: u32,
    pub(super) session: Session,
    /// Where the client has a handle of its own, how to open another.
    pub(super) own: Option<Way>,
    pub(super) memory: Memory,
}

/// What a client remembers.
#[derive(Default)]
pub(super) struct Memory {
    sent: VecDeque<Append>,
    unsettled: VecDeque<Append>,
    seen: VecDeque<Position>,
    /// The epoch that the client is in, and the first head that it saw in it.
    epoch: Option<(u64, Position)>,
}

/// Whether an error means that it may be sent again.
pub(super) fn passes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_))
}

/// Waits for it to be over.
pub(super) async fn ended(over: &mut watch::Receiver<bool>) {
    // Whoever could say so is gone: that is over, too.
    let _ = over.wait_for(|over| *over).await;
}

impl Client {
    /// Does what the plan says until it is over, and then settles what is open.
    pub(super) async fn work(mut self, mut over: watch::Receiver<bool>) {
        let mut tick = self.plan.tick();
        while !*over.borrow() {
            tokio::select! {
                () = tokio::time::sleep(self.plan.until(tick)) => {}
                () = ended(&mut over) => break,
            }
            for step in self.plan.steps(self.number, tick) {
                if *over.borrow() {
                    break;
                }
                self.step(step, tick).await;
            }
            // What a fault has made it miss is not made up for.
            tick = self.plan.tick().max(tick + 1);
        }
        self.settle().await;
    }

    async fn step(&mut self, step: Step, tick: u64) {
        match step {
            Step::Append(plan, fate) => {
                if let Some(append) = self.made(&plan, tick).await {
                    self.send(append, fate).await;
                }
            }
            Step::Again(back) => {
                if let Some(append) = self.remembered(back) {
                    self.send(append, Fate::Awaited).await;
                }
            }
            Step::Twist(back, more) => {
                if let Some(append) = self.remembered(back).and_then(|append| twisted(&append, more)) {
                    self.send(append, Fate::Awaited).await;
                }
            }
            Step::ReadStream(read) => drop(self.read(read).await),
            Step::ReadLog(read, back) => {
                // Not from the start: a long log would be looked through again and again.
                if let Some(after) = self.memory.seen.get(back).copied() {
                    drop(self.read(read.after(after)).await);
                }
            }
            Step::Reopen => self.reopen().await,
            step => self.beside(step).await,
        }
    }

    /// What is not about the log.
    async fn beside(&mut self, step: Step) {
        let handle = self.session.handle().clone();
        let (call, done): (_, futures::future::BoxFuture<'_, Result<Answer, Error>>) = match step {
            Step::SaveSnapshot(stream, schema, version, content) => {
                let snapshot = Snapshot::new(&stream, &schema, version, content.clone());
                let call = Call::SaveSnapshot { stream, schema, version, content };
                (
                    call,
                    Box::pin(async move {
                        handle.snapshots().save_snapshot(snapshot).await.map(|()| Answer::Done)
                    }),
                )
            }
            Step::LoadSnapshot(stream, schema, at_most) => {
                let call = Call::LoadSnapshot { stream: stream.clone(), schema: schema.clone(), at_most };
                let load = async move {
                    let found = handle.snapshots().load_snapshot(&stream, &schema, at_most).await?;
                    let text = |data: &[u8]| String::from_utf8_lossy(data).into_owned();
                    Ok(Answer::Snapshot(found.map(|found| (found.version, text(&found.data)))))
                };
                (call, Box::pin(load))
            }
            Step::PruneSnapshots(stream, schema, keep) => {
                let call = Call::PruneSnapshots {
                    stream: stream.clone(),
                    schema: schema.clone(),
                    keep: keep as u64,
                };
                let prune = async move { handle.snapshots().prune_snapshots(&stream, &schema, keep).await };
                (call, Box::pin(async move { prune.await.map(|()| Answer::Done) }))
            }
            Step::LoadCheckpoint(name) => {
                let call = Call::LoadCheckpoint(name.clone());
                let load = async move {
                    let found = handle.checkpoints().load_checkpoint(&name).await?;
                    Ok(Answer::Checkpoint(found.map(|found| found.position)))
                };
                (call, Box::pin(load))
            }
            _ => return,
        };
        answered(&self.session, self.plan.patience, call, done).await;
    }

    /// The append of a plan, once it is known what is there; `None` if that could not be learned.
    async fn made(&mut self, plan: &AppendPlan, tick: u64) -> Option<Append> {
        let mut versions: HashMap<StreamId, Version> = HashMap::new();
        for stream in plan.looked_at() {
            versions.insert(stream.clone(), self.read(Read::stream(stream).limit(0)).await?.version);
        }
        let (mut head, epoch) = (Position::START, Plan::epoch(tick));
        if plan.condition.is_some() {
            head = self.read(Read::log(Query::all()).limit(0)).await?.head;
        }
        let first = match self.memory.epoch {
            Some((of, first)) if of == epoch => first,
            _ => head,
        };
        if plan.condition.is_some() {
            self.memory.epoch = Some((epoch, first));
        }
        let since = |since| if since == Since::Head { head } else { first };
        Some(plan.append(|stream| versions.get(stream).copied().unwrap_or_default(), since))
    }

    fn remembered(&self, back: usize) -> Option<Append> {
        self.memory.sent.get(back).cloned()
    }

    /// Sends an append, again where its outcome is open, and remembers it.
    async fn send(&mut self, append: Append, fate: Fate) {
        const ATTEMPTS: usize = 3;
        remember(&mut self.memory.sent, append.clone(), SENT_MAX);
        let mut fate = fate;
        for _ in 0..ATTEMPTS {
            match self.attempt(&append, fate).await {
                // It was dropped: nobody asks for it any more.
                None => return,
                Some(Err(error)) if passes(&error) => tokio::time::sleep(BREATH).await,
                Some(_) => return,
            }
            fate = Fate::Awaited;
        }
        remember(&mut self.memory.unsettled, append, UNSETTLED_MAX);
    }

    /// Sends an append once; `None` if it was dropped.
    async fn attempt(&mut self, append: &Append, fate: Fate) -> Option<Result<(), Error>> {
        let timeout = if let Fate::Hurried(timeout) = fate { timeout } else { TIMEOUT };
        let sent = self.session.append(append.clone().timeout(timeout));
        let answer = match fate {
            Fate::Dropped(polls) => PollLimit::new(polls, sent).await?,
            Fate::Awaited | Fate::Hurried(_) => match tokio::time::timeout(self.plan.patience, sent).await {
                Ok(answer) => answer,
                Err(_) => {
                    self.session
                        .wrong(format!("an append was not answered for {:?} (C2)", self.plan.patience));
                    return None;
                }
            },
        };
        match answer {
            Ok(receipt) => {
                self.memory.see(receipt.position());
                Some(Ok(()))
            }
            Err(error) => {
                self.session.failed(&error);
                Some(Err(error))
            }
        }
    }

    /// Reads, and notes it; `None` if that failed.
    async fn read(&mut self, read: Read) -> Option<Drained> {
        let found = read_noted(&self.session, self.plan.patience, read).await;
        self.memory.see(found.as_ref().map(|found| found.head));
        found
    }

    async fn reopen(&mut self) {
        let Some(way) = &self.own else { return };
        if let Err(error) = self.session.handle().close().await {
            self.session.failed(&error);
        }
        match way.open_at_last(self.plan.patience).await {
            Ok(handle) => self.session.go_through(handle),
            Err(failure) => self.session.wrong(format!("no other handle could be opened: {failure}")),
        }
    }

    /// Sends again what is of unknown outcome, until it is answered for good.
    async fn settle(&mut self) {
        let unsettled: Vec<_> = self.memory.unsettled.drain(..).collect();
        let long = 2 * self.plan.patience;
        for append in unsettled {
            let settled = async {
                while matches!(self.attempt(&append, Fate::Awaited).await, Some(Err(error)) if passes(&error))
                {
                    tokio::time::sleep(BREATH).await;
                }
            };
            if tokio::time::timeout(long, settled).await.is_err() {
                self.session
                    .wrong("an append cannot be settled although every fault is over (E1)".to_owned());
                return;
            }
        }
        if self.own.is_some() {
            let _ = self.session.handle().close().await;
        }
    }
}

impl Memory {
    fn see(&mut self, position: Option<Position>) {
        if let Some(position) = position {
            remember(&mut self.seen, position, SEEN_MAX);
        }
    }
}

/// The last one comes first.
fn remember<T>(memory: &mut VecDeque<T>, new: T, max: usize) {
    memory.push_front(new);
    memory.truncate(max);
}

/// An append with an event less, or with this one more; `None` where nothing is left.
fn twisted(append: &Append, more: Option<annalist_core::NewEvent>) -> Option<Append> {
    let mut twisted = Append::new();
    for (number, write) in append.writes().iter().enumerate() {
        let mut events = write.events.clone();
        match &more {
            Some(event) if number == 0 => events.push(event.clone()),
            None if number == 0 => drop(events.pop()),
            _ => {}
        }
        twisted = twisted.write(&write.stream, write.expected, events);
    }
    (twisted.event_count() > 0).then_some(twisted)
}

/// Reads through a session, and notes it; `None` if that failed. Each page has a deadline, and there may be many.
pub(super) async fn read_noted(session: &Session, patience: Duration, read: Read) -> Option<Drained> {
    const PAGES_AT_LEAST: u32 = 10;
    let patience = patience * PAGES_AT_LEAST;
    match tokio::time::timeout(patience, session.try_read(read.timeout(TIMEOUT))).await {
        Ok(Ok(Ok(found))) => Some(found),
        Ok(Ok(Err(error))) => {
            session.failed(&error);
            None
        }
        Ok(Err(failure)) => {
            session.wrong(format!("{failure:?}"));
            None
        }
        Err(_) => {
            session.wrong(format!("a read was not answered for {patience:?} (C2)"));
            None
        }
    }
}

/// Asks something, and notes it with what it is answered; the error where it is one.
pub(super) async fn answered(
    session: &Session,
    patience: Duration,
    call: Call,
    asked: impl Future<Output = Result<Answer, Error>>,
) -> Option<Result<(), Error>> {
    let note = session.begin(call);
    match tokio::time::timeout(patience, asked).await {
        Ok(Ok(answer)) => {
            note.end(answer);
            Some(Ok(()))
        }
        Ok(Err(error)) => {
            note.end(match error.kind() {
                ErrorKind::Fenced(_) => Answer::Refused(error.kind().name().to_owned()),
                _ => crate::history::refused(&error),
            });
            session.failed(&error);
            Some(Err(error))
        }
        Err(_) => {
            session.wrong(format!("an operation was not answered for {patience:?} (C2)"));
            None
        }
    }
}
