//! Snapshots apart from one another, and from events.

use annalist_core::{ExpectedVersion, Position, Query, Subscribe, Version};

use super::Shelf;
use crate::{Cx, Verdict, checks, ensure_eq, events, same_events, stream};

checks! {
    area: "snap",
    isolated_streams {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "Snapshots of different streams never mix, however alike their names are.",
        likely_cause: "the stream's hash, or a folded name, in the key",
    }
    isolated_schemas {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "Snapshots of one stream under different schemas never mix, nor do keys that read alike when joined.",
        likely_cause: "the schema is not in the key, or the parts of the key are joined by a character",
    }
    isolated_namespaces {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "The same key in two namespaces is two snapshots.",
        likely_cause: "the namespace is missing from the key",
    }
    not_an_event {
        guarantee: "N3", level: 1, kind: Deterministic,
        summary: "A snapshot is never an event: no read, subscription or version shows it.",
        likely_cause: "snapshots are stored as events of their stream, or of one beside it",
    }
    of_missing_stream {
        guarantee: "N3", level: 1, kind: Deterministic,
        summary: "A snapshot of a stream without events is kept, and the stream stays without events.",
        likely_cause: "a foreign key, or a row that makes the stream",
    }
    ahead_of_stream {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "A snapshot ahead of its stream is kept and given; whoever rehydrates leaves it out.",
        likely_cause: "the version is compared with the stream's when it is saved or loaded",
    }
}

async fn isolated_streams(cx: Cx) -> Verdict {
    let names =
        ["Order-1", "Order-10", "order-1", "Order-1 ", "Order%", "Order_1", "Order", "Order-1/2", "Örder-1"];
    for (i, name) in names.iter().enumerate() {
        Shelf::new(&cx, name, "order/1").save(i as u64 + 1, name).await?;
    }
    for (i, name) in names.iter().enumerate() {
        Shelf::new(&cx, name, "order/1").holds_all(&[(i as u64 + 1, name)]).await?;
    }
    Ok(())
}

async fn isolated_schemas(cx: Cx) -> Verdict {
    let keys = [
        ("Order-1", "order/1"),
        ("Order-1", "order/2"),
        ("Order-1", "Order/1"),
        ("Order-1", "order/10"),
        ("a", "b/c"),
        ("a/b", "c"),
        ("a", "b:c"),
        ("a:b", "c"),
        ("a", "b-c"),
        ("a-b", "c"),
        ("a", "b|c"),
        ("a|b", "c"),
    ];
    for (i, (stream, schema)) in keys.iter().enumerate() {
        Shelf::new(&cx, stream, schema).save(i as u64 + 1, &format!("{i}")).await?;
    }
    for (i, (stream, schema)) in keys.iter().enumerate() {
        Shelf::new(&cx, stream, schema).holds_all(&[(i as u64 + 1, &format!("{i}"))]).await?;
    }
    Ok(())
}

async fn isolated_namespaces(cx: Cx) -> Verdict {
    let other = cx.other_namespace("b").await?;
    let (here, there) = (Shelf::new(&cx, "Order-1", "order/1"), Shelf::new(&other, "Order-1", "order/1"));
    here.save(3, "here").await?;
    there.holds(u64::MAX, None).await?;
    there.save(3, "there").await?;
    there.save(4, "there, too").await?;
    here.holds_all(&[(3, "here")]).await?;
    there.prune(0).await?;
    here.holds_all(&[(3, "here")]).await?;
    there.holds(u64::MAX, None).await
}

async fn not_an_event(cx: Cx) -> Verdict {
    let log = cx.append_medley(6).await?;
    let mut tail = cx.tail(Subscribe::to(Query::all()).after(Position::START)).await?;
    tail.take(6).await?;
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    for version in [1, 2, 1, 7] {
        shelf.save(version, "state").await?;
    }
    shelf.prune(1).await?;
    let (order, nothing) = (stream("Order-1"), stream("order/1"));
    cx.log_is(&log, &[&order, &nothing], "after snapshots").await?;

    // Versions and positions go on as if nothing had been; and so does the subscription.
    let version = cx.version(&order).await?;
    ensure_eq!(
        Some(version),
        log.iter().rev().find(|e| *e.stream() == order).map(|e| e.version()),
        "the version"
    );
    cx.append_to(&order, version, events(2)).await?;
    let live = tail.take(2).await?;
    same_events(&live, &cx.read_log().await?[6..], "what a subscription gave after snapshots")
}

async fn of_missing_stream(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    shelf.save(0, "nothing folded").await?;
    shelf.save(2, "two").await?;
    let order = stream("Order-1");
    ensure_eq!(cx.version(&order).await?, Version::NONE, "the version of a stream without events");
    cx.log_is(&[], &[&order], "after a snapshot of a stream without events").await?;
    shelf.holds_all(&[(2, "two"), (0, "nothing folded")]).await?;
    let receipt = cx.append_to(&order, ExpectedVersion::NoStream, events(1)).await?;
    ensure_eq!(receipt.version_of(&order), Some(Version::FIRST), "the first version after a snapshot");
    shelf.holds_all(&[(2, "two"), (0, "nothing folded")]).await
}

async fn ahead_of_stream(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    cx.append_any("Order-1", 3).await?;
    shelf.save(2, "two").await?;
    shelf.save(50, "fifty").await?;
    shelf.holds_all(&[(50, "fifty"), (2, "two")]).await?;
    cx.append_any("Order-1", 1).await?;
    shelf.holds_all(&[(50, "fifty"), (2, "two")]).await?;
    shelf.holds(4, Some((2, "two"))).await
}
