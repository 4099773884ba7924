//! Topics that are not the ones they were.

use annalist_core::{Error, ErrorKind, EventStore, ExpectedVersion, Query, Read};
use annalist_kafka::KafkaStore;

use crate::support::{FIT, Topic, config, in_folder, log, one, tick, until};

fn is_wrong_history(refused: &Error) {
    assert!(matches!(refused.kind(), ErrorKind::WrongHistory(_)), "{refused:?}");
}

/// The topic with these records and no others.
async fn exchange(topic: &Topic, values: Vec<Vec<u8>>) {
    topic.delete().await;
    topic.create(1, &FIT).await;
    topic.write(values).await;
}

#[tokio::test]
async fn a_folder_of_another_history_is_refused() {
    let topic = Topic::new().set_up().await;
    let folder = tempfile::tempdir().unwrap();
    let store = topic.open_in(folder.path()).await;
    for n in 1..=3 {
        tick(&store, n).await;
    }
    store.close().await.unwrap();
    drop(store);
    let records = topic.records();

    // Cut off; cut off and grown again beyond where it was; made anew and longer than it was.
    let mut regrown = records[..2].to_vec();
    let mut other = records[2..].to_vec();
    // The same log, by another writer.
    other.iter_mut().for_each(|value| value[22] ^= 1);
    regrown.extend(other.iter().cloned().chain([b"x".to_vec(), b"y".to_vec()]));
    let anew = {
        let another = Topic::new().set_up().await;
        let store = another.open().await;
        for n in 1..=6 {
            tick(&store, n).await;
        }
        another.records()
    };
    for values in [records[..2].to_vec(), regrown, anew] {
        exchange(&topic, values).await;
        let refused = topic.try_open(in_folder(folder.path())).await.unwrap_err();
        is_wrong_history(&refused);
    }

    // The way out that the error names.
    let fresh = tempfile::tempdir().unwrap();
    let store = topic.open_in(fresh.path()).await;
    assert_eq!(log(&store).await.len(), 6);
    tick(&store, 7).await;
}

#[tokio::test]
async fn a_topic_that_is_made_anew_stops_who_has_it_open() {
    let topic = Topic::new().set_up().await;
    let store = topic.open().await;
    for n in 1..=3 {
        tick(&store, n).await;
    }
    topic.delete().await;
    KafkaStore::setup(&topic.url(), &config()).await.unwrap();
    let other = topic.open().await;
    for n in 1..=9 {
        tick(&other, n).await;
    }
    // It may be told of the missing topic first, and must not be let on with the new one.
    let answer = store.append(one("Clock-1", ExpectedVersion::Any, 9)).await;
    let refused = answer.unwrap_err();
    assert!(!matches!(refused.kind(), ErrorKind::Conflict(_)), "{refused:?}");
    let mut last = None;
    for _ in 0..100 {
        match store.read(Read::log(Query::all())).await {
            Ok(page) => panic!("a read of {} events through a handle on the old topic", page.events.len()),
            Err(error) if matches!(error.kind(), ErrorKind::WrongHistory(_)) => {
                last = Some(error);
                break;
            }
            Err(error) => last = Some(error),
        }
    }
    is_wrong_history(&last.unwrap());
    assert_eq!(log(&other).await.len(), 9);
    until(|| other.progress().applied >= 10).await;
}

/// What another log's writer left in the topic tells nothing of this one's history.
#[tokio::test]
async fn a_record_of_another_log_vouches_for_nothing() {
    let another = Topic::new().set_up().await;
    tick(&another.open().await, 1).await;
    let stranger = another.records().pop().unwrap();
    let topic = Topic::new().set_up().await;
    let folder = tempfile::tempdir().unwrap();
    let store = topic.open_in(folder.path()).await;
    tick(&store, 1).await;
    topic.write([stranger.clone()]).await;
    // It is looked at again, found to be what it was, and goes on.
    tick(&store, 2).await;
    assert_eq!(store.progress().foreign_records, 1);
    topic.write([stranger]).await;
    until(|| store.progress().foreign_records == 2).await;
    store.close().await.unwrap();
    drop(store);

    let mut records = topic.records();
    let ours = records.iter().rposition(|record| record[6..22] == records[0][6..22]).unwrap();
    // The last of this log, by another writer.
    records[ours][22] ^= 1;
    exchange(&topic, records).await;
    is_wrong_history(&topic.try_open(in_folder(folder.path())).await.unwrap_err());
}
