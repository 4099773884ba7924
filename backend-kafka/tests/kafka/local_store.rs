//! The local store: resumed, lost, damaged, and in use.

use annalist_core::{ErrorKind, EventStore, Snapshot, SnapshotSchema, SnapshotStore, Version};

use crate::support::{Topic, in_folder, log, stream, tick};

#[tokio::test]
async fn a_folder_is_taken_up_and_one_that_was_lost_is_made_anew() {
    let topic = Topic::new().set_up().await;
    let folder = tempfile::tempdir().unwrap();
    let store = topic.open_in(folder.path()).await;
    for n in 1..=50 {
        tick(&store, n).await;
    }
    let schema = SnapshotSchema::new("v1").unwrap();
    let snapshot = Snapshot::new(&stream("Clock-1"), &schema, Version::new(50), "fifty");
    store.save_snapshot(snapshot.clone()).await.unwrap();
    let (before, digest) = (log(&store).await, store.progress().digest);
    store.close().await.unwrap();
    drop(store);

    let taken_up = topic.open_in(folder.path()).await;
    assert_eq!(log(&taken_up).await, before);
    taken_up.close().await.unwrap();
    drop(taken_up);

    std::fs::remove_dir_all(folder.path()).unwrap();
    let anew = topic.open_in(folder.path()).await;
    assert_eq!(log(&anew).await, before);
    let found = anew.load_snapshot(&stream("Clock-1"), &schema, Version::MAX).await.unwrap();
    assert_eq!(found, Some(snapshot));
    let fresh = topic.open().await;
    log(&fresh).await;
    log(&anew).await;
    assert_ne!(fresh.progress().digest, digest, "barriers have been said something about since");
    let (fresh, anew) = (fresh.progress(), anew.progress());
    assert!(fresh.applied != anew.applied || fresh.digest == anew.digest);
}

#[tokio::test]
async fn a_damaged_folder_loses_nothing() {
    let topic = Topic::new().set_up().await;
    let folder = tempfile::tempdir().unwrap();
    let store = topic.open_in(folder.path()).await;
    for n in 1..=20 {
        tick(&store, n).await;
    }
    let before = log(&store).await;
    store.close().await.unwrap();
    drop(store);
    damage(folder.path());
    let again = topic.open_in(folder.path()).await;
    assert_eq!(log(&again).await, before);
    tick(&again, 21).await;
}

/// Overwrites every file in it.
fn damage(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            damage(&path);
        } else {
            std::fs::write(path, [0xa5; 100]).unwrap();
        }
    }
}

#[tokio::test]
async fn a_folder_in_use_is_refused() {
    let topic = Topic::new().set_up().await;
    let folder = tempfile::tempdir().unwrap();
    let store = topic.open_in(folder.path()).await;
    let refused = topic.try_open(in_folder(folder.path())).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Misconfigured(_)), "{refused:?}");
    assert!(refused.to_string().contains("in use"), "{refused}");
    tick(&store, 1).await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_refused() {
    let topic = Topic::new().set_up().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = topic.try_open(in_folder(&file.path().join("folder"))).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Misconfigured(_)), "{refused:?}");
}
