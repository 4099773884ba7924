//! Noting what clients do.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use annalist_core::{Append, Conflict, Error, ErrorKind, Query, Read, Receipt, RecordedEvent};

use super::{Answer, AppendCall, Call, EventText, History, LogEvent, Operation, ReadCall};
use crate::{Drained, Handle, Verdict};

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
    /// The moments of calls and returns: a counter orders them as real time does, and no two are equal.
    clock: AtomicU64,
    sessions: AtomicU32,
    operations: Mutex<Vec<Operation>>,
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

    /// A new session on a handle.
    #[must_use]
    pub fn session(&self, handle: &Handle) -> Session {
        let number = self.0.sessions.fetch_add(1, Ordering::Relaxed);
        Session { recorder: self.clone(), number, handle: handle.clone() }
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
        let operations = self.operations().clone();
        Ok(History { operations, log: log.iter().map(logged).collect() })
    }

    /// Reads the log through a fresh handle and checks the history against it. One that does not hold is saved, and the violation
    /// names the file.
    ///
    /// # Errors
    ///
    /// A violation if the history has no explanation.
    pub async fn judge(&self, cx: &crate::Cx, name: &str) -> Verdict {
        let history = self.history(&cx.fresh().await?).await?;
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
        self.0.clock.fetch_add(1, Ordering::SeqCst)
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
        note.end(match &result {
            Ok(receipt) => committed(receipt),
            Err(error) => refused(error),
        });
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
        let events = drained.events.iter();
        let events =
            events.map(|event| (event.stream().clone(), event.version(), event.id(), event.position()));
        note.end(Answer::Events { events: events.collect(), head: drained.head, version: drained.version });
        Ok(drained)
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

    fn begin(&self, call: Call) -> Note<'_> {
        let operation = Operation {
            session: self.number,
            invoked: self.recorder.now(),
            returned: None,
            call,
            answer: Answer::Unknown,
        };
        Note { recorder: &self.recorder, operation: Some(operation) }
    }
}

/// An operation under way; noted when it ends or is dropped.
struct Note<'a> {
    recorder: &'a Recorder,
    operation: Option<Operation>,
}

impl Note<'_> {
    fn end(mut self, answer: Answer) {
        if let Some(mut operation) = self.operation.take() {
            operation.returned = Some(self.recorder.now());
            operation.answer = answer;
            self.recorder.operations().push(operation);
        }
    }
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        self.recorder.operations().extend(self.operation.take());
    }
}

fn logged(event: &RecordedEvent) -> LogEvent {
    let (stream, version, position) = (event.stream().clone(), event.version(), event.position());
    LogEvent { stream, version, position, event: EventText::of(event.event()) }
}

pub(super) fn committed(receipt: &Receipt) -> Answer {
    let written = receipt.written().iter();
    let written =
        written.map(|part| (part.stream().clone(), part.first_version(), part.positions().to_vec()));
    Answer::Committed { already: receipt.already_committed(), written: written.collect() }
}

pub(super) fn refused(error: &Error) -> Answer {
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
