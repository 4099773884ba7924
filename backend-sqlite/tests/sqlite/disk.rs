//! Disks that are full, or cannot be written to.

use std::time::Duration;

use annalist_core::{Append, EventStore, ExpectedVersion, Query, Read};

use crate::support::*;

#[tokio::test]
async fn on_a_full_disk_nothing_is_lost_and_what_fits_is_written() {
    let disk = Disk::mounted(2_048);
    let file = disk.path().join("history.db");
    let store = hasty(&file).await;
    let big = || {
        let events = (0..8).map(|_| event_of(32_000));
        Append::to(&stream("Big-1"), ExpectedVersion::Any, events).timeout(Duration::from_secs(1))
    };
    let mut written = 0;
    let refused = loop {
        match within(store.append(big())).await {
            Ok(_) => written += 8,
            Err(error) => break error,
        }
        assert!(written < 1_000, "the disk has no end");
    };
    assert_unavailable(&refused, "the disk is full");
    assert_eq!(all(&store).await.len(), written);

    // What was refused is certainly not there, and the same may be sent again once there is room.
    let late = big();
    let refused = within(store.append(late.clone())).await.unwrap_err();
    assert_unavailable(&refused, "the disk is full");
    assert_eq!(all(&store).await.len(), written);
    assert_eq!(joined(&store, Read::log(Query::stream("Big-1"))).await.len(), written);
    disk.resize(16_384);
    assert!(!within(store.append(late)).await.unwrap().already_committed());
    store.close().await.unwrap();
    assert_eq!(all(&opened(&file).await).await.len(), written + 8);
}

#[tokio::test]
async fn a_disk_without_room_for_a_new_file_is_told() {
    let disk = Disk::mounted(64);
    std::fs::write(disk.path().join("filler"), vec![0; 64 * 1024]).ok();
    let file = disk.path().join("history.db");
    assert_unavailable(&refused(&file).await, "the disk is full");
    std::fs::remove_file(disk.path().join("filler")).unwrap();
    disk.resize(4_096);
    opened(&file).await.append(tick("Clock-1")).await.unwrap();
}

#[tokio::test]
async fn a_read_only_disk_is_a_matter_of_the_set_up() {
    let disk = Disk::mounted(4_096);
    let file = disk.path().join("history.db");
    let store = opened(&file).await;
    store.append(tick("Clock-1")).await.unwrap();
    store.close().await.unwrap();
    disk.set_read_only(true);
    assert_misconfigured(&refused(&file).await, "read-only");
    assert_misconfigured(&refused(&disk.path().join("new.db")).await, "");
    disk.set_read_only(false);
    let store = opened(&file).await;
    store.append(tick("Clock-1")).await.unwrap();
    assert_eq!(all(&store).await.len(), 2);
}
