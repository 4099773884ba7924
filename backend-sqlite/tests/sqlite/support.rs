//! What the tests share: stores in files of their own, and statements past them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use annalist_core::{
    Append, Error, ErrorKind, EventStore, ExpectedVersion, NewEvent, Query, Read, RecordedEvent, StreamId,
};
use annalist_sqlite::rusqlite::Connection;
use annalist_sqlite::{Config, SqliteStore};
use tempfile::TempDir;

/// Longer than any operation may take, on a machine with much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of the test's own, and the path of a file in it that is not there yet.
pub struct Place {
    pub folder: TempDir,
    pub file: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.db");
        Self { folder, file }
    }
}

/// With deadlines that a test can wait for.
pub fn config() -> Config {
    let mut config = Config::default();
    config.timeout = Duration::from_secs(3);
    config
}

/// With deadlines at which no test should arrive.
pub fn patient() -> Config {
    let mut config = Config::default();
    config.timeout = PATIENCE;
    config
}

pub async fn opened(file: &Path) -> SqliteStore {
    SqliteStore::open(file, patient()).await.unwrap()
}

/// The same with deadlines at which an operation that cannot succeed arrives.
pub async fn hasty(file: &Path) -> SqliteStore {
    SqliteStore::open(file, config()).await.unwrap()
}

pub async fn refused(file: &Path) -> Error {
    within(SqliteStore::open(file, config())).await.unwrap_err()
}

pub fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

pub fn event_of(bytes: usize) -> NewEvent {
    NewEvent::new("Ticked", vec![b'x'; bytes]).unwrap()
}

pub fn tick(name: &str) -> Append {
    Append::to(&stream(name), ExpectedVersion::Any, [event_of(2)])
}

/// All events of a log.
pub async fn all(store: &SqliteStore) -> Vec<RecordedEvent> {
    joined(store, Read::log(Query::all())).await
}

pub async fn joined(store: &SqliteStore, read: Read) -> Vec<RecordedEvent> {
    let (mut events, mut next) = (Vec::new(), Some(read));
    while let Some(read) = next {
        let page = store.read(read).await.unwrap();
        events.extend(page.events);
        next = page.next;
    }
    events
}

/// Runs statements past the store.
pub fn run_past(file: &Path, text: &str) {
    let connection = Connection::open(file).unwrap();
    connection.execute_batch(text).unwrap();
}

pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

pub async fn within<T>(operation: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, operation).await.expect("it ends by its deadline")
}

pub fn assert_misconfigured(error: &Error, word: &str) {
    assert!(matches!(error.kind(), ErrorKind::Misconfigured(_)), "{error:?}");
    assert!(error.to_string().contains(word), "{error:?}: {word}");
}

pub fn assert_unavailable(error: &Error, word: &str) {
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error:?}");
    assert!(format!("{error:?}").contains(word), "{error:?}: {word}");
}

/// Does something again until it is so.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::task::yield_now().await;
    }
}

/// A small file system in memory, gone with the test.
pub struct Disk(TempDir);

impl Disk {
    pub fn mounted(kibibytes: usize) -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={kibibytes}k"), "tmpfs"]);
        disk
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn resize(&self, kibibytes: usize) {
        self.mount(&["-o", &format!("remount,size={kibibytes}k")]);
    }

    pub fn set_read_only(&self, is_read_only: bool) {
        self.mount(&["-o", if is_read_only { "remount,ro" } else { "remount,rw" }]);
    }

    fn mount(&self, args: &[&str]) {
        let done = Command::new("mount").args(args).arg(self.path()).output();
        let is_done = done.as_ref().is_ok_and(|done| done.status.success());
        assert!(is_done, "this test mounts a small file system, for which it needs Linux and root: {done:?}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What a failed test still has open goes with the process.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
