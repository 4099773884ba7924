//! Several processes on one file.

use std::path::Path;
use std::process::{Child, Command};

use annalist_core::{Append, EventStore, ExpectedVersion, Read};
use annalist_sqlite::rusqlite::Connection;
use tokio::task::JoinSet;

use crate::support::*;

/// Where the process that a test starts finds the file.
const VARIABLE: &str = "ANNALIST_TEST_SQLITE_FLOOD";

/// The streams of the two.
const THEIRS: &str = "Flood-1";
const OURS: &str = "Flood-2";

/// How many handles of one process write, and how many events each append has: so many that the lock is free for but a small part of the time.
const HANDLES: usize = 4;
const EVENTS: usize = 250;

/// How many appends of each process are looked at.
const ENOUGH: u64 = 400 * EVENTS as u64;

/// How many appends of one process may follow one another: some transactions, of an append of each handle.
const TURN_MAX: usize = 4 * HANDLES;

/// This test program once more, writing without pause. Ends with the test.
struct Flood(Child);

impl Flood {
    fn begin(file: &Path) -> Self {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "processes::flood", "--ignored"]).env(VARIABLE, file);
        Self(again.stdout(std::process::Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Appends many events at once, again and again, by handles of their own: while one waits, the others make more.
async fn write_without_pause(file: &Path, name: &str) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..HANDLES {
        let (store, name) = (opened(file).await, stream(name));
        tasks.spawn(async move {
            loop {
                let events = (0..EVENTS).map(|_| event_of(100));
                store.append(Append::to(&name, ExpectedVersion::Any, events)).await.unwrap();
            }
        });
    }
    tasks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "what another test starts as a process of its own"]
async fn flood() {
    let Some(file) = std::env::var_os(VARIABLE) else { return };
    write_without_pause(Path::new(&file), THEIRS).await.join_next().await;
}

/// SQLite's lock wakes nobody, and whoever has just had it is awake: of two processes that wrote without pause, one took it again each time, and the
/// other, which looked now and then whether it was free, nearly always found it taken. One that has met another at the lock now pauses between its
/// transactions for as long as a sleeper sleeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_that_write_without_pause_none_starves() {
    let place = Place::new();
    let store = opened(&place.file).await;
    let _flood = Flood::begin(&place.file);
    let count =
        async |name| within(store.read(Read::stream(&stream(name)).limit(0))).await.unwrap().version.get();
    eventually("the other to begin", async || (count(THEIRS).await > 0).then_some(())).await;
    let ours = write_without_pause(&place.file, OURS).await;
    let both = async || count(OURS).await.min(count(THEIRS).await);
    eventually("both to have written", async || (both().await >= ENOUGH).then_some(())).await;
    drop(ours);
    let share = share_of_long_turns(&place.file);
    assert!(share < 0.15, "{share} of all went in long turns, while the other waited");
}

/// What part of all appends, once both have written, one process made in a turn that was long.
fn share_of_long_turns(file: &Path) -> f64 {
    let text = "SELECT stream FROM event WHERE append_offset = 0 AND position >= (SELECT min(position) FROM event WHERE stream = ?1)
        ORDER BY position";
    let connection = Connection::open(file).unwrap();
    let mut statement = connection.prepare(text).unwrap();
    let names: Vec<String> =
        statement.query_map([OURS], |row| row.get(0)).unwrap().map(|name| name.unwrap()).collect();
    let turns = names.chunk_by(|one, next| one == next).map(<[String]>::len);
    turns.filter(|turn| *turn > TURN_MAX).sum::<usize>() as f64 / names.len() as f64
}
