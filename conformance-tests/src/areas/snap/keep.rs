//! What is kept, and which of it is given.

use annalist_core::{Metadata, Snapshot, Version};

use super::Shelf;
use crate::{Cx, Verdict, checks, ensure_eq, schema, stream};

checks! {
    area: "snap",
    roundtrip {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "A snapshot comes back as it was saved: every byte of its state, its version, schema and metadata.",
        likely_cause: "a text column, or metadata that are left out",
    }
    metadata_as_written {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "Metadata of a snapshot are kept as written, and none is not the same as an empty object.",
        likely_cause: "jsonb, or absent for `{}`",
    }
    empty_data {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "A snapshot without a byte is a snapshot.",
        likely_cause: "empty is stored as NULL, and NULL is read as none",
    }
    missing {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "Where there is no snapshot, loading gives none: for no stream, another schema, and below the oldest.",
        likely_cause: "an error for what is not found",
    }
    latest {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "Loading gives the highest version, whatever the order of saving.",
        likely_cause: "the one that was saved last",
    }
    stale_save {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "Saving an older snapshot late is kept in its place and changes nothing above it.",
        likely_cause: "one row per stream, which the last save replaces",
    }
    at_or_before {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "Loading at or below a version gives the newest there, for every version.",
        likely_cause: "the newest only, or an exclusive bound",
    }
    digit_edges {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "Versions are ordered as numbers: 9 before 10, 99 before 100, 2^32 behind 2^31.",
        likely_cause: "a sort key that is text without padding, or a number of 32 bits",
    }
    overwrite_same_version {
        guarantee: "N2", level: 1, kind: Deterministic,
        summary: "Saving the same key again replaces it wholly, data and metadata, and nothing else.",
        likely_cause: "a duplicate key is an error, or is ignored",
    }
    fresh_sees {
        guarantee: "R3", level: 1, kind: Deterministic,
        summary: "Every save, replacement and pruning is seen at once through another handle.",
        likely_cause: "a cache per handle",
    }
    survives {
        guarantee: "N4", level: 1, kind: Deterministic,
        summary: "Snapshots outlive the handle that saved them.",
        likely_cause: "written behind, and lost on closing",
    }
}

async fn roundtrip(cx: Cx) -> Verdict {
    let bytes: Vec<u8> = (0..=255).chain([0xff, 0xfe, 0, 0]).collect();
    for (i, name) in ["order/1", "Größe", "a b"].into_iter().enumerate() {
        let metadata = Metadata::new(r#"{"codec":"bincode","n":1.0}"#)?;
        let version = Version::new(7 + i as u64);
        let snapshot = Snapshot::new(&stream("Order-1"), &schema(name), version, bytes.clone());
        let snapshot = snapshot.with_metadata(metadata);
        cx.snapshots().save_snapshot(snapshot.clone()).await?;
        for handle in [&*cx, &cx.fresh().await?] {
            let found =
                handle.snapshots().load_snapshot(&snapshot.stream, &snapshot.schema, Version::MAX).await?;
            ensure_eq!(found.as_ref().map(|found| &found.data), Some(&snapshot.data), "the state as loaded");
            ensure_eq!(found.as_ref(), Some(&snapshot), "the snapshot as loaded");
        }
    }
    Ok(())
}

async fn metadata_as_written(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    let texts = ["{}", r#"{ "b":1, "a" : 1.0 }"#, r#"{"a":1,"a":2}"#, r#"{"n":1e2,"t":"\u00fc"}"#];
    let written = texts.iter().map(|text| Metadata::new(*text)).collect::<Result<Vec<_>, _>>()?;
    for (i, metadata) in written.into_iter().chain([Metadata::NONE]).enumerate() {
        let snapshot = shelf.made(i as u64 + 1, "state")?.with_metadata(metadata);
        cx.snapshots().save_snapshot(snapshot.clone()).await?;
        let found = shelf.load(u64::MAX).await?;
        ensure_eq!(found.map(|found| found.metadata), Some(snapshot.metadata), "the metadata as loaded");
    }
    Ok(())
}

async fn empty_data(cx: Cx) -> Verdict {
    let (order, schema) = (stream("Order-1"), schema("order/1"));
    for version in [1, 2] {
        let empty = Snapshot::new(&order, &schema, Version::new(version), "");
        cx.snapshots().save_snapshot(empty.clone()).await?;
        let found = cx.fresh().await?.snapshots().load_snapshot(&order, &schema, Version::MAX).await?;
        ensure_eq!(found, Some(empty), "a snapshot without a byte");
    }
    Ok(())
}

async fn missing(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    shelf.holds(u64::MAX, None).await?;
    shelf.save(5, "five").await?;
    for at_most in [0, 1, 4] {
        shelf.holds(at_most, None).await?;
    }
    Shelf::new(&cx, "Order-2", "order/1").holds(u64::MAX, None).await?;
    Shelf::new(&cx, "Order-1", "order/2").holds(u64::MAX, None).await
}

async fn latest(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    let mut highest = (0, "");
    for saved in [(3, "three"), (5, "five"), (4, "four"), (8, "eight"), (1, "one")] {
        shelf.save(saved.0, saved.1).await?;
        highest = highest.max(saved);
        shelf.holds(u64::MAX, Some(highest)).await?;
    }
    Ok(())
}

async fn stale_save(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    shelf.save(9, "nine").await?;
    shelf.save(4, "four").await?;
    shelf.holds_all(&[(9, "nine"), (4, "four")]).await?;
    shelf.save(6, "six").await?;
    shelf.save(4, "four again").await?;
    shelf.holds_all(&[(9, "nine"), (6, "six"), (4, "four again")]).await
}

async fn at_or_before(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    let saved = [(2, "two"), (5, "five"), (9, "nine")];
    for (version, state) in saved {
        shelf.save(version, state).await?;
    }
    for at_most in 0..=11 {
        let newest = saved.into_iter().rev().find(|(version, _)| *version <= at_most);
        shelf.holds(at_most, newest).await?;
    }
    Ok(())
}

async fn digit_edges(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    let versions = [9, 10, 99, 100, 999, 1_000, (1 << 31) - 1, 1 << 31, (1 << 32) + 1, i64::MAX as u64];
    for version in versions {
        shelf.save(version, &version.to_string()).await?;
    }
    let states = versions.map(|version| version.to_string());
    let expected: Vec<_> =
        versions.iter().zip(&states).rev().map(|(v, state)| (*v, state.as_str())).collect();
    shelf.holds_all(&expected).await?;
    shelf.prune(3).await?;
    shelf.holds_all(&expected[..3]).await
}

async fn overwrite_same_version(cx: Cx) -> Verdict {
    let shelf = Shelf::new(&cx, "Order-1", "order/1");
    shelf.save(3, "three").await?;
    shelf.save(7, "seven, and much longer than what comes next").await?;
    shelf.save(7, "7").await?;
    shelf.holds_all(&[(7, "7"), (3, "three")]).await?;
    let bare = shelf.made(7, "bare")?.with_metadata(Metadata::NONE);
    cx.snapshots().save_snapshot(bare.clone()).await?;
    ensure_eq!(shelf.load(u64::MAX).await?, Some(bare), "a replacement without metadata");
    Ok(())
}

async fn fresh_sees(cx: Cx) -> Verdict {
    let fresh = cx.fresh().await?;
    let (here, there) = (Shelf::new(&cx, "Order-1", "order/1"), Shelf::new(&fresh, "Order-1", "order/1"));
    there.holds(u64::MAX, None).await?;
    for n in 1..=20 {
        let state = n.to_string();
        here.save(n, &state).await?;
        there.holds(u64::MAX, Some((n, &state))).await?;
    }
    here.save(20, "replaced").await?;
    there.holds(u64::MAX, Some((20, "replaced"))).await?;
    here.prune(0).await?;
    there.holds(u64::MAX, None).await
}

async fn survives(cx: Cx) -> Verdict {
    let gone = cx.fresh().await?;
    let shelf = Shelf::new(&gone, "Order-1", "order/1");
    shelf.save(3, "three").await?;
    shelf.save(4, "four").await?;
    shelf.save(5, "five").await?;
    shelf.prune(2).await?;
    gone.close().await?;
    cx.let_go(gone);
    Shelf::new(&cx, "Order-1", "order/1").holds_all(&[(5, "five"), (4, "four")]).await?;
    Shelf::new(&cx.fresh().await?, "Order-1", "order/1").holds_all(&[(5, "five"), (4, "four")]).await
}
