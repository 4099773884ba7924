//! The handle: reading, following, opening, closing.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod common;

use annalist::{
    Append, Conflict, ErrorKind, ExpectedVersion, NewEvent, Position, Query, Read, Signal, Store, StreamId,
    Subscribe, Version,
};
use common::stores;
use futures::{StreamExt, TryStreamExt};

async fn ticks(store: &Store, stream: &str, events: u64) {
    for _ in 0..events {
        store.append(stream, ExpectedVersion::Any, [NewEvent::new("Ticked", "{}").unwrap()]).await.unwrap();
    }
}

#[tokio::test]
async fn takes_a_stream_in_every_form() {
    for (_, store) in stores().await {
        let (event, id) = (|| NewEvent::new("Ticked", "{}").unwrap(), StreamId::new("Clock-1").unwrap());
        store.append("Clock-1", ExpectedVersion::NoStream, [event()]).await.unwrap();
        store.append(String::from("Clock-1"), Version::new(1), vec![event()]).await.unwrap();
        store.append(&id, ExpectedVersion::Exists, Some(event())).await.unwrap();
        store.append(id, ExpectedVersion::Any, [event(), event()]).await.unwrap();
        assert_eq!(store.read_stream("Clock-1").await.unwrap().version, Version::new(5));
        let refused = store.append("$own", ExpectedVersion::Any, [event()]).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Invalid(_)));
    }
}

#[tokio::test]
async fn a_whole_stream_comes_with_its_version_and_head() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 3).await;
        ticks(&store, "Other-1", 1).await;
        let past = store.read_stream("Clock-1").await.unwrap();
        assert_eq!((past.events.len(), past.version), (3, Version::new(3)), "{backend}");
        assert_eq!(past.head, store.head().await.unwrap(), "{backend}");
        let missing = store.read_stream("Clock-2").await.unwrap();
        assert_eq!((missing.events.len(), missing.version), (0, Version::NONE), "{backend}");
        assert_eq!(missing.head, past.head, "{backend}");
    }
}

#[tokio::test]
async fn events_follow_pages_at_the_head_of_the_first() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 25).await;
        for page_size in [1, 2, 7, 24, 25, 26, 1_000] {
            let mut events = store.events(Read::log(Query::category("Clock")).page_size(page_size).limit(25));
            let first = events.next().await.unwrap().unwrap();
            ticks(&store, "Clock-1", 1).await;
            let rest: Vec<_> = events.try_collect().await.unwrap();
            assert_eq!(first.version(), Version::FIRST, "{backend}");
            let versions: Vec<_> = rest.iter().map(|event| event.version().get()).collect();
            assert_eq!(versions, (2..=25).collect::<Vec<_>>(), "{backend} {page_size}");
        }
        let backward = store.events(Read::log(Query::all()).backward().page_size(5));
        let versions: Vec<_> = backward.map_ok(|event| event.version().get()).try_collect().await.unwrap();
        assert!(versions.is_sorted_by(|a, b| a > b), "{backend}");
    }
}

#[tokio::test]
async fn all_pages_joined_are_one_past() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 25).await;
        let past = store.read_all(Read::log(Query::all()).page_size(4)).await.unwrap();
        assert_eq!(past, store.read_all(Query::all()).await.unwrap(), "{backend}");
        assert_eq!(past.events.len(), 25, "{backend}");
        let part = store.read_all(Read::log(Query::all()).page_size(4).limit(6)).await.unwrap();
        assert_eq!(part.events[..], past.events[..6], "{backend}");
    }
}

#[tokio::test]
async fn a_stream_of_events_ends_after_its_error() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 3).await;
        let mut events = store.events(Read::log(Query::all()).page_size(2));
        assert!(events.next().await.unwrap().is_ok() && events.next().await.unwrap().is_ok());
        store.close().await.unwrap();
        let error = events.next().await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Closed), "{backend}: {error}");
        assert!(events.next().await.is_none(), "{backend}");
    }
}

#[tokio::test]
async fn signals_are_a_stream() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 3).await;
        let signals = store.subscribe(Subscribe::to(Query::all())).await.unwrap();
        let until_caught_up =
            signals.try_take_while(|signal| std::future::ready(Ok(!matches!(signal, Signal::CaughtUp(_)))));
        let events: Vec<_> = StreamExt::collect(until_caught_up).await;
        assert_eq!(events.len(), 3, "{backend}");
    }
}

#[tokio::test]
async fn a_closed_store_ends_its_signals_with_one_error() {
    for (backend, store) in stores().await {
        let mut signals = store.subscribe(Subscribe::to(Query::all()).from_now()).await.unwrap();
        assert!(matches!(signals.next().await, Some(Ok(Signal::CaughtUp(_)))), "{backend}");
        store.close().await.unwrap();
        let error = signals.next().await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Closed), "{backend}: {error}");
        assert!(signals.next().await.is_none(), "{backend}");
    }
}

#[tokio::test]
async fn an_append_may_write_check_and_demand() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 2).await;
        let [clock, bell] = ["Clock-1", "Bell-1"].map(|name| StreamId::new(name).unwrap());
        let rung = || NewEvent::new("Rung", "{}").unwrap().with_tags(["noon"]).unwrap();
        let ring = || {
            let append = Append::to(&bell, ExpectedVersion::Any, [rung()]).check(&clock, Version::new(2));
            append.condition(Query::tags(["noon"]), Position::START)
        };
        store.commit(ring()).await.unwrap();
        let refused = store.commit(ring()).await.unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::Conflict(Conflict::Condition { index: 0, .. })),
            "{backend}: {refused}"
        );
    }
}

#[tokio::test]
async fn errors_tell_their_operation_and_stream() {
    for (_, store) in stores().await {
        store.close().await.unwrap();
        let shown = store.read_stream("Clock-1").await.unwrap_err().to_string();
        assert_eq!(shown, r#"the store was closed operation=read stream="Clock-1""#);
        let shown = store.load_checkpoint("mailer").await.unwrap_err().to_string();
        assert_eq!(shown, "the store was closed operation=load_checkpoint");
    }
}

/// A handle made of three backends uses each for its part.
#[cfg(feature = "memory")]
#[tokio::test]
async fn three_parts_make_one_store() {
    use std::sync::Arc;

    use annalist::SnapshotSchema;
    use annalist::memory::MemoryStore;

    let parts: [Arc<MemoryStore>; 3] = std::array::from_fn(|_| Arc::default());
    let [events, snapshots, checkpoints] = parts.clone();
    let store = Store::from_parts(events, snapshots, checkpoints);
    ticks(&store, "Clock-1", 1).await;
    let [events, _, checkpoints] = parts.map(|part| Store::new(part.as_ref().clone()));
    assert_eq!(events.read_stream("Clock-1").await.unwrap().version, Version::FIRST);
    assert_eq!(checkpoints.head().await.unwrap(), Position::START);

    store.claim_checkpoint("mailer").await.unwrap();
    assert_eq!(checkpoints.claim_checkpoint("mailer").await.unwrap().owner.epoch(), 2);
    assert_eq!(events.claim_checkpoint("mailer").await.unwrap().owner.epoch(), 1);
    let schema = SnapshotSchema::new("tally/1").unwrap();
    let clock = StreamId::new("Clock-1").unwrap();
    assert!(store.snapshot_store().load_snapshot(&clock, &schema, Version::MAX).await.unwrap().is_none());
}
