//! The index: whoever writes it, and wherever that ends, it becomes the one that the log says.

use std::sync::Arc;

use annalist_core::{Append, Error, EventStore, ExpectedVersion, Query, QueryItem};
use annalist_dynamodb::testing::{Item, Table};

use crate::memory::MemoryTable;
use crate::support::{
    at_once, check_log, event, index_of, indexed, medley, never, open, read_all, rebuilt, stream, watermark,
};

const APPENDS: usize = 9;

/// A log whose index has not begun.
async fn log() -> MemoryTable {
    let table = MemoryTable::default();
    let store = open(&table, never()).await;
    medley(&store, APPENDS).await;
    store.close().await.unwrap();
    assert!(index_of(&table).is_empty());
    table
}

#[tokio::test(start_paused = true)]
async fn an_indexer_may_die_at_every_write_and_another_goes_on() {
    let log = log().await;
    let whole = rebuilt(&log).await;
    assert!(whole.len() > 4 * APPENDS, "{}", whole.len());
    // One more write than items: the one that moves the watermark.
    for writes in 0..=whole.len() + 1 {
        let table = log.copy(|_| true);
        table.lose_after(writes);
        let first = open_there(&table).await;
        let _ = first.read(annalist_core::Read::log(Query::all()).limit(0)).await;
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        drop(first);
        assert!(index_of(&table).len() <= writes);
        assert!(
            watermark(&table) == 0 || index_of(&table) == whole,
            "the watermark moved before all was written"
        );
        table.heal();
        let second = open(&table, at_once()).await;
        let events = read_all(&second, Query::all()).await;
        indexed(&second, &table).await;
        assert_eq!(index_of(&table), whole, "after {writes} writes");
        assert_eq!(read_all(&second, Query::all()).await, events);
    }
}

/// Without set-up, which would write.
async fn open_there(table: &MemoryTable) -> annalist_dynamodb::DynamoStore {
    annalist_dynamodb::DynamoStore::open_over(Arc::new(table.clone()), at_once()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_index_that_grew_is_the_one_made_from_the_log() {
    let table = MemoryTable::default();
    let stores = [open(&table, at_once()).await, open(&table, at_once()).await, open(&table, never()).await];
    for round in 0..4 {
        for store in &stores {
            medley(store, 3 + round).await;
        }
    }
    indexed(&stores[0], &table).await;
    check_log(&table);
    assert_eq!(index_of(&table), rebuilt(&table).await);
}

/// A write that was given up may arrive after everybody else has gone on: it must not change anything.
#[tokio::test(start_paused = true)]
async fn a_late_write_of_the_index_changes_nothing() -> Result<(), Error> {
    let table = MemoryTable::default();
    let store = open(&table, at_once()).await;
    medley(&store, 5).await;
    indexed(&store, &table).await;
    let late: Vec<Item> =
        index_of(&table).into_iter().map(|(key, attributes)| Item { key, attributes }).collect();
    medley(&store, 5).await;
    indexed(&store, &table).await;
    let before = index_of(&table);
    for items in late.chunks(25) {
        table.put_all(items).await.unwrap();
    }
    assert_eq!(index_of(&table), before);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_the_index_finds_is_what_a_filter_finds() {
    let table = MemoryTable::default();
    let store = open(&table, at_once()).await;
    medley(&store, 40).await;
    let long = (0..300).map(|n| event(if n % 2 == 0 { "Placed" } else { "Paid" }, &["long"]));
    store.append(Append::to(&stream("Long-1"), ExpectedVersion::NoStream, long)).await.unwrap();
    indexed(&store, &table).await;
    let all = read_all(&store, Query::all()).await;
    let queries = [
        Query::stream("Order-1"),
        Query::stream("Long-1"),
        Query::category("Order"),
        Query::types(["Paid"]),
        Query::tags(["a", "all"]),
        QueryItem::new().stream_prefix("Order-").types(["Placed"]).into(),
        QueryItem::new().stream_prefix("Or").into(),
        Query::any_of([QueryItem::new().stream("Journal"), QueryItem::new().tags(["b"])]),
    ];
    for query in queries {
        let expected: Vec<_> = all.iter().filter(|event| query.matches_recorded(event)).cloned().collect();
        assert!(!expected.is_empty());
        assert_eq!(read_all(&store, query.clone()).await, expected, "{query:?}");
    }
}

/// Memory and the time to begin are bounded: what is in the index is not held.
#[tokio::test(start_paused = true)]
async fn a_log_is_opened_from_its_watermark() {
    let table = MemoryTable::default();
    let store = open(&table, at_once()).await;
    medley(&store, 200).await;
    indexed(&store, &table).await;
    table.take_units();
    let fresh = open(&table, at_once()).await;
    assert_eq!(fresh.read(annalist_core::Read::log(Query::all()).limit(0)).await.unwrap().events.len(), 0);
    let units = table.take_units();
    assert!(units.read < 10.0, "{units:?}");
}
