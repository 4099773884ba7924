//! Events and checkpoints in a transaction of the application's own.

use annalist_core::{
    Append, CheckpointName, CheckpointStore, ErrorKind, EventStore, ExpectedVersion, Owner, Query, Version,
};
use annalist_postgres::PostgresStore;
use annalist_postgres::sqlx::{PgPool, Postgres, Transaction};

use crate::support::*;

/// A store, and a table of the application's own beside it.
async fn with_table() -> PostgresStore {
    let config = patient();
    let store = opened(&url(), &config).await;
    run_at(&url(), format!("CREATE TABLE {}.stock (free int NOT NULL)", config.schema)).await;
    store
}

fn schema(store: &PostgresStore) -> String {
    let shown = format!("{store:?}");
    shown.split("schema: \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

async fn begun(store: &PostgresStore, how: &'static str) -> Transaction<'static, Postgres> {
    let mut transaction = store.pool().begin_with(how).await.unwrap();
    run(&mut transaction, format!("INSERT INTO {}.stock VALUES (1)", schema(store))).await;
    transaction
}

async fn rows(store: &PostgresStore) -> i64 {
    let mut connection = raw(&url()).await;
    number(&mut connection, format!("SELECT count(*) FROM {}.stock", schema(store))).await
}

async fn events(store: &PostgresStore) -> i64 {
    all(store, Query::all()).await.len() as i64
}

/// Nothing of the store's is left open, whatever became of a transaction.
async fn assert_nothing_is_open(pool: &PgPool, store: &PostgresStore) {
    within(store.append(tick("Other-1"))).await.unwrap();
    assert!(pool.size() <= pool.options().get_max_connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_events_are_committed_together() {
    let store = with_table().await;
    let transaction = begun(&store, "BEGIN").await;
    assert_eq!((rows(&store).await, events(&store).await), (0, 0));
    let receipt = store.append_and_commit(transaction, tick("Clock-1")).await.unwrap();
    assert_eq!(receipt.version_of(&stream("Clock-1")), Some(Version::FIRST));
    assert_eq!((rows(&store).await, events(&store).await), (1, 1));
    assert_eq!(all(&store, Query::all()).await[0].position(), receipt.position().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_append_takes_the_rows_back() {
    let store = with_table().await;
    let refused = Append::to(&stream("Clock-1"), ExpectedVersion::Exists, [event()]);
    let error = refusal(store.append_and_commit(begun(&store, "BEGIN").await, refused)).await;
    assert!(matches!(error.kind(), ErrorKind::Conflict(_)), "{error:?}");
    let too_big = Append::to(&stream("Clock-1"), ExpectedVersion::Any, (0..10_001).map(|_| event()));
    let error = refusal(store.append_and_commit(begun(&store, "BEGIN").await, too_big)).await;
    assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{error:?}");
    assert_eq!((rows(&store).await, events(&store).await), (0, 0));
    assert_nothing_is_open(store.pool(), &store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_committed_already_takes_the_rows_back_and_says_so() {
    let store = with_table().await;
    let append = tick("Clock-1");
    let first = store.append_and_commit(begun(&store, "BEGIN").await, append.clone()).await.unwrap();
    let again = store.append_and_commit(begun(&store, "BEGIN").await, append).await.unwrap();
    assert!(!first.already_committed() && again.already_committed());
    assert_eq!(again.written(), first.written());
    assert_eq!((rows(&store).await, events(&store).await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_both_are_there_or_neither() {
    let store = with_table().await;
    for polls in 0..8 {
        let transaction = begun(&store, "BEGIN").await;
        let append = store.append_and_commit(transaction, tick("Clock-1"));
        let given = annalist_conformance::PollLimit::new(polls, append).await;
        given.transpose().unwrap();
        assert_nothing_is_open(store.pool(), &store).await;
        eventually("what was dropped to end", async || {
            let ticked = all(&store, Query::category("Clock")).await.len() as i64;
            (rows(&store).await == ticked).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_at_which_old_facts_would_decide_is_refused() {
    let store = with_table().await;
    let name = CheckpointName::new("stock").unwrap();
    let owner = store.claim_checkpoint(&name).await.unwrap().owner;
    for how in ["BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE"] {
        let error = refusal(store.append_and_commit(begun(&store, how).await, tick("Clock-1"))).await;
        assert_misconfigured(&error, "READ COMMITTED");
        // A place that came after the transaction's view of the log would be taken for one of another history.
        let mut transaction = begun(&store, how).await;
        let place = store.append(tick("Other-1")).await.unwrap().position().unwrap();
        let error = refusal(store.save_checkpoint_in(&mut transaction, &owner, place)).await;
        assert_misconfigured(&error, "READ COMMITTED");
        transaction.rollback().await.unwrap();
    }
    assert_eq!(rows(&store).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_broken_already_commits_nothing() {
    let store = with_table().await;
    let mut transaction = begun(&store, "BEGIN").await;
    let text = "SELECT 1/0";
    annalist_postgres::sqlx::query(text).execute(&mut *transaction).await.unwrap_err();
    refusal(store.append_and_commit(transaction, tick("Clock-1"))).await;
    assert_eq!((rows(&store).await, events(&store).await), (0, 0));
    // A constraint that is looked at only at the end.
    run_at(
        &url(),
        format!("ALTER TABLE {}.stock ADD UNIQUE (free) DEFERRABLE INITIALLY DEFERRED", schema(&store)),
    )
    .await;
    let mut transaction = begun(&store, "BEGIN").await;
    run(&mut transaction, format!("INSERT INTO {}.stock VALUES (1)", schema(&store))).await;
    let error = refusal(store.append_and_commit(transaction, tick("Clock-1"))).await;
    assert!(matches!(error.kind(), ErrorKind::Internal(_)), "{error:?}");
    assert_eq!((rows(&store).await, events(&store).await), (0, 0));
    assert_nothing_is_open(store.pool(), &store).await;
}

async fn claimed(store: &PostgresStore) -> Owner {
    store.claim_checkpoint(&CheckpointName::new("stock").unwrap()).await.unwrap().owner
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_moves_with_the_rows() {
    let store = with_table().await;
    let owner = claimed(&store).await;
    let saved = async || store.load_checkpoint(owner.name()).await.unwrap().map(|found| found.position);
    for is_committed in [false, true] {
        let place = store.append(tick("Clock-1")).await.unwrap().position().unwrap();
        let mut transaction = begun(&store, "BEGIN").await;
        store.save_checkpoint_in(&mut transaction, &owner, place).await.unwrap();
        assert_eq!((saved().await, rows(&store).await), (None, 0));
        if is_committed {
            transaction.commit().await.unwrap();
            assert_eq!((saved().await, rows(&store).await), (Some(place), 1));
        } else {
            transaction.rollback().await.unwrap();
            assert_eq!((saved().await, rows(&store).await), (None, 0));
        }
    }
}

/// The fence holds inside a transaction, too: one that has saved keeps a claim waiting until it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_owner_commits_no_rows() {
    let store = with_table().await;
    let (old, place) =
        (claimed(&store).await, store.append(tick("Clock-1")).await.unwrap().position().unwrap());
    let mut first = begun(&store, "BEGIN").await;
    store.save_checkpoint_in(&mut first, &old, place).await.unwrap();
    let claim = tokio::spawn({
        let store = store.clone();
        async move { claimed(&store).await }
    });
    first.commit().await.unwrap();
    let new = within(claim).await.unwrap();
    let mut second = begun(&store, "BEGIN").await;
    let error = refusal(store.save_checkpoint_in(&mut second, &old, place)).await;
    assert!(matches!(error.kind(), ErrorKind::Fenced(_)), "{error:?}");
    drop(second);
    assert_eq!(rows(&store).await, 1);
    let mut third = begun(&store, "BEGIN").await;
    store.save_checkpoint_in(&mut third, &new, place).await.unwrap();
    third.commit().await.unwrap();
    assert_eq!(rows(&store).await, 2);
}
