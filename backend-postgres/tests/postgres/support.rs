//! What the tests share: stores on schemas of their own, and statements past them.

use std::error::Error as _;
use std::time::{Duration, Instant};

use annalist_core::{
    Append, Error, ErrorKind, EventId, EventStore, ExpectedVersion, NewEvent, Query, Read, RecordedEvent,
    StreamId,
};
use annalist_postgres::sqlx::{self, AssertSqlSafe, Connection, Executor, PgConnection};
use annalist_postgres::{Config, PostgresStore};
use annalist_test_servers::postgres::{Server, Settings};

use crate::common::Shared;

/// A password that must show up nowhere.
pub const SECRET: &str = "hunter2-and-more";

/// Longer than any operation may take, on a machine with much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn url() -> String {
    Shared::get().unwrap().url()
}

pub fn private(settings: Settings) -> Server {
    tokio::task::block_in_place(|| Server::start(settings).unwrap())
}

/// Settings with a schema that nobody else has, and deadlines that a test can wait for.
pub fn config() -> Config {
    let mut config = Config::default();
    config.schema = format!("t_{}", EventId::new().to_string().replace('-', "_"));
    config.connections_max = 3;
    config.connect_timeout = Duration::from_secs(2);
    config.attempt_timeout = Duration::from_secs(3);
    config.timeout = Duration::from_secs(6);
    config
}

/// With deadlines at which no test should arrive.
pub fn patient() -> Config {
    let mut config = config();
    config.connect_timeout = PATIENCE / 4;
    config.attempt_timeout = PATIENCE / 2;
    config.timeout = PATIENCE;
    config
}

pub async fn opened(url: &str, config: &Config) -> PostgresStore {
    PostgresStore::setup(url, config).await.unwrap();
    PostgresStore::connect(url, config.clone()).await.unwrap()
}

/// An empty store on the server that the tests share.
pub async fn store() -> PostgresStore {
    opened(&url(), &patient()).await
}

pub fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

pub fn event() -> NewEvent {
    NewEvent::new("Ticked", "{}").unwrap()
}

pub fn tick(name: &str) -> Append {
    Append::to(&stream(name), ExpectedVersion::Any, [event()])
}

/// All events of a log, or those that match.
pub async fn all(store: &PostgresStore, query: Query) -> Vec<RecordedEvent> {
    joined(store, Read::log(query)).await
}

pub async fn joined(store: &PostgresStore, read: Read) -> Vec<RecordedEvent> {
    let (mut events, mut next) = (Vec::new(), Some(read));
    while let Some(read) = next {
        let page = store.read(read).await.unwrap();
        events.extend(page.events);
        next = page.next;
    }
    events
}

pub async fn raw(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

/// Runs statements past the store.
pub async fn run(connection: &mut PgConnection, text: impl Into<String>) {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(text.into()))).await.unwrap();
}

pub async fn run_at(url: &str, text: impl Into<String>) {
    let mut connection = raw(url).await;
    run(&mut connection, text).await;
    connection.close().await.unwrap();
}

pub async fn number(connection: &mut PgConnection, text: impl Into<String>) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(text.into())).fetch_one(connection).await.unwrap()
}

/// That an operation ends, and with an error that gives no secret away; how long it may take is the caller's affair.
pub async fn refusal<T>(operation: impl Future<Output = Result<T, Error>>) -> Error {
    let begun = Instant::now();
    let error = within(operation).await.map(drop).unwrap_err();
    println!("{error:?} after {:?}", begun.elapsed());
    let mut shown = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(source) = cause {
        shown += &format!(" {source} {source:?}");
        cause = source.source();
    }
    assert!(!shown.contains(SECRET), "{shown}");
    error
}

pub async fn within<T>(operation: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, operation).await.expect("it ends by its deadline")
}

pub fn assert_misconfigured(error: &Error, word: &str) {
    assert!(matches!(error.kind(), ErrorKind::Misconfigured(_)), "{error:?}");
    assert!(error.to_string().contains(word), "{error:?}: {word}");
}

pub fn assert_unavailable(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error:?}");
}

/// That of something which may have been sent.
pub fn assert_out_of_reach(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_)), "{error:?}");
}

/// Looks again and again for what another process does in its own time.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::task::yield_now().await;
    }
}
