//! Noting what clients do.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use annalist_core::{Append, Conflict, Error, ErrorKind, Query, Read, Receipt, RecordedEvent};

use super::merge::{self, Noted};
use super::{Answer, AppendCall, Call, EventText, Heard, History, LogEvent, Operation, ReadCall};
use crate::{Drained, Handle, Verdict, os};

/// Notes operations of many sessions, in one order of real time.
///
/// ```
/// use annalist_conformance::{Cx, Verdict, events, exact, history::Recorder, stream};
/// use annalist_core::Append;
///
/// async fn recorded(cx: Cx) -> Verdict {
///     let recorder = Recorder::new();
///     let session = recorder.session(&cx.fresh().await?);
///     session.append(Append::to(&stream("Order-1"), exact(0), events(1))).await?;
///     recorder.judge(&cx, "recorded").await
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    clock: Clock,
    sessions: AtomicU32,
    operations: Mutex<Vec<Operation>>,
    witness: Option<Witness>,
    /// Whether the store may have sent an append more than once by itself.
    attempts: bool,
}

/// The moments of calls and returns.
#[derive(Debug)]
enum Clock {
    /// A counter orders them as real time does, and no two are equal.
    Counter(AtomicU64),
    /// The clock that all processes of a host share. Two moments may be equal until [`merge::rank`] has made them numbers.
    Host,
}

impl Default for Clock {
    fn default() -> Self {
        Self::Counter(AtomicU64::new(0))
    }
}

/// Is told of each operation at its call and at its return.
struct Witness(Box<dyn Fn(Noted) + Send + Sync>);

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}

/// One client, who does one thing after the other through one handle.
///
/// ```
/// use annalist_conformance::{Verdict, history::Session};
/// use annalist_core::{Query, Read};
///
/// async fn looks(session: &Session) -> Verdict<usize> {
///     Ok(session.read(Read::log(Query::all())).await?.events.len())
/// }
/// ```
#[derive(Debug)]
pub struct Session {
    recorder: Recorder,
    number: u32,
    handle: Handle,
}

impl Recorder {
    /// A recorder that has noted nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A recorder whose moments are those of the host's clock, so that what other processes report can be [merged](super::merge::Merged).
    pub(crate) fn of_processes() -> Self {
        Self(Arc::new(Shared { clock: Clock::Host, ..Shared::default() }))
    }

    /// The same where connections are lost. A store may then send an append again by itself, and learn that it was there already: its first
    /// attempt counts as an operation of unknown outcome.
    pub(crate) fn through_faults() -> Self {
        Self(Arc::new(Shared { clock: Clock::Host, attempts: true, ..Shared::default() }))
    }

    /// A recorder in another process: each call and each return is told to `witness`, and nothing is kept.
    pub(crate) fn told_to(first_session: u32, witness: impl Fn(Noted) + Send + Sync + 'static) -> Self {
        let sessions = AtomicU32::new(first_session);
        let witness = Some(Witness(Box::new(witness)));
        Self(Arc::new(Shared { clock: Clock::Host, sessions, witness, ..Shared::default() }))
    }

    /// Takes operations in that others have noted.
    pub(crate) fn add(&self, operations: impl IntoIterator<Item = Operation>) {
        self.operations().extend(operations);
    }

    /// A new session on a handle.
    #[must_use]
    pub fn session(&self, handle: &Handle) -> Session {
        let number = self.0.sessions.fetch_add(1, Ordering::Relaxed);
        Session { recorder: self.clone(), number, handle: handle.clone() }
    }

    /// Notes what is wrong whatever is in the log; it belongs to the first session.
    pub(crate) fn wrong(&self, what: String) {
        self.tell(|| Noted::Wrong { session: 0, at: self.now(), what });
    }

    /// How many operations were noted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.operations().len()
    }

    /// The history so far, with the log as the handle reads it now.
    ///
    /// # Errors
    ///
    /// A violation if the log cannot be read.
    pub async fn history(&self, handle: &Handle) -> Verdict<History> {
        let log = handle.read_log().await?;
        let mut operations = self.operations().clone();
        if self.0.attempts {
            merge::add_attempts(&mut operations);
        }
        if matches!(self.0.clock, Clock::Host) {
            merge::rank(&mut operations, &mut []);
        }
        Ok(History { operations, log: log.iter().map(logged).collect(), followed: Vec::new() })
    }

    /// Reads the log through a fresh handle and checks the history against it. One that does not hold is saved, and the violation
    /// names the file.
    ///
    /// # Errors
    ///
    /// A violation if the history has no explanation.
    pub async fn judge(&self, cx: &crate::Cx, name: &str) -> Verdict {
        self.judge_through(&cx.fresh().await?, cx, name).await
    }

    /// The same, of a log that this handle reads.
    pub(crate) async fn judge_through(&self, handle: &Handle, cx: &crate::Cx, name: &str) -> Verdict {
        let history = self.history(handle).await?;
        let Err(why) = history.check() else { return Ok(()) };
        let file = std::env::temp_dir().join(format!("annalist-history-{name}-{}.jsonl", cx.seed()));
        let saved = match history.save(&file) {
            Ok(()) => format!("the history is in {}", file.display()),
            Err(error) => format!("the history could not be saved: {error}"),
        };
        Err(crate::Failure::Violated(why.into_iter().chain([saved]).collect()))
    }

    fn operations(&self) -> std::sync::MutexGuard<'_, Vec<Operation>> {
        self.0.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        match &self.0.clock {
            Clock::Counter(counter) => counter.fetch_add(1, Ordering::SeqCst),
            Clock::Host => os::now(),
        }
    }

    fn tell(&self, noted: impl FnOnce() -> Noted) {
        if let Some(Witness(witness)) = &self.0.witness {
            witness(noted());
        }
    }

    fn begun(&self, operation: &Operation) {
        self.tell(|| Noted::Begun(Box::new(operation.clone())));
    }

    /// One that was dropped stays begun for whoever is told.
    fn ended(&self, operation: Operation) {
        match &self.0.witness {
            None => self.operations().push(operation),
            Some(_) => {
                if let Operation { session, returned: Some(returned), answer, .. } = operation {
                    self.tell(|| Noted::Ended { session, returned, answer });
                }
            }
        }
    }
}

impl Session {
    /// Appends, and notes it. If the future is dropped, it is noted as of unknown outcome.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn append(&self, append: Append) -> Result<Receipt, Error> {
        let note = self.begin(Call::Append(AppendCall::of(&append)));
        let result = self.handle.append(append).await;
        note.end(Answer::of_append(&result));
        result
    }

    /// Reads to the end, and notes it.
    ///
    /// # Errors
    ///
    /// A violation if it cannot be read.
    pub async fn read(&self, read: Read) -> Verdict<Drained> {
        let note = self.begin(Call::Read(ReadCall::of(&read)));
        let drained = self.handle.drain(read).await?;
        note.end(Answer::of_read(&drained));
        Ok(drained)
    }

    /// Reads to the end, and notes it; what the store answers where a page fails.
    pub(crate) async fn try_read(&self, read: Read) -> Verdict<Result<Drained, Error>> {
        let note = self.begin(Call::Read(ReadCall::of(&read)));
        let answer = self.handle.try_drain(read).await?;
        note.end(match &answer {
            Ok(drained) => Answer::of_read(drained),
            Err(_) => Answer::Unknown,
        });
        Ok(answer)
    }

    /// Goes on through another handle.
    pub(crate) fn go_through(&mut self, handle: Handle) {
        self.handle = handle;
    }

    /// Reads the whole log, and notes it.
    ///
    /// # Errors
    ///
    /// A violation if it cannot be read.
    pub async fn read_log(&self) -> Verdict<Drained> {
        self.read(Read::log(Query::all())).await
    }

    /// The handle of the session.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Notes what a subscription gave that this session began.
    pub(crate) fn heard(&self, heard: Heard) {
        self.recorder.tell(|| Noted::Heard { session: self.number, at: self.recorder.now(), heard });
    }

    /// Notes the error behind an answer.
    pub(crate) fn failed(&self, error: &Error) {
        let (kind, text) = (error.kind().name().to_owned(), format!("{error:?}"));
        self.recorder.tell(|| Noted::Failed { session: self.number, at: self.recorder.now(), kind, text });
    }

    /// Notes what is wrong whatever is in the log.
    pub(crate) fn wrong(&self, what: String) {
        self.recorder.tell(|| Noted::Wrong { session: self.number, at: self.recorder.now(), what });
    }

    /// Notes that an operation begins.
    pub(crate) fn begin(&self, call: Call) -> Note<'_> {
        let operation = Operation {
            session: self.number,
            invoked: self.recorder.now(),
            returned: None,
            call,
            answer: Answer::Unknown,
        };
        // Whatever reaches the store was told before.
        self.recorder.begun(&operation);
        Note { recorder: &self.recorder, operation: Some(operation) }
    }
}

/// An operation under way; noted when it ends or is dropped.
pub(crate) struct Note<'a> {
    recorder: &'a Recorder,
    operation: Option<Operation>,
}

impl Note<'_> {
    pub(crate) fn end(mut self, answer: Answer) {
        if let Some(mut operation) = self.operation.take() {
            operation.returned = Some(self.recorder.now());
            operation.answer = answer;
            self.recorder.ended(operation);
        }
    }
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        if let Some(operation) = self.operation.take() {
            self.recorder.ended(operation);
        }
    }
}

impl Answer {
    /// What was answered to an append.
    pub(crate) fn of_append(result: &Result<Receipt, Error>) -> Self {
        match result {
            Ok(receipt) => committed(receipt),
            Err(error) => refused(error),
        }
    }

    /// What a read gave.
    pub(crate) fn of_read(drained: &Drained) -> Self {
        let events = drained.events.iter();
        let events =
            events.map(|event| (event.stream().clone(), event.version(), event.id(), event.position()));
        Self::Events { events: events.collect(), head: drained.head, version: drained.version }
    }
}

pub(crate) fn logged(event: &RecordedEvent) -> LogEvent {
    let (stream, version, position) = (event.stream().clone(), event.version(), event.position());
    LogEvent { stream, version, position, event: EventText::of(event.event()) }
}

pub(super) fn committed(receipt: &Receipt) -> Answer {
    let written = receipt.written().iter();
    let written =
        written.map(|part| (part.stream().clone(), part.first_version(), part.positions().to_vec()));
    Answer::Committed { already: receipt.already_committed(), written: written.collect() }
}

pub(crate) fn refused(error: &Error) -> Answer {
    match error.kind().clone() {
        ErrorKind::Conflict(Conflict::Version { stream, expected, actual }) => {
            Answer::Version { stream, expected, actual }
        }
        ErrorKind::Conflict(Conflict::Condition { index, matched }) => Answer::Condition { index, matched },
        ErrorKind::IdReused(reused) => {
            Answer::IdReused { id: reused.id, stream: reused.stream, version: reused.version }
        }
        // Only these kinds promise that nothing was written and nothing will be.
        kind @ (ErrorKind::Invalid(_)
        | ErrorKind::Misconfigured(_)
        | ErrorKind::Unavailable(_)
        | ErrorKind::WrongHistory(_)
        | ErrorKind::Closed
        | ErrorKind::Unsupported(_)) => Answer::Refused(kind.name().to_owned()),
        _ => Answer::Unknown,
    }
}
