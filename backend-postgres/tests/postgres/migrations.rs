//! Set-up: many at once, twice, and by programs of other versions.

use std::process::Command;

use annalist_core::{ErrorKind, EventStore, Query};
use annalist_postgres::PostgresStore;

use crate::support::*;

/// Set for the processes in which the test below runs a second time, only to set up this schema.
const SCHEMA: &str = "ANNALIST_TEST_POSTGRES_SCHEMA";

#[tokio::test(flavor = "multi_thread")]
async fn eight_tasks_and_processes_at_once_make_one_schema() {
    let mut config = patient();
    if let Ok(schema) = std::env::var(SCHEMA) {
        config.schema = schema;
        return PostgresStore::setup(&url(), &config).await.unwrap();
    }
    let mut processes: Vec<_> = (0..4)
        .map(|_| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "migrations::eight_tasks_and_processes_at_once_make_one_schema"]);
            command.env(SCHEMA, &config.schema).env(crate::common::VARIABLE, url()).spawn().unwrap()
        })
        .collect();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let config = config.clone();
        tasks.spawn(async move { PostgresStore::setup(&url(), &config).await });
    }
    for done in tasks.join_all().await {
        done.unwrap();
    }
    tokio::task::block_in_place(|| {
        processes.iter_mut().for_each(|process| assert!(process.wait().unwrap().success()));
    });
    let store = PostgresStore::connect(&url(), config.clone()).await.unwrap();
    store.append(tick("Clock-1")).await.unwrap();
    let mut connection = raw(&url()).await;
    let logs = number(&mut connection, format!("SELECT count(*) FROM {}.log", config.schema)).await;
    assert_eq!(logs, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_time_changes_nothing() {
    let config = patient();
    let store = opened(&url(), &config).await;
    store.append(tick("Clock-1")).await.unwrap();
    PostgresStore::setup(&url(), &config).await.unwrap();
    PostgresStore::setup_on(store.pool(), &config).await.unwrap();
    let again = PostgresStore::connect(&url(), config).await.unwrap();
    assert_eq!(again.log(), store.log());
    assert_eq!(all(&again, Query::all()).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_of_other_versions_are_refused_or_used() {
    let config = patient();
    let store = opened(&url(), &config).await;
    let set = async |text: &str| run_at(&url(), text.replace("{schema}", &config.schema)).await;
    let connect = async || PostgresStore::connect(&url(), config.clone()).await;

    // A newer one that says it works with this version.
    set("INSERT INTO {schema}.migration (number, works_with) SELECT max(number) + 1, max(works_with) FROM {schema}.migration").await;
    PostgresStore::setup(&url(), &config).await.unwrap();
    connect().await.unwrap().append(tick("Clock-1")).await.unwrap();

    // A newer one that does not.
    set("UPDATE {schema}.migration SET works_with = number WHERE number = (SELECT max(number) FROM {schema}.migration)").await;
    assert_misconfigured(&refusal(connect()).await, "update this program");
    assert_misconfigured(&refusal(PostgresStore::setup(&url(), &config)).await, "update this program");

    // An older one, and one that was never finished.
    set("DELETE FROM {schema}.migration WHERE number > 3").await;
    assert_misconfigured(&refusal(connect()).await, "run its set-up");
    set("DELETE FROM {schema}.migration").await;
    assert_misconfigured(&refusal(connect()).await, "run its set-up");
    drop(store);
}

/// The schema of somebody else, who has tables of the same names.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_something_else_is_left_alone() {
    let config = patient();
    let schema = &config.schema;
    run_at(&url(), format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.event (theirs int)")).await;
    let error = refusal(PostgresStore::setup(&url(), &config)).await;
    assert!(matches!(error.kind(), ErrorKind::Misconfigured(_) | ErrorKind::Internal(_)), "{error:?}");
    assert_misconfigured(&refusal(PostgresStore::connect(&url(), config.clone())).await, "run its set-up");
    let mut connection = raw(&url()).await;
    let tables =
        format!("SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}' AND tablename <> 'event'");
    assert_eq!(number(&mut connection, tables).await, 0);
}

/// Closing the pool of a set-up once waited for the connection that a blocked set-up still held: past every deadline.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_has_to_wait_for_another_ends_at_its_deadline() {
    let config = config();
    let mut other = raw(&url()).await;
    run(
        &mut other,
        format!("BEGIN; SELECT pg_advisory_xact_lock(1634627169, hashtext('{}'))", config.schema),
    )
    .await;
    assert_unavailable(&refusal(PostgresStore::setup(&url(), &config)).await);
    run(&mut other, "ROLLBACK").await;
    PostgresStore::setup(&url(), &config).await.unwrap();
}
