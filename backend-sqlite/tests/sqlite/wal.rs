//! The write-ahead log does not grow without bound.

use annalist_core::{Append, EventStore, ExpectedVersion, Query, Read, Subscribe};
use annalist_sqlite::SqliteStore;
use annalist_sqlite::rusqlite::Connection;

use crate::support::*;

const WAL_BYTES_MAX: u64 = 1024 * 1024;

async fn bounded(place: &Place) -> SqliteStore {
    let mut config = patient();
    config.wal_bytes_max = WAL_BYTES_MAX;
    SqliteStore::open(&place.file, config).await.unwrap()
}

fn wal_bytes(place: &Place) -> u64 {
    std::fs::metadata(beside(&place.file, "-wal")).map_or(0, |wal| wal.len())
}

/// Appends many times as much as the bound; gives the longest that the log was.
async fn fill(store: &SqliteStore, place: &Place) -> u64 {
    let mut longest = 0;
    for _ in 0..160 {
        let events = (0..10).map(|_| event_of(10_000));
        store.append(Append::to(&stream("Big-1"), ExpectedVersion::Any, events)).await.unwrap();
        longest = longest.max(wal_bytes(place));
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_without_a_break_do_not_let_it_grow() {
    let place = Place::new();
    let store = bounded(&place).await;
    store.append(tick("Big-1")).await.unwrap();
    let mut readers = Vec::new();
    for _ in 0..4 {
        let reader = opened(&place.file).await;
        // One read begins before another ends, always, and a subscription that is never done stays open.
        readers.push(tokio::spawn(async move {
            let mut idle = reader.subscribe(Subscribe::to(Query::all())).await.unwrap();
            idle.next().await.unwrap().unwrap();
            loop {
                let mut next = Some(Read::log(Query::all()).page_size(50));
                while let Some(read) = next {
                    next = reader.read(read).await.unwrap().next;
                }
            }
        }));
    }
    let longest = fill(&store, &place).await;
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    // A commit more than the bound, and what is written while readers are waited for.
    assert!(longest < 4 * WAL_BYTES_MAX, "{longest} bytes");
}

#[tokio::test]
async fn a_cursor_that_is_kept_holds_nothing_up() {
    let place = Place::new();
    let store = bounded(&place).await;
    fill(&store, &place).await;
    let first = store.read(Read::log(Query::all()).page_size(1)).await.unwrap();
    let longest = fill(&store, &place).await;
    assert!(longest < 4 * WAL_BYTES_MAX, "{longest} bytes");
    let rest = joined(&store, first.next.unwrap()).await;
    assert_eq!(rest.len(), 160 * 10 - 1, "the rest of the log as it was when the first page was read");
}

#[tokio::test]
async fn whoever_else_reads_without_end_only_lets_it_grow_while_he_does() {
    let place = Place::new();
    let store = bounded(&place).await;
    store.append(tick("Big-1")).await.unwrap();
    let other = Connection::open(&place.file).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM event").unwrap();
    fill(&store, &place).await;
    assert!(wal_bytes(&place) > 4 * WAL_BYTES_MAX, "a stranger reads as of long ago");
    other.execute_batch("COMMIT").unwrap();
    fill(&store, &place).await;
    eventually("the log to be short again", async || {
        store.append(tick("Big-1")).await.unwrap();
        (wal_bytes(&place) < 4 * WAL_BYTES_MAX).then_some(())
    })
    .await;
}
