//! Futures dropped at every poll, on a pool of one connection. A connection that came back to the pool with something still open on it
//! would swallow what is acknowledged after (C1).

use annalist_conformance::PollLimit;
use annalist_core::{
    CheckpointName, CheckpointStore, Error, EventStore, Query, Read, Snapshot, SnapshotSchema, SnapshotStore,
    Version,
};
use annalist_postgres::PostgresStore;
use annalist_postgres::sqlx::postgres::PgPoolOptions;

use crate::support::*;

/// A store on a pool of one that was passed in, and another store on the same log with connections of its own.
async fn alone() -> (PostgresStore, PostgresStore) {
    let config = patient();
    let witness = opened(&url(), &config).await;
    let pool =
        PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect(&url()).await.unwrap();
    (PostgresStore::open(pool, config).await.unwrap(), witness)
}

/// Drops an operation after 0, 1, 2 … polls until it has completed twice; after each, an append that is acknowledged is there.
async fn sweep<T>(
    what: &str,
    (store, witness): (PostgresStore, PostgresStore),
    operation: impl AsyncFn(&PostgresStore) -> Result<T, Error>,
) {
    let (mut completed, mut acknowledged) = (0, Vec::new());
    for polls in 0.. {
        let given = within(PollLimit::new(polls, operation(&store))).await;
        completed += usize::from(given.is_some());
        given.transpose().unwrap();
        let after = tick(&format!("After-{polls}"));
        acknowledged.push(after.events().next().unwrap().1.id());
        within(store.append(after)).await.unwrap();
        let found = within(all(&witness, Query::category("After"))).await;
        let found: Vec<_> = found.iter().map(|event| event.id()).collect();
        assert_eq!(found, acknowledged, "{what} dropped after {polls} polls");
        assert!(polls < 1_000, "{what} never completes");
        if completed == 2 {
            break;
        }
    }
    assert!(acknowledged.len() > 2, "{what} was never dropped");
    println!("{what}: {} polls", acknowledged.len() - 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_append_loses_no_later_one() {
    sweep("an append", alone().await, async |store| store.append(tick("Clock-1")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_read_loses_no_later_append() {
    let stores = alone().await;
    for _ in 0..3 {
        let events = (0..500).map(|_| event());
        let ticks =
            annalist_core::Append::to(&stream("Clock-1"), annalist_core::ExpectedVersion::Any, events);
        stores.0.append(ticks).await.unwrap();
    }
    let read = Read::log(Query::category("Clock")).page_size(1_500);
    sweep("a read", stores, async |store| store.read(read.clone()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_checkpoint_or_snapshot_loses_no_later_append() {
    let name = CheckpointName::new("mailer").unwrap();
    sweep("a claim", alone().await, async |store| store.claim_checkpoint(&name).await).await;
    let schema = SnapshotSchema::new("tally/1").unwrap();
    sweep("a snapshot", alone().await, async |store| {
        store.save_snapshot(Snapshot::new(&stream("Clock-1"), &schema, Version::FIRST, "1")).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_loses_no_later_append() {
    sweep("a transaction with an append", alone().await, async |store| {
        // What the driver itself is not safe to drop is not ours to test.
        let pool = store.pool().clone();
        let transaction = tokio::spawn(async move { pool.begin().await }).await;
        store.append_and_commit(transaction.unwrap().unwrap(), tick("Clock-1")).await
    })
    .await;
}
