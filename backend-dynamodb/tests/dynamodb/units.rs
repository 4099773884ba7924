//! What operations cost, counted from the requests that are really sent.

use annalist_core::{
    Append, CheckpointName, CheckpointStore, EventStore, ExpectedVersion, NewEvent, Query, Read, Snapshot,
    SnapshotSchema, SnapshotStore, Version,
};
use annalist_dynamodb::DynamoStore;

use crate::memory::{MemoryTable, Units};
use crate::support::{at_once, indexed, never, open, stream};

const COMMAND: &str = "cargo test -p annalist-dynamodb --test dynamodb units -- --nocapture";

/// 300 bytes of content, with one tag.
fn event(n: usize) -> NewEvent {
    let data = format!("{:0>width$}", n, width = 300 - "OrderPlaced".len() - "tag-0".len());
    NewEvent::new("OrderPlaced", data).unwrap().with_tags([format!("tag-{}", n % 5)]).unwrap()
}

struct Table {
    rows: Vec<String>,
}

impl Table {
    fn row(&mut self, what: &str, units: &Units, transactional: &str) {
        self.rows.push(format!("| {what} | {} | {} | {transactional} |", units.written, units.read));
    }
}

fn appends(n: usize, events: usize) -> Vec<Append> {
    let one = |n: usize| {
        let events = (0..events).map(|m| event(n + m));
        Append::to(&stream(&format!("Order-{n}")), ExpectedVersion::NoStream, events)
    };
    (0..n).map(one).collect()
}

/// Appends all at once, so that they travel as one batch.
async fn append_all(store: &DynamoStore, appends: Vec<Append>) {
    let answers = futures::future::join_all(appends.into_iter().map(|append| store.append(append))).await;
    answers.into_iter().for_each(|answer| drop(answer.unwrap()));
}

/// The log's part of it and the index's, each counted by itself.
async fn cost_of(appends: Vec<Append>) -> (Units, Units) {
    let table = MemoryTable::default();
    let store = open(&table, never()).await;
    store.read(Read::log(Query::all()).limit(0)).await.unwrap();
    table.take_units();
    append_all(&store, appends).await;
    let log = table.take_units();
    let store = open(&table, at_once()).await;
    table.take_units();
    indexed(&store, &table).await;
    let mut index = table.take_units();
    index.read = 0.0;
    (log, index)
}

#[tokio::test(start_paused = true)]
async fn units_are_those_that_the_readme_tells() {
    let mut told = Table { rows: Vec::new() };
    for (what, count, events, transactional) in [
        ("append of 1 event to a new stream", 1, 1, "4"),
        ("append of 10 events to a new stream", 1, 10, "10"),
        ("50 appends of 1 event each, in one batch", 50, 1, "106"),
    ] {
        let (log, index) = cost_of(appends(count, events)).await;
        told.row(&format!("{what}: the log"), &log, transactional);
        told.row(&format!("{what}: its index, later"), &index, "in it");
        assert_eq!(log.in_vain, 0);
    }

    let table = MemoryTable::default();
    let store = open(&table, at_once()).await;
    append_all(&store, appends(50, 1)).await;
    let long = (0..100).map(event);
    store.append(Append::to(&stream("Long-1"), ExpectedVersion::Any, long)).await.unwrap();
    indexed(&store, &table).await;
    let store = open(&table, at_once()).await;
    store.read(Read::log(Query::all()).limit(0)).await.unwrap();

    let mut read = async |store: &DynamoStore, what: &str, read: Read| {
        table.take_units();
        store.read(read).await.unwrap();
        told.row(what, &table.take_units(), "");
    };
    read(&store, "look at the head, while nothing happens", Read::log(Query::all()).limit(0)).await;
    read(&store, "read of a stream of 1 event", Read::stream(&stream("Order-7"))).await;
    read(&store, "read of a stream of 100 events", Read::stream(&stream("Long-1"))).await;
    read(
        &store,
        "read of the last event of a stream of 100",
        Read::stream(&stream("Long-1")).backward().limit(1),
    )
    .await;
    read(&store, "query of a tag, 10 of 150 events", Read::log(Query::tags(["tag-3"])).limit(10)).await;

    drop(store);
    let store = open(&table, never()).await;
    store.read(Read::log(Query::all()).limit(0)).await.unwrap();
    table.take_units();
    store.append(Append::to(&stream("Long-1"), ExpectedVersion::Any, [event(1)])).await.unwrap();
    told.row(
        "append of 1 event to an old stream that the process does not know: the log",
        &table.take_units(),
        "4",
    );

    let name = CheckpointName::new("mailer").unwrap();
    let owner = store.claim_checkpoint(&name).await.unwrap().owner;
    let head = store.read(Read::log(Query::all()).limit(0)).await.unwrap().head;
    table.take_units();
    store.save_checkpoint(&owner, head).await.unwrap();
    told.row("save of a checkpoint", &table.take_units(), "");
    let schema = SnapshotSchema::new("v1").unwrap();
    store
        .save_snapshot(Snapshot::new(&stream("Long-1"), &schema, Version::new(100), vec![0; 3_000]))
        .await
        .unwrap();
    told.row("save of a snapshot of 3,000 bytes", &table.take_units(), "");
    store.load_snapshot(&stream("Long-1"), &schema, Version::MAX).await.unwrap();
    told.row("load of it", &table.take_units(), "");
    store.close().await.unwrap();

    let head = "| operation | WCU | RCU | WCU of a transactional layout |\n|---|---|---|---|";
    let table = format!("{head}\n{}", told.rows.join("\n"));
    println!("{table}");
    let readme = include_str!("../../README.md");
    assert!(
        readme.contains(&table),
        "the README tells other units than these; {COMMAND} prints them:\n{table}"
    );
}

/// Consecutive batches must not meet on one partition, which gives 1,000 write units a second.
#[tokio::test(start_paused = true)]
async fn heat_of_the_log_is_spread_over_its_partitions() {
    let table = MemoryTable::default();
    let store = open(&table, never()).await;
    table.take_units();
    for n in 0..64 {
        store.append(Append::to(&stream("Clock-1"), ExpectedVersion::Any, [event(n)])).await.unwrap();
    }
    let units = table.take_units();
    let batches: Vec<f64> =
        units.heat.iter().filter(|(key, _)| key.contains("/b/")).map(|(_, units)| *units).collect();
    assert_eq!(batches, [4.0; 16]);
}
