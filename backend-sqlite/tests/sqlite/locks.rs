//! Others who have the lock of the file.

use std::time::Duration;

use annalist_core::{
    ErrorKind, EventStore, ExpectedVersion, Query, Read, Snapshot, SnapshotSchema, SnapshotStore, Version,
};
use annalist_sqlite::rusqlite::Connection;

use crate::support::*;

#[tokio::test]
async fn while_another_has_the_lock_writes_are_unavailable_by_their_deadline_and_reads_go_on() {
    let place = Place::new();
    let store = hasty(&place.file).await;
    store.append(tick("Clock-1")).await.unwrap();
    let other = Connection::open(&place.file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let late = tick("Clock-1").timeout(Duration::from_secs(1));
    // The first meets the lock on its way; from then on it is known.
    let first = within(store.append(late.clone())).await.unwrap_err();
    assert!(matches!(first.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_)), "{first:?}");
    for _ in 0..3 {
        assert_unavailable(&within(store.append(late.clone())).await.unwrap_err(), "");
    }
    let snapshot =
        Snapshot::new(&stream("Clock-1"), &SnapshotSchema::new("clock/1").unwrap(), Version::FIRST, "1");
    assert_unavailable(&within(store.save_snapshot(snapshot.clone())).await.unwrap_err(), "deadline");
    assert_eq!(all(&store).await.len(), 1);

    other.execute_batch("ROLLBACK").unwrap();
    // Nothing of what was given up is written now.
    store.append(tick("Clock-2")).await.unwrap();
    assert_eq!(all(&store).await.len(), 2);
    let receipt = store.append(late).await.unwrap();
    assert!(!receipt.already_committed());
    store.save_snapshot(snapshot).await.unwrap();
}

#[tokio::test]
async fn what_waits_for_the_lock_is_written_when_it_is_free() {
    let place = Place::new();
    let store = opened(&place.file).await;
    let other = Connection::open(&place.file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.append(tick("Clock-1")).await }
    });
    // It has certainly been told that the lock is not to be had.
    let probe = tick("Clock-2").timeout(Duration::from_secs(1));
    assert!(within(store.append(probe)).await.is_err());
    other.execute_batch("COMMIT").unwrap();
    within(waiting).await.unwrap().unwrap();
    assert_eq!(joined(&store, Read::log(Query::stream("Clock-1"))).await.len(), 1);
}

#[tokio::test]
async fn handles_on_one_file_do_not_starve_one_another() {
    let place = Place::new();
    let (busy, other) = (opened(&place.file).await, opened(&place.file).await);
    let flood = tokio::spawn(async move {
        let mut written = 0_u64;
        loop {
            let append = annalist_core::Append::to(
                &stream("Flood-1"),
                ExpectedVersion::Any,
                (0..1_000).map(|_| event_of(100)),
            );
            if busy.append(append).await.is_err() {
                return written;
            }
            written += 1;
            tokio::task::yield_now().await;
        }
    });
    for n in 1..=20 {
        let receipt = within(other.append(tick("Clock-1"))).await.unwrap();
        assert_eq!(receipt.version_of(&stream("Clock-1")), Some(Version::new(n)));
    }
    flood.abort();
}

#[tokio::test]
async fn many_at_once_make_a_new_file() {
    let place = Place::new();
    let opening: Vec<_> = (0..16)
        .map(|_| {
            let file = place.file.clone();
            tokio::spawn(async move { opened(&file).await })
        })
        .collect();
    let mut stores = Vec::new();
    for opened in opening {
        stores.push(within(opened).await.unwrap());
    }
    for store in &stores {
        assert_eq!(store.log(), stores[0].log());
        store.append(tick("Clock-1")).await.unwrap();
    }
    assert_eq!(all(&stores[0]).await.len(), 16);
}
