//! What the thread does: transactions, and keeping the write-ahead log short.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use annalist_core::{Error, ErrorKind};
use rusqlite::Connection;
use tracing::warn;

use crate::connection::{Link, Pauses, Whereabouts, gone};
use crate::error::{self, Failure, is_busy, unavailable};
use crate::writer::{Slot, Work};

/// How many pieces of work one transaction does at most.
const WORKS_MAX: usize = 64;

/// For how many transactions others are let in between, after the lock was met once: who has just had it is always the first to have it again, since all
/// others are asleep.
const COURTESY: u32 = 32;

/// How long one piece of work waits for the lock, once it was taken and could not be done together with others.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long readers are waited for, so that the write-ahead log can begin anew.
const READERS_WAIT_MAX: Duration = Duration::from_millis(250);

/// How often the size of the write-ahead log is looked at most: the look costs as much as a small transaction, and little is written meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

type Works = Vec<Box<dyn Work>>;

pub(crate) struct Serving {
    path: PathBuf,
    wal_bytes_max: u64,
    /// When the write-ahead log was looked at last.
    looked_at: Option<Instant>,
    /// The size at which shortening the write-ahead log is tried again.
    shorten_at: u64,
    is_contended: Arc<AtomicBool>,
    /// For how many more transactions others are let in between.
    courtesy: u32,
    link: Option<Link>,
}

impl Serving {
    pub(crate) fn new(path: &Path, wal_bytes_max: u64, is_contended: Arc<AtomicBool>) -> Self {
        let path = path.to_owned();
        Self {
            path,
            wal_bytes_max,
            looked_at: None,
            shorten_at: wal_bytes_max,
            is_contended,
            courtesy: 0,
            link: None,
        }
    }

    /// Serves the queue until nobody can put anything into it any more.
    pub(crate) fn run(mut self, queue: &Receiver<Slot>) {
        let mut watch = Watch::default();
        while let Some(first) = watch.next(queue) {
            let mut slots = vec![first];
            slots.extend(queue.try_iter().take(WORKS_MAX - 1));
            self.turn(&slots);
            self.keep_log_short();
            if self.courtesy > 0 {
                self.courtesy -= 1;
                Pauses::let_others();
            }
        }
        if let Some(link) = self.link.take() {
            // Whatever cannot be brought into the file itself now is in its write-ahead log, and as safe there.
            let _ = checkpoint(&link.connection);
        }
    }

    fn turn(&mut self, slots: &[Slot]) {
        match self.begin(|| slots.iter().any(|slot| !slot.is_taken())) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                let works = slots.iter().filter_map(Slot::take);
                return works.for_each(|work| work.answer(Err(Failure::NotDone(error.clone()))));
            }
        }
        let works: Works = slots.iter().filter_map(Slot::take).collect();
        let Err((works, failure)) = self.carry_out(works) else { return };
        // One of them may have failed them all.
        let is_any_of_several = works.len() > 1 && matches!(failure, Failure::NotDone(_));
        for work in works {
            if is_any_of_several {
                self.alone(work);
            } else {
                work.answer(Err(failure.clone()));
            }
        }
    }

    fn alone(&mut self, work: Box<dyn Work>) {
        let until = Instant::now() + LOCK_WAIT_MAX;
        match self.begin(|| Instant::now() < until) {
            Ok(true) => {}
            Ok(false) => return work.answer(Err(Failure::NotDone(unavailable("the file is locked")))),
            Err(error) => return work.answer(Err(Failure::NotDone(error))),
        }
        if let Err((works, failure)) = self.carry_out(vec![work]) {
            works.into_iter().for_each(|work| work.answer(Err(failure.clone())));
        }
    }

    /// Does all in the transaction that was begun, commits and answers; gives them back where that failed.
    fn carry_out(&mut self, mut works: Works) -> Result<(), (Works, Failure)> {
        let link = self.link.as_ref().expect("a transaction has begun on it");
        let connection = &link.connection;
        let done = works.iter_mut().try_for_each(|work| work.run(connection)).map_err(Failure::NotDone);
        let done = done.and_then(|()| execute(connection, "COMMIT").map_err(error::of_commit));
        let done = done.and_then(|()| match link.whereabouts(&self.path) {
            Whereabouts::Here => Ok(()),
            _ => Err(Failure::Unknown(vanished())),
        });
        match done {
            Ok(()) => {
                works.into_iter().for_each(|work| work.answer(Ok(())));
                Ok(())
            }
            Err(failure) => {
                // What is wrong with the connection ends with it, and so does its transaction.
                self.link = None;
                Err((works, failure))
            }
        }
    }

    /// Begins a transaction, however long others have the lock, as long as anybody wants it.
    fn begin(&mut self, is_wanted: impl Fn() -> bool) -> Result<bool, Error> {
        let mut pauses = Pauses::default();
        while is_wanted() {
            match self.try_begin() {
                Ok(()) => {
                    self.is_contended.store(false, Ordering::Relaxed);
                    return Ok(true);
                }
                Err(error) if error::driver(&error).is_some_and(is_busy) => {
                    self.courtesy = COURTESY;
                    pauses.sleep();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn try_begin(&mut self) -> Result<(), Error> {
        match self.link.as_ref().map(|link| link.whereabouts(&self.path)) {
            Some(Whereabouts::Here) => {}
            // It may come back.
            Some(Whereabouts::Gone) => return Err(gone(&self.path)),
            Some(Whereabouts::Replaced) | None => self.link = None,
        }
        let link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.path)?,
        };
        let begun = execute(&link.connection, "BEGIN IMMEDIATE");
        if begun.as_ref().err().is_none_or(is_busy) {
            self.link = Some(link);
        }
        begun.map_err(error::of_file)
    }

    /// The write-ahead log begins anew by itself whenever all of it is in the file and nobody reads. Where reads overlap without end, they are waited for.
    fn keep_log_short(&mut self) {
        let Some(link) = &self.link else { return };
        if self.looked_at.is_some_and(|at| at.elapsed() < LOOK_INTERVAL) {
            return;
        }
        self.looked_at = Some(Instant::now());
        let size = wal_bytes(&link.connection).unwrap_or_default();
        if size <= self.shorten_at {
            return;
        }
        let is_short = checkpoint(&link.connection).unwrap_or(false);
        if !is_short {
            warn!(bytes = size, "somebody reads without end: the write-ahead log cannot begin anew");
        }
        self.shorten_at = if is_short { self.wal_bytes_max } else { size + self.wal_bytes_max / 4 };
    }
}

/// How long the queue is watched before the thread sleeps: somewhat longer than it takes an answer to wake a caller, and him to send his next work.
const WATCH: Duration = Duration::from_micros(100);

/// Watches the queue for a moment before it sleeps, as long as that pays: to wake a thread on a core that sleeps can take as long as half a flush.
#[derive(Default)]
struct Watch {
    /// Whether the last work came so soon that it would have been seen.
    pays: bool,
}

impl Watch {
    /// The next in the queue, or nothing where nobody can put anything into it any more.
    fn next(&mut self, queue: &Receiver<Slot>) -> Option<Slot> {
        let begun = Instant::now();
        while self.pays && begun.elapsed() < WATCH {
            match queue.try_recv() {
                Ok(slot) => return Some(slot),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => std::thread::yield_now(),
            }
        }
        let slot = queue.recv().ok();
        self.pays = begun.elapsed() < WATCH;
        slot
    }
}

fn execute(connection: &Connection, text: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(text)?.execute([]).map(drop)
}

/// How long the write-ahead log is. Not by its file's metadata: who looks at the times of a file makes the next write note a new one, and each flush
/// wait for the file system's own journal.
fn wal_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    /// A page and its header, of the size that new files have.
    const FRAME_BYTES: u64 = 4096 + 24;
    let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
    let frames: i64 = statement.query_row([], |row| row.get(1))?;
    Ok(u64::try_from(frames).unwrap_or_default() * FRAME_BYTES)
}

/// Brings the write-ahead log into the file and empties it. Gives whether that was possible.
fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(READERS_WAIT_MAX)?;
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    connection.busy_timeout(Duration::ZERO)?;
    Ok(!is_busy?)
}

fn vanished() -> Error {
    ErrorKind::Indeterminate("the file was removed or replaced while it was written to".to_owned()).into()
}
