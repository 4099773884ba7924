//! That what `docs/choosing.md` says of each backend is what its store says.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod common;

use std::time::Duration;

use annalist::{Capabilities, Capability, Survives};

const PAGE: &str = include_str!("../docs/choosing.md");
const UNITS: &str = include_str!("../backend-dynamodb/README.md");

/// The rows between a marker and the end of its table.
fn rows(marker: &str) -> Vec<&'static str> {
    let (_, rest) = PAGE.split_once(marker).unwrap();
    let (table, _) = rest.split_once("<!-- end -->").unwrap();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(!rows.is_empty());
    rows
}

#[tokio::test]
async fn what_each_promises_is_what_its_store_says() {
    let rows = rows("<!-- checked by `cargo test --test choosing` -->");
    for (backend, store) in common::stores().await {
        let expected = row(backend, store.capabilities());
        assert!(rows.contains(&expected.as_str()), "docs/choosing.md lacks this row:\n{expected}");
        store.close().await.unwrap();
    }
}

#[test]
fn what_dynamodb_costs_is_what_was_counted() {
    for row in rows("<!-- rows of backend-dynamodb/README.md, checked by `cargo test --test choosing` -->") {
        assert!(UNITS.lines().any(|line| line == row), "backend-dynamodb/README.md does not say:\n{row}");
    }
}

fn row(backend: &str, capabilities: &Capabilities) -> String {
    let limits = capabilities.limits();
    let survives = match capabilities.survives() {
        Survives::Nothing => "nothing",
        Survives::ProcessKill => "a process that is killed",
        Survives::PowerLoss => "power loss",
        Survives::NodeLoss => "node loss",
    };
    let wake_up = match capabilities.has(Capability::Processes) {
        true => seconds(capabilities.wake_up_max()),
        false => "–".to_owned(),
    };
    let cells = [
        backend.to_owned(),
        survives.to_owned(),
        count(limits.events_per_append as u64),
        size(limits.bytes_per_append as u64),
        count(limits.streams_per_append as u64),
        count(limits.checks_per_append as u64),
        count(limits.conditions_per_append as u64),
        count(limits.items_per_query as u64),
        count(limits.names_per_item as u64),
        size(limits.bytes_per_event as u64),
        size(limits.bytes_per_snapshot as u64),
        wake_up,
    ];
    format!("| {} |", cells.join(" | "))
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

fn count(number: u64) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}

fn size(bytes: u64) -> String {
    match bytes / 1024 {
        kib if kib.is_multiple_of(1024) => format!("{} MiB", kib / 1024),
        kib => format!("{kib} KiB"),
    }
}
