//! Rehydrating from snapshots, good and bad ones (N5).

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod common;

use annalist::testing::{Fault, MemoryFixture, Operation};
use annalist::{
    Error, ErrorKind, ExpectedVersion, NewEvent, RecordedEvent, Rehydrated, Snapshot, SnapshotSchema,
    SnapshotState, Store, StreamId, Version,
};
use common::stores;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Default, Clone, PartialEq, Debug)]
struct Tally {
    versions: Vec<u64>,
}

impl SnapshotState for Tally {
    const SCHEMA: &'static str = "tally/1";
}

fn count(tally: &mut Tally, event: &RecordedEvent) -> Result<(), Error> {
    tally.versions.push(event.version().get());
    Ok(())
}

fn tally(up_to: u64) -> Tally {
    Tally { versions: (1..=up_to).collect() }
}

async fn ticks(store: &Store, events: u64) {
    for _ in 0..events {
        store
            .append("Clock-1", ExpectedVersion::Any, [NewEvent::new("Ticked", "{}").unwrap()])
            .await
            .unwrap();
    }
}

async fn rehydrated(store: &Store) -> Rehydrated<Tally> {
    store.rehydrate("Clock-1", Tally::default(), count).await.unwrap()
}

async fn save(store: &Store, version: u64) {
    store.save_snapshot("Clock-1", Version::new(version), &tally(version)).await.unwrap();
}

/// Saves something that is no tally.
async fn save_rubbish(store: &Store, version: u64) {
    let (stream, schema) = (StreamId::new("Clock-1").unwrap(), SnapshotSchema::new(Tally::SCHEMA).unwrap());
    let rubbish = Snapshot::new(&stream, &schema, Version::new(version), "not a tally");
    store.snapshot_store().save_snapshot(rubbish).await.unwrap();
}

/// Whatever snapshots there are, the state is the same; how many events had to be folded tells which one was used.
async fn assert_folds(store: &Store, backend: &str, events_folded: u64) {
    let now = rehydrated(store).await;
    assert_eq!(now.state, tally(10), "{backend}");
    assert_eq!(now.version, Version::new(10), "{backend}");
    assert_eq!(now.head, store.head().await.unwrap(), "{backend}");
    assert_eq!(now.events_folded, events_folded, "{backend}");
}

#[tokio::test]
async fn a_missing_stream_is_its_initial_state() {
    for (backend, store) in stores().await {
        let now = rehydrated(&store).await;
        assert_eq!(
            (now.state, now.version, now.events_folded),
            (Tally::default(), Version::NONE, 0),
            "{backend}"
        );
    }
}

#[tokio::test]
async fn without_a_snapshot_the_whole_stream_is_folded() {
    for (backend, store) in stores().await {
        ticks(&store, 10).await;
        assert_folds(&store, backend, 10).await;
    }
}

#[tokio::test]
async fn only_the_events_after_the_newest_snapshot_are_folded() {
    for (backend, store) in stores().await {
        ticks(&store, 10).await;
        save(&store, 7).await;
        save(&store, 4).await;
        assert_folds(&store, backend, 3).await;
    }
}

#[tokio::test]
async fn a_snapshot_of_the_present_version_needs_no_event() {
    for (backend, store) in stores().await {
        ticks(&store, 10).await;
        save(&store, 10).await;
        assert_folds(&store, backend, 0).await;
    }
}

#[tokio::test]
async fn one_that_cannot_be_decoded_is_skipped_for_the_next_older_one() {
    for (backend, store) in stores().await {
        ticks(&store, 10).await;
        save(&store, 4).await;
        save_rubbish(&store, 7).await;
        save_rubbish(&store, 9).await;
        assert_folds(&store, backend, 6).await;
        let newest = store.load_snapshot::<Tally>("Clock-1").await.unwrap().unwrap();
        assert_eq!(newest.version, Version::new(4), "{backend}");
    }
}

#[tokio::test]
async fn one_ahead_of_its_stream_is_skipped_for_the_next_older_one() {
    for (backend, store) in stores().await {
        ticks(&store, 10).await;
        save(&store, 6).await;
        save(&store, 11).await;
        save(&store, 5_000).await;
        assert_folds(&store, backend, 4).await;
    }
}

#[tokio::test]
async fn with_none_that_can_be_used_the_whole_stream_is_folded() {
    for (backend, store) in stores().await {
        ticks(&store, 10).await;
        save_rubbish(&store, 0).await;
        save_rubbish(&store, 3).await;
        save(&store, 12).await;
        assert_folds(&store, backend, 10).await;
    }
}

#[tokio::test]
async fn a_snapshot_of_another_schema_is_not_seen() {
    #[derive(Serialize, Deserialize)]
    struct Other;
    impl SnapshotState for Other {
        const SCHEMA: &'static str = "other/1";
    }
    for (backend, store) in stores().await {
        ticks(&store, 10).await;
        store.save_snapshot("Clock-1", Version::new(9), &Other).await.unwrap();
        assert_folds(&store, backend, 10).await;
    }
}

#[tokio::test]
async fn pruning_keeps_the_newest() {
    for (backend, store) in stores().await {
        ticks(&store, 10).await;
        for version in [2, 8, 5] {
            save(&store, version).await;
        }
        store.prune_snapshots::<Tally>("Clock-1", 1).await.unwrap();
        assert_folds(&store, backend, 2).await;
        store.prune_snapshots::<Tally>("Clock-1", 0).await.unwrap();
        assert_folds(&store, backend, 10).await;
    }
}

#[tokio::test]
async fn a_snapshot_that_the_store_cannot_read_never_breaks_a_load() {
    let fixture = MemoryFixture::new();
    ticks(&fixture.store, 10).await;
    save(&fixture.store, 8).await;
    fixture.faults.next(Operation::LoadSnapshot, Fault::Refused(ErrorKind::Corrupt("torn page".to_owned())));
    assert_folds(&fixture.store, "memory", 10).await;
}

#[tokio::test]
async fn an_outage_is_an_error_and_not_an_old_state() {
    let fixture = MemoryFixture::new();
    ticks(&fixture.store, 10).await;
    fixture.faults.next(Operation::LoadSnapshot, Fault::NotSent);
    let error = fixture.store.rehydrate("Clock-1", Tally::default(), count).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
    fixture.faults.next(Operation::Read, Fault::NotSent);
    let error = fixture.store.rehydrate("Clock-1", Tally::default(), count).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn the_folds_own_error_ends_it() {
    for (_, store) in stores().await {
        ticks(&store, 1).await;
        let refuse =
            |_: &mut Tally, _: &RecordedEvent| Err::<(), Error>(ErrorKind::Corrupt("odd".to_owned()).into());
        assert!(store.rehydrate("Clock-1", Tally::default(), refuse).await.is_err());
    }
}
