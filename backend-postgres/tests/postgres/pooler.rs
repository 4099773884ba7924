//! Through PgBouncer in transaction mode, where two statements of one connection may run in different sessions.

use annalist_core::{
    Append, CheckpointName, CheckpointStore, EventStore, ExpectedVersion, Position, Query, Read, Signal,
    Snapshot, SnapshotSchema, SnapshotStore, Subscribe, Version,
};
use annalist_test_servers::pgbouncer::PgBouncer;
use annalist_test_servers::postgres::{Server, Settings};

use crate::support::*;

/// Without prepared statements that stay, since PgBouncer did not know them before 1.21.
const NOTHING_KEPT: &str = "statement-cache-capacity=0";

/// The everyday operations, by many at once, so that sessions are shared out between them.
async fn everyday(server: &Server, option: &str) {
    let pooler = tokio::task::block_in_place(|| PgBouncer::start(server).unwrap());
    let url = format!("{}?{option}", pooler.url());
    let config = patient();
    let store = opened(&url, &config).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (url, config) = (url.clone(), config.clone());
        tasks.spawn(async move {
            let store = annalist_postgres::PostgresStore::connect(&url, config).await.unwrap();
            for version in 0..20 {
                let own = stream(&format!("Own-{n}"));
                let append = Append::to(&own, Version::new(version), [event().with_tags(["own"]).unwrap()]);
                let condition = append.condition(Query::tags([format!("never-{n}")]), Position::START);
                store.append(condition).await.unwrap();
                store.append(tick("Shared-1")).await.unwrap();
                let page = store.read(Read::stream(&own).backward().limit(1)).await.unwrap();
                assert_eq!(page.version, Version::new(version + 1));
            }
            store.close().await.unwrap();
        });
    }
    within(tasks.join_all()).await;
    assert_eq!(all(&store, Query::all()).await.len(), 320);
    assert_eq!(all(&store, Query::tags(["own"])).await.len(), 160);

    let name = CheckpointName::new("mailer").unwrap();
    let owner = store.claim_checkpoint(&name).await.unwrap().owner;
    let place = all(&store, Query::category("Own")).await[5].position();
    store.save_checkpoint(&owner, place).await.unwrap();
    assert_eq!(store.load_checkpoint(&name).await.unwrap().unwrap().position, place);
    let schema = SnapshotSchema::new("tally/1").unwrap();
    store.save_snapshot(Snapshot::new(&stream("Own-1"), &schema, Version::FIRST, "1")).await.unwrap();
    assert!(store.load_snapshot(&stream("Own-1"), &schema, Version::MAX).await.unwrap().is_some());

    let mut live = store.subscribe(Subscribe::to(Query::all()).from_now()).await.unwrap();
    assert!(matches!(within(live.next()).await, Some(Ok(Signal::CaughtUp(_)))));
    let direct = annalist_postgres::PostgresStore::connect(&server.url(), config).await.unwrap();
    direct.append(tick("Clock-1")).await.unwrap();
    assert!(matches!(within(live.next()).await, Some(Ok(Signal::Event(_)))));

    let transaction = store.pool().begin().await.unwrap();
    let append = Append::to(&stream("Clock-1"), ExpectedVersion::Exists, [event()]);
    store.append_and_commit(transaction, append).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_through_a_pooler_when_no_statement_is_kept() {
    everyday(&private(Settings::default()), NOTHING_KEPT).await;
}
