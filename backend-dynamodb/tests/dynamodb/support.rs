//! What the tests share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use annalist_core::{Append, EventStore, ExpectedVersion, NewEvent, Query, Read, RecordedEvent, StreamId};
use annalist_dynamodb::testing::{Attributes, Key};
use annalist_dynamodb::{Config, DynamoStore};

use crate::memory::MemoryTable;

pub fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

pub fn event(event_type: &str, tags: &[&str]) -> NewEvent {
    NewEvent::new(event_type, r#"{"some": "data"}"#).unwrap().with_tags(tags.iter().copied()).unwrap()
}

/// An index that nobody writes.
pub fn never() -> Config {
    let mut config = Config::default();
    (config.index_batches_min, config.index_batches_help) = (u64::MAX, u64::MAX);
    config
}

/// An index that is written at once.
pub fn at_once() -> Config {
    let mut config = Config::default();
    (config.index_batches_min, config.index_batches_help) = (1, 1);
    config
}

pub async fn open(table: &MemoryTable, config: Config) -> DynamoStore {
    let table = Arc::new(table.clone());
    DynamoStore::setup_over(table.clone(), &config).await.unwrap();
    DynamoStore::open_over(table, config).await.unwrap()
}

/// Appends of several shapes over a few streams, types and tags.
pub async fn medley(store: &DynamoStore, appends: usize) {
    for n in 0..appends {
        let events =
            (0..=n % 3).map(|m| event(["Placed", "Paid"][(n + m) % 2], &[["a", "b", "c"][n % 3], "all"]));
        let append = Append::to(&stream(&format!("Order-{}", n % 4)), ExpectedVersion::Any, events);
        let append = append.write(&stream("Journal"), ExpectedVersion::Any, [event("Noted", &[])]);
        store.append(append).await.unwrap();
    }
}

pub async fn read_all(store: &DynamoStore, query: Query) -> Vec<RecordedEvent> {
    let (mut next, mut events) = (Some(Read::log(query).page_size(7)), Vec::new());
    while let Some(read) = next {
        let page = store.read(read).await.unwrap();
        events.extend(page.events);
        next = page.next;
    }
    events
}

/// The part of a key after the namespace.
pub fn room(key: &Key) -> &str {
    key.partition.strip_prefix("annalist").unwrap()
}

/// What a table holds of the index.
pub fn index_of(table: &MemoryTable) -> BTreeMap<Key, Attributes> {
    let is_index = |key: &Key| room(key).starts_with("/s/") || room(key).starts_with("/p/");
    table.items().into_iter().filter(|(key, _)| is_index(key)).collect()
}

/// The number up to which the index is complete.
pub fn watermark(table: &MemoryTable) -> u64 {
    let items = table.items();
    let item = items.iter().find(|(key, _)| key.sort == "watermark");
    item.map_or(0, |(_, attributes)| attributes["n"].as_n().unwrap().parse().unwrap())
}

/// Sees to it that the log is dense and a chain; gives how many batches it has.
pub fn check_log(table: &MemoryTable) -> u64 {
    let mut batches: Vec<(u64, Attributes)> = Vec::new();
    for (key, attributes) in table.items() {
        if room(&key).starts_with("/b/") {
            batches.push((u64::from_str_radix(&key.sort, 16).unwrap(), attributes));
        }
    }
    batches.sort_by_key(|(number, _)| *number);
    let mut before = None;
    for (n, (number, attributes)) in (1..).zip(&batches) {
        assert_eq!(n, *number, "the log has a gap");
        assert!(
            before.is_none_or(|before: &Attributes| before["i"] == attributes["p"]),
            "batch {n} follows another"
        );
        before = Some(attributes);
    }
    batches.len() as u64
}

/// An index made anew from the log alone.
pub async fn rebuilt(table: &MemoryTable) -> BTreeMap<Key, Attributes> {
    let copy = table.copy(|key| {
        key.sort != "watermark" && !room(key).starts_with("/s/") && !room(key).starts_with("/p/")
    });
    let store = open(&copy, at_once()).await;
    indexed(&store, &copy).await;
    index_of(&copy)
}

/// Waits until the index has all of the log.
pub async fn indexed(store: &DynamoStore, table: &MemoryTable) {
    let head = check_log(table);
    while watermark(table) < head {
        store.read(Read::log(Query::all()).limit(0)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
