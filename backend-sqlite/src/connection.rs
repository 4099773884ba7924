//! Connections to the file, and whether it is still the one at its path.

use std::path::Path;
use std::time::{Duration, Instant};

use annalist_core::Error;
use rand::Rng;
use rusqlite::{Connection, OpenFlags};

use crate::error::{self, is_busy, misconfigured};
use crate::schema;

/// The first SQLite that does not corrupt a file when its write-ahead log begins anew: <https://sqlite.org/wal.html#walresetbug>.
const SQLITE_NEEDED: i32 = 3_051_003;

/// How many statements stay prepared: more than there are.
const STATEMENTS_KEPT: usize = 64;

/// What every connection is set to. Durable on each system: `fullfsync` is heeded where a plain one does not reach the disk.
const SETTINGS: &str = "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
    PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;";

/// A connection, and the file that it has open.
pub(crate) struct Link {
    pub(crate) connection: Connection,
    file: FileId,
}

/// What tells a file from another that takes its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FileId {
    #[cfg(unix)]
    place: (u64, u64),
}

impl FileId {
    fn at(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let id = {
            use std::os::unix::fs::MetadataExt;
            Self { place: (found.dev(), found.ino()) }
        };
        // Elsewhere a file that is open can be neither removed nor replaced.
        #[cfg(not(unix))]
        let id = {
            let _ = found;
            Self {}
        };
        Some(id)
    }
}

/// Whether a file is at its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whereabouts {
    Here,
    Gone,
    Replaced,
}

impl Link {
    /// Opens a file that is there, and sees to it that it is the file of an event store.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if FileId::at(path).is_none() {
            return Err(gone(path));
        }
        let link = Self::make(path, OpenFlags::empty())?;
        schema::check(&link.connection)?;
        Ok(link)
    }

    /// Opens a file, or makes it, whatever is in it.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        Self::make(path, OpenFlags::SQLITE_OPEN_CREATE)
    }

    fn make(path: &Path, how: OpenFlags) -> Result<Self, Error> {
        if rusqlite::version_number() < SQLITE_NEEDED {
            let found = rusqlite::version();
            return Err(misconfigured(format!(
                "SQLite {found} is linked, which can corrupt a file: 3.51.3 is needed"
            )));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | how;
        let connection = Connection::open_with_flags(path, flags).map_err(error::of_file)?;
        // Whoever finds it locked decides himself how long to wait, and until when.
        connection.busy_timeout(Duration::ZERO).map_err(error::of_file)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        if connection.is_readonly("main").map_err(error::of_file)? {
            return Err(misconfigured(format!("the file {} is read-only", path.display())));
        }
        connection.execute_batch(SETTINGS).map_err(error::of_file)?;
        // Before anything is changed in it.
        schema::refuse_foreign(&connection)?;
        use_wal(&connection)?;
        let file = FileId::at(path).ok_or_else(|| gone(path))?;
        Ok(Self { connection, file })
    }

    pub(crate) fn whereabouts(&self, path: &Path) -> Whereabouts {
        match FileId::at(path) {
            Some(file) if file == self.file => Whereabouts::Here,
            Some(_) => Whereabouts::Replaced,
            None => Whereabouts::Gone,
        }
    }
}

/// Readers and the writer do not wait for one another, and a commit is one flush.
fn use_wal(connection: &Connection) -> Result<(), Error> {
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(error::of_file)?;
    let synchronous: i64 =
        connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).map_err(error::of_file)?;
    if mode != "wal" || synchronous != 2 {
        let message =
            format!("the file cannot have a write-ahead log (it has {mode:?}): is it on a network?");
        return Err(misconfigured(message));
    }
    Ok(())
}

/// What was acknowledged is in a file that nobody can find: not for a new and empty one to take its place.
pub(crate) fn gone(path: &Path) -> Error {
    misconfigured(format!("there is no file {}", path.display()))
}

/// A pause before the lock of a file is tried again: random, so that two who wait do not keep meeting, and longer each time.
#[derive(Default)]
pub(crate) struct Pauses(u32);

impl Pauses {
    const MIN: Duration = Duration::from_micros(100);
    const DOUBLINGS_MAX: u32 = 4;
    const MAX: Duration = Duration::from_micros(100 << Self::DOUBLINGS_MAX);

    /// A pause in which whoever waits for the lock tries it.
    pub(crate) fn let_others() {
        std::thread::sleep(rand::rng().random_range(Self::MAX / 2..=Self::MAX));
    }

    pub(crate) fn sleep(&mut self) {
        let longest = Self::MIN * (1 << self.0);
        self.0 = (self.0 + 1).min(Self::DOUBLINGS_MAX);
        std::thread::sleep(rand::rng().random_range(Self::MIN / 2..=longest));
    }
}

/// Does something again while the file is locked, until a point in time.
pub(crate) fn patiently<T>(
    until: Instant,
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let mut pauses = Pauses::default();
    loop {
        match attempt() {
            Err(error) if error::driver(&error).is_some_and(is_busy) && Instant::now() < until => {
                pauses.sleep()
            }
            done => return done,
        }
    }
}
