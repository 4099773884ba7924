//! Connections: never more than the pool's, none left in a transaction, none left at the end.

use annalist_conformance::PollLimit;
use annalist_core::{Append, CheckpointName, CheckpointStore, EventStore, ExpectedVersion, Query, Read};
use annalist_postgres::PostgresStore;
use annalist_postgres::sqlx::PgConnection;
use tokio::task::JoinSet;

use crate::support::*;

async fn sessions(connection: &mut PgConnection, name: &str, condition: &str) -> i64 {
    let text =
        format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}' AND {condition}");
    number(connection, text).await
}

async fn mixed(store: PostgresStore, n: u64) {
    let name = CheckpointName::new(format!("reader-{}", n % 3)).unwrap();
    for step in n..n + 40 {
        let polls = usize::try_from(step % 5).unwrap();
        match step % 4 {
            0 => drop(PollLimit::new(polls, store.append(tick("Clock-1"))).await),
            1 => drop(PollLimit::new(polls, store.read(Read::log(Query::category("Clock")))).await),
            2 => drop(PollLimit::new(polls, store.claim_checkpoint(&name)).await),
            _ => {
                let pool = store.pool().clone();
                let transaction = tokio::spawn(async move { pool.begin().await }).await.unwrap().unwrap();
                let refused = Append::to(&stream("Clock-1"), ExpectedVersion::NoStream, [event()]);
                drop(PollLimit::new(polls, store.append_and_commit(transaction, refused)).await);
            }
        }
        within(store.append(tick("Clock-1"))).await.unwrap();
        within(store.read(Read::log(Query::all()).limit(10))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_clean_and_given_back() {
    let (name, config) = (config().schema, patient());
    PostgresStore::setup(&url(), &config).await.unwrap();
    let separator = if url().contains('?') { '&' } else { '?' };
    let url_named = format!("{}{separator}application_name={name}", url());
    let store = PostgresStore::connect(&url_named, config.clone()).await.unwrap();
    let mut watch = raw(&url()).await;
    let mut tasks = JoinSet::new();
    for n in 0..8 {
        tasks.spawn(mixed(store.clone(), n));
    }
    // What was dropped is closed by the pool in the background, so that for a moment there may be more sessions than connections.
    while let Some(done) = within(tasks.join_next()).await {
        done.unwrap();
        assert!(store.pool().size() <= config.connections_max);
    }
    eventually("the sessions to be those of the pool", async || {
        let open = sessions(&mut watch, &name, "true").await;
        (open <= i64::from(config.connections_max)).then_some(())
    })
    .await;
    eventually("the last transaction to end", async || {
        let in_transaction = sessions(&mut watch, &name, "state LIKE 'idle in transaction%'").await;
        (in_transaction == 0).then_some(())
    })
    .await;
    within(store.close()).await.unwrap();
    eventually("the last session to end", async || {
        (sessions(&mut watch, &name, "true").await == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_nobody_uses_go_back_to_the_pool() {
    let store = store().await;
    let mut readers = JoinSet::new();
    for _ in 0..32 {
        let store = store.clone();
        readers.spawn(async move { within(store.read(Read::log(Query::all()))).await.unwrap() });
    }
    while let Some(done) = readers.join_next().await {
        done.unwrap();
    }
    let mut taken = Vec::new();
    for _ in 0..store.pool().options().get_max_connections() {
        taken.push(within(store.pool().acquire()).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_was_passed_in_is_left_open_and_whole() {
    let store = store().await;
    let pool = store.pool().clone();
    let other = PostgresStore::open(pool.clone(), {
        let config = patient();
        PostgresStore::setup_on(&pool, &config).await.unwrap();
        config
    })
    .await
    .unwrap();
    other.append(tick("Clock-1")).await.unwrap();
    other.close().await.unwrap();
    assert!(!pool.is_closed());
    let mut taken = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        taken.push(within(pool.acquire()).await.unwrap());
    }
}
