//! A log that loses its newest events under a running store, as it does where a backup is restored.
//!
//! The store remembers versions of streams to look for the newest from there on. What it remembers is too high then, and nothing may rest on it.

use annalist_core::{Append, EventStore, Version};
use annalist_postgres::PostgresStore;
use annalist_postgres::sqlx::{self, AssertSqlSafe};
use futures::future::try_join_all;

use crate::support::*;

const NAMES: [&str; 3] = ["Kept-1", "Kept-2", "Kept-3"];

/// Each name has one append of its own; all at once, so that they go as batches.
async fn append_each(store: &PostgresStore, append: impl Fn(&str) -> Append) -> Vec<Version> {
    let receipts = try_join_all(NAMES.map(|name| store.append(append(name)))).await.unwrap();
    receipts.iter().map(|receipt| receipt.written()[0].last_version()).collect()
}

#[tokio::test]
async fn streams_go_on_from_what_is_left() {
    let config = patient();
    let store = opened(&url(), &config).await;
    for version in 1..=5 {
        assert_eq!(append_each(&store, tick).await, [Version::new(version); 3]);
    }
    let take_away = format!("DELETE FROM {}.event WHERE version > 2", config.schema);
    sqlx::query(AssertSqlSafe(take_away)).execute(store.pool()).await.unwrap();

    let first = NAMES[0];
    assert_eq!(store.append(tick(first)).await.unwrap().version_of(&stream(first)), Some(Version::new(3)));
    let at =
        |name: &str| Append::to(&stream(name), Version::new(if name == first { 3 } else { 2 }), [event()]);
    let [third, fourth] = [Version::new(3), Version::new(4)];
    assert_eq!(append_each(&store, at).await, [fourth, third, third]);
    store.close().await.unwrap();
}
