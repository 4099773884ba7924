//! The thread that writes: one for each file and process, with the one connection that does.
//!
//! SQLite lets one writer at a time into a file. The thread takes whatever has gathered while its last transaction was written, from all handles on the
//! file, and does it in one. What has not begun can be taken back, and is certainly not done then.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use annalist_core::{Error, ErrorKind};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::error::{Failure, unavailable};
use crate::thread;

/// What the handles of one file share.
pub(crate) struct Writer {
    path: PathBuf,
    wal_bytes_max: u64,
    state: Mutex<State>,
    /// Whether another process has held the lock for longer than anybody should.
    is_contended: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    users: usize,
    thread: Option<Thread>,
}

/// The thread ends when its queue is dropped.
struct Thread {
    queue: mpsc::Sender<Slot>,
    ended: watch::Receiver<()>,
}

/// Work that waits for its turn. Whoever takes it out has it: the thread, or the caller who no longer waits.
#[derive(Clone)]
pub(crate) struct Slot(Arc<Mutex<Option<Box<dyn Work>>>>);

impl Slot {
    pub(crate) fn take(&self) -> Option<Box<dyn Work>> {
        // Nothing panics while it holds this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// Something to be done in a transaction that writes.
pub(crate) trait Work: Send {
    /// Does it. May be done again in another transaction, after the one before was rolled back.
    fn run(&mut self, connection: &Connection) -> Result<(), Error>;

    /// Tells the caller what has become of it.
    fn answer(self: Box<Self>, outcome: Result<(), Failure>);
}

struct Job<T, F> {
    work: F,
    done: Option<T>,
    answer: oneshot::Sender<Result<T, Failure>>,
}

impl<T: Send, F: FnMut(&Connection) -> Result<T, Error> + Send> Work for Job<T, F> {
    fn run(&mut self, connection: &Connection) -> Result<(), Error> {
        self.done = Some((self.work)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Failure>) {
        let Self { done, answer, .. } = *self;
        // Nobody may wait any more.
        let _ = answer.send(outcome.and_then(|()| done.ok_or_else(lost)));
    }
}

fn lost() -> Failure {
    Failure::Unknown(ErrorKind::Indeterminate("the thread that writes was lost".to_owned()).into())
}

/// The writers of all files that this process has open.
static WRITERS: Mutex<Option<HashMap<PathBuf, Weak<Writer>>>> = Mutex::new(None);

/// One handle's use of a writer.
pub(crate) struct Use {
    writer: Arc<Writer>,
    is_over: bool,
}

impl Use {
    /// The writer of the file at a path, shared by all that ask for it while any of them uses it.
    pub(crate) fn of(path: &Path, wal_bytes_max: u64) -> Self {
        let mut writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
        let writers = writers.get_or_insert_default();
        writers.retain(|_, writer| writer.strong_count() > 0);
        let writer = writers.get(path).and_then(Weak::upgrade).unwrap_or_else(|| {
            let writer = Arc::new(Writer {
                path: path.to_owned(),
                wal_bytes_max,
                state: Mutex::default(),
                is_contended: Arc::default(),
            });
            writers.insert(path.to_owned(), Arc::downgrade(&writer));
            writer
        });
        writer.state().users += 1;
        Self { writer, is_over: false }
    }

    pub(crate) fn writer(&self) -> &Arc<Writer> {
        &self.writer
    }

    /// Ends the use. Of the last one, waits until the thread has brought everything into the file and closed it.
    pub(crate) async fn end(mut self) {
        if let Some(Thread { queue, mut ended }) = self.leave() {
            drop(queue);
            // It ends by an error: nobody is left who could change it.
            while ended.changed().await.is_ok() {}
        }
    }

    fn leave(&mut self) -> Option<Thread> {
        if std::mem::replace(&mut self.is_over, true) {
            return None;
        }
        let mut state = self.writer.state();
        state.users -= 1;
        if state.users == 0 { state.thread.take() } else { None }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        drop(self.leave());
    }
}

impl Writer {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_contended(&self) -> bool {
        self.is_contended.load(Ordering::Relaxed)
    }

    pub(crate) fn note_contention(&self) {
        self.is_contended.store(true, Ordering::Relaxed);
    }

    /// Puts work into the queue.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<Ticket<T>, Failure> {
        let (answer, answered) = oneshot::channel();
        let slot = Slot(Arc::new(Mutex::new(Some(Box::new(Job { work, done: None, answer })))));
        self.send(slot.clone())?;
        Ok(Ticket { slot, answered })
    }

    fn send(&self, slot: Slot) -> Result<(), Failure> {
        let mut state = self.state();
        let slot = match &state.thread {
            Some(thread) => match thread.queue.send(slot) {
                Ok(()) => return Ok(()),
                // It panicked.
                Err(mpsc::SendError(slot)) => slot,
            },
            None => slot,
        };
        let (queue, work) = mpsc::channel();
        let (ends, ended) = watch::channel(());
        let serving = thread::Serving::new(&self.path, self.wal_bytes_max, self.is_contended.clone());
        let body = move || {
            serving.run(&work);
            drop(ends);
        };
        let started = std::thread::Builder::new().name("annalist-sqlite".to_owned()).spawn(body);
        started.map_err(|cause| Failure::NotDone(unavailable("no thread to be had").with_source(cause)))?;
        // It has just begun to listen.
        let _ = queue.send(slot);
        state.thread = Some(Thread { queue, ended });
        Ok(())
    }

    /// Does something that changes what is stored, and waits for it until a deadline.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnMut(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut ticket = self.submit(work)?;
        match timeout_at(deadline, ticket.answer()).await {
            Ok(answer) => Ok(answer?),
            Err(_) if ticket.withdraw() => Err(unavailable("the file was not to be had by the deadline")),
            Err(_) => Err(ErrorKind::Indeterminate("no answer by the deadline".to_owned()).into()),
        }
    }
}

/// Work on its way. Dropped before its turn, it is not done.
pub(crate) struct Ticket<T> {
    slot: Slot,
    answered: oneshot::Receiver<Result<T, Failure>>,
}

impl<T> Ticket<T> {
    /// Waits for the answer. Cancel-safe.
    pub(crate) async fn answer(&mut self) -> Result<T, Failure> {
        (&mut self.answered).await.unwrap_or_else(|_| Err(lost()))
    }

    /// Takes the work back, if its turn has not come yet.
    pub(crate) fn withdraw(&self) -> bool {
        self.slot.take().is_some()
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        self.withdraw();
    }
}
