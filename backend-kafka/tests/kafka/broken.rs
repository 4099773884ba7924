//! Records that are not ours, or that cannot be understood.

use annalist_core::{ErrorKind, EventStore, ExpectedVersion, Query, Read};

use crate::support::{Topic, config, log, one, tick, until};

#[tokio::test]
async fn records_of_somebody_else_are_skipped_and_counted() {
    let topic = Topic::new().set_up().await;
    let store = topic.open().await;
    tick(&store, 1).await;
    topic.write([b"something else".to_vec(), Vec::new()]).await;
    tick(&store, 2).await;
    let again = topic.open().await;
    for store in [&store, &again] {
        assert_eq!(log(store).await.len(), 2);
        assert_eq!(store.progress().foreign_records, 2);
    }
    // Each has read behind a barrier of its own; both come to the later one.
    let reached = store.progress().applied.max(again.progress().applied);
    until(|| store.progress().applied == reached && again.progress().applied == reached).await;
    assert_eq!(store.progress(), again.progress());
}

#[tokio::test]
async fn a_record_that_comes_again_does_nothing() {
    let topic = Topic::new().set_up().await;
    let store = topic.open().await;
    tick(&store, 1).await;
    let records = topic.records();
    topic.write(records[1..].to_vec()).await;
    tick(&store, 2).await;
    assert_eq!(log(&store).await.len(), 2);
    assert!(store.progress().late_records >= 1);
}

/// Every operation after the fold has stopped.
async fn all_stop(topic: &Topic, value: Vec<u8>, says: &str) {
    let store = topic.open().await;
    tick(&store, 1).await;
    topic.write([value]).await;
    let refused = store.read(Read::log(Query::all())).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Corrupt(_)), "{refused:?}");
    assert!(refused.to_string().contains(says), "{refused}");
    let refused = store.append(one("Clock-1", ExpectedVersion::Any, 2)).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Corrupt(_)), "{refused:?}");
    let refused = store.read(Read::log(Query::all()).local()).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Corrupt(_)), "{refused:?}");
    let opened = topic.try_open(config()).await.unwrap_err();
    assert!(matches!(opened.kind(), ErrorKind::Corrupt(_)), "{opened:?}");
}

#[tokio::test]
async fn a_record_of_an_unknown_version_stops_it() {
    let topic = Topic::new().set_up().await;
    let mut value = topic.records().remove(0);
    value[4] = 2;
    all_stop(&topic, value, "version=2").await;
}

#[tokio::test]
async fn a_record_that_cannot_be_understood_stops_it() {
    let topic = Topic::new().set_up().await;
    let mut value = topic.records().remove(0);
    value[5] = 1;
    value.push(200);
    all_stop(&topic, value, "cannot be understood").await;
}

#[tokio::test]
async fn a_writer_that_came_to_other_verdicts_stops_it() {
    let topic = Topic::new().set_up().await;
    let store = topic.open().await;
    tick(&store, 1).await;
    let mut value = topic.records().remove(1);
    // Another writer, who has applied the first two records and found something else.
    value[22] ^= 1;
    value[46..54].copy_from_slice(&2_u64.to_be_bytes());
    value[54..62].copy_from_slice(&7_u64.to_be_bytes());
    topic.write([value]).await;
    until(|| store.progress().applied >= 2).await;
    let refused = store.read(Read::log(Query::all())).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Corrupt(_)), "{refused:?}");
    assert!(refused.to_string().contains("other verdicts"), "{refused}");
}
