//! Strangers in the same cluster, with open transactions and locks: they delay nobody (G2).

use std::time::Duration;

use annalist_core::{EventStore, Query, Read, Signal, Subscribe};
use annalist_test_servers::postgres::Settings;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn idle_transactions_delay_no_append_and_no_reader() {
    let server = private(Settings::default());
    server.create_database("other").unwrap();
    let config = patient();
    let store = opened(&server.url(), &config).await;
    store.append(tick("Clock-1")).await.unwrap();
    let schema = &config.schema;
    let strangers = [
        (server.url(), format!("BEGIN; SELECT txid_current(), count(*) FROM {schema}.event")),
        (
            server.url(),
            format!("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT txid_current(), head FROM {schema}.log"),
        ),
        (server.url(), "BEGIN; CREATE TABLE theirs (n int); INSERT INTO theirs VALUES (1)".to_owned()),
        (server.url(), format!("BEGIN; LOCK TABLE {schema}.event IN ROW EXCLUSIVE MODE")),
        (
            server.url_of("other"),
            "BEGIN; CREATE TABLE theirs (n int); INSERT INTO theirs VALUES (1)".to_owned(),
        ),
        (server.url_of("other"), "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT txid_current()".to_owned()),
    ];
    let mut open = Vec::new();
    for (url, text) in strangers {
        let mut connection = raw(&url).await;
        run(&mut connection, text).await;
        open.push(connection);
        let mut live = store.subscribe(Subscribe::to(Query::all()).from_now()).await.unwrap();
        assert!(matches!(within(live.next()).await, Some(Ok(Signal::CaughtUp(_)))));
        let position =
            store.append(tick("Clock-1").timeout(Duration::from_secs(20))).await.unwrap().position();
        let seen = store.read(Read::log(Query::all()).backward().limit(1)).await.unwrap();
        assert_eq!(Some(seen.events[0].position()), position, "read at once");
        match within(live.next()).await {
            Some(Ok(Signal::Event(event))) => assert_eq!(Some(event.position()), position, "and told"),
            other => panic!("{other:?}"),
        }
    }
    let found = all(&store, Query::all()).await.len();
    assert_eq!(found, open.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_rows_delay_nobody() {
    let (config, theirs) = (patient(), patient());
    let store = opened(&url(), &config).await;
    let other = opened(&url(), &theirs).await;
    for name in ["Clock-1", "Bell-1"] {
        store.append(tick(name)).await.unwrap();
        other.append(tick(name)).await.unwrap();
    }
    let mut stranger = raw(&url()).await;
    let text = format!(
        "BEGIN; SELECT * FROM {}.event WHERE stream = 'Clock-1' FOR UPDATE; SELECT pg_advisory_xact_lock(1634627169, '{}.log'::regclass::oid::int)",
        config.schema, theirs.schema
    );
    run(&mut stranger, text).await;
    for name in ["Clock-1", "Bell-1", "Gong-1"] {
        let known = tick(name).check(&stream("Other-1"), annalist_core::ExpectedVersion::NoStream);
        store.append(known.clone().timeout(Duration::from_secs(20))).await.unwrap();
        assert!(store.append(known).await.unwrap().already_committed());
    }
    // Nor does a namespace that cannot go on hold up another; its own readers go on.
    let waiting = tokio::spawn({
        let other = other.clone();
        async move { other.append(tick("Clock-1")).await }
    });
    assert_eq!(all(&other, Query::all()).await.len(), 2);
    store.append(tick("Clock-1").timeout(Duration::from_secs(20))).await.unwrap();
    run(&mut stranger, "ROLLBACK").await;
    within(waiting).await.unwrap().unwrap();
}
