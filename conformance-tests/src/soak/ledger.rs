//! What a soak leaves in its folder: written while it happens, so that what is in memory does not grow with it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::nemesis::Kind;
use crate::history::Line;
use crate::history::merge::Noted;
use crate::os;

/// What the soak was.
pub(super) const ABOUT: &str = "soak.json";
/// Every call, every return and every signal.
pub(super) const HISTORY: &str = "history.jsonl";
/// The log as it was read in the end.
pub(super) const LOG: &str = "log.jsonl";
/// Every fault.
pub(super) const FAULTS: &str = "faults.jsonl";

/// What the soak was.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) backend: String,
    pub(super) server: String,
    pub(super) seed: u64,
    /// Steps a second of all clients together.
    pub(super) rate: u32,
    pub(super) seconds: f64,
    /// How many workers there were, straight, through a proxy, and in processes of their own.
    pub(super) workers: [u32; 3],
    /// The faults that there cannot be, each with the reason.
    pub(super) absent: Vec<(Kind, String)>,
    /// Whether it came to its end.
    pub(super) complete: bool,
}

/// A fault.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct FaultLine {
    pub(super) kind: Kind,
    /// On the clock of the host, as in the history.
    pub(super) at: u64,
    pub(super) ended: u64,
    /// What proves that it happened; `None` where nothing does.
    pub(super) proof: Option<String>,
}

/// Writes it. Clones write into the same files.
#[derive(Clone)]
pub(super) struct Ledger(Arc<Shared>);

struct Shared {
    dir: PathBuf,
    history: Mutex<Lines>,
    faults: Mutex<Lines>,
}

/// A file of JSON lines. The first error of writing is kept: nothing that comes after it counts.
struct Lines {
    out: BufWriter<File>,
    error: Option<io::Error>,
}

impl Lines {
    fn new(file: &Path) -> io::Result<Self> {
        Ok(Self { out: BufWriter::new(File::create(file)?), error: None })
    }

    fn line(&mut self, line: &impl Serialize) {
        if self.error.is_none() {
            let written = serde_json::to_writer(&mut self.out, line).map_err(io::Error::from);
            self.error = written.and_then(|()| self.out.write_all(b"\n")).err();
        }
    }

    fn end(&mut self) -> io::Result<()> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }
}

impl Ledger {
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let lines = |name| Ok::<_, io::Error>(Mutex::new(Lines::new(&dir.join(name))?));
        Ok(Self(Arc::new(Shared { dir: dir.to_owned(), history: lines(HISTORY)?, faults: lines(FAULTS)? })))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0.dir
    }

    pub(super) fn note(&self, noted: Noted) {
        lock(&self.0.history).line(&Line::Noted(noted));
    }

    /// Notes what the soak itself saw that is wrong.
    pub(super) fn wrong(&self, what: String) {
        self.note(Noted::Wrong { session: u32::MAX, at: os::now(), what });
    }

    pub(super) fn fault(&self, fault: &FaultLine) {
        lock(&self.0.faults).line(fault);
    }

    pub(super) fn about(&self, about: &About) -> io::Result<()> {
        std::fs::write(self.0.dir.join(ABOUT), serde_json::to_string_pretty(about)?)
    }

    pub(super) fn end(&self) -> io::Result<()> {
        lock(&self.0.history).end()?;
        lock(&self.0.faults).end()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The events of the log, written as they are read.
pub(super) struct LogFile(Lines);

impl LogFile {
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        Ok(Self(Lines::new(&dir.join(LOG))?))
    }

    pub(super) fn event(&mut self, event: crate::history::LogEvent) {
        self.0.line(&Line::Event(event));
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        self.0.end()
    }
}

/// Reads what a soak was.
pub(super) fn about(dir: &Path) -> io::Result<About> {
    Ok(serde_json::from_str(&std::fs::read_to_string(dir.join(ABOUT))?)?)
}

/// Reads its faults.
pub(super) fn faults(dir: &Path) -> io::Result<Vec<FaultLine>> {
    let lines = BufReader::new(File::open(dir.join(FAULTS))?).lines();
    lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}
