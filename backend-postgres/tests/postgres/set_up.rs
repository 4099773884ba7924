//! Opening a store on what is no place for one.

use std::net::TcpListener;

use annalist_core::{EventStore, Survives};
use annalist_postgres::{Config, PostgresStore};
use annalist_test_servers::postgres::{Server, Settings};

use crate::support::*;

async fn refused(url: &str, config: &Config) -> annalist_core::Error {
    refusal(PostgresStore::connect(url, config.clone())).await
}

/// That both ways refuse, and that both work once the cause is gone.
async fn refused_until(url: &str, config: &Config, word: &str, repair: impl FnOnce()) {
    assert_misconfigured(&refusal(PostgresStore::setup(url, config)).await, word);
    assert_misconfigured(&refused(url, config).await, word);
    tokio::task::block_in_place(repair);
    let store = opened(url, config).await;
    store.append(tick("Clock-1")).await.unwrap();
    store.close().await.unwrap();
}

fn at(server: &Server, user: &str) -> String {
    format!("postgres://{user}:{SECRET}@{}/postgres", server.address())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_missing_database_are_named() {
    let server = private(Settings::default());
    let sql = |text: &str| server.sql(text).map(drop).unwrap();
    refused_until(&at(&server, "ada"), &config(), "password", || {
        sql(&format!("CREATE ROLE ada LOGIN PASSWORD '{SECRET}'; GRANT CREATE ON DATABASE postgres TO ada"));
    })
    .await;
    refused_until(&server.url_of("missing"), &config(), "database", || sql("CREATE DATABASE missing")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_privileges_is_told() {
    let server = private(Settings::default());
    server.sql(&format!("CREATE ROLE ada LOGIN PASSWORD '{SECRET}'")).unwrap();
    let (config, url) = (config(), at(&server, "ada"));
    assert_misconfigured(&refusal(PostgresStore::setup(&url, &config)).await, "privilege");
    PostgresStore::setup(&server.url(), &config).await.unwrap();
    assert_misconfigured(&refused(&url, &config).await, "privilege");
    // What the documentation says that a user needs.
    let schema = &config.schema;
    server
        .sql(&format!(
            "GRANT USAGE ON SCHEMA {schema} TO ada;
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO ada"
        ))
        .unwrap();
    let store = PostgresStore::connect(&url, config.clone()).await.unwrap();
    store.append(tick("Clock-1")).await.unwrap();
    assert_eq!(all(&store, annalist_core::Query::all()).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_is_none_is_misconfigured() {
    let urls = [
        String::new(),
        format!("postgres//ada:{SECRET}@localhost/x"),
        format!("postgres://ada:{SECRET}@localhost:port/x"),
        format!("postgres://ada:{SECRET}@localhost/x?sslmode={SECRET}"),
        format!("postgres://ada:{SECRET}@localhost/x?pasword={SECRET}"),
        format!("postgres://ada@localhost/x?statement-cache-capacity={SECRET}"),
    ];
    for url in urls {
        assert_misconfigured(&refused(&url, &config()).await, "URL");
        assert_misconfigured(&refusal(PostgresStore::setup(&url, &config())).await, "URL");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_server_answers_it_is_unavailable() {
    // Taken and given back, so that nobody listens there; and one where somebody listens who never answers.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let places = ["nowhere.invalid".to_owned(), free.to_string(), mute.local_addr().unwrap().to_string()];
    for place in places {
        let url = format!("postgres://ada:{SECRET}@{place}/x");
        assert_unavailable(&refused(&url, &config()).await);
        assert_unavailable(&refusal(PostgresStore::setup(&url, &config())).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_is_refused() {
    let server = private(Settings::default().read_only());
    refused_until(&server.url(), &config(), "read-only", || {
        server.sql("ALTER SYSTEM SET default_transaction_read_only = off").unwrap();
        server.restart().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolation_level_that_would_decide_on_old_facts_is_refused() {
    for level in ["serializable", "repeatable read"] {
        let line = format!("default_transaction_isolation = '{level}'");
        let server = private(Settings::default().with_line(line));
        refused_until(&server.url(), &config(), level, || {
            server.sql("ALTER SYSTEM SET default_transaction_isolation = 'read committed'").unwrap();
            server.restart().unwrap();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loses_data_is_taken_only_by_those_who_say_so() {
    for line in ["fsync = off", "full_page_writes = off"] {
        let server = private(Settings::default().with_line(line));
        let (url, mut config) = (server.url(), config());
        assert_misconfigured(&refusal(PostgresStore::setup(&url, &config)).await, "lose events");
        assert_misconfigured(&refused(&url, &config).await, "lose events");
        config.accept_volatile = true;
        let store = opened(&url, &config).await;
        store.append(tick("Clock-1")).await.unwrap();
        assert_eq!(store.capabilities().survives(), Survives::ProcessKill);
    }
    assert_eq!(store().await.capabilities().survives(), Survives::PowerLoss);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_hold_all_text_is_refused() {
    let server = private(Settings::default());
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let database = encoding.to_lowercase();
        let text = format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'");
        server.sql(&text).unwrap();
        let url = server.url_of(&database);
        assert_misconfigured(&refusal(PostgresStore::setup(&url, &config())).await, "UTF8");
        assert_misconfigured(&refused(&url, &config()).await, "UTF8");
    }
}
