//! No input makes an operation panic, and the largest numbers mean what they say.

use std::time::Duration;

use annalist_core::{
    Append, ErrorKind, ExpectedVersion, Position, Query, Read, Snapshot, Subscribe, Version,
};

use bytes::Bytes;

use super::past;
use crate::{Cx, Verdict, checkpoint, checks, ensure, ensure_eq, events, exact, expect, schema, stream};

checks! {
    area: "errors",
    no_panic_append {
        guarantee: "E3", level: 1, kind: Deterministic,
        summary: "Expected versions up to the largest number conflict, and are no panic and no wrapped number.",
        likely_cause: "`as i64`, by which the largest version becomes -1, which means something else",
    }
    no_panic_read {
        guarantee: "E3", level: 1, kind: Deterministic,
        summary: "Bounds, limits and page sizes of any size give what they say.",
        likely_cause: "`limit + 1`, `from - 1`, or memory set aside for a whole page before it is read",
    }
    no_panic_snapshot {
        guarantee: "E3", level: 1, kind: Deterministic,
        summary: "Snapshots are loaded and pruned with the largest and the smallest numbers.",
        likely_cause: "a number that does not fit the column's type",
    }
    no_panic_timeout {
        guarantee: "C2", level: 1, kind: Deterministic,
        summary: "A timeout may be of any length: the longest works, and none at all answers as a deadline that has passed.",
        likely_cause: "`Instant::now() + timeout`, which overflows",
    }
    no_panic_empty {
        guarantee: "A7", level: 1, kind: Deterministic,
        summary: "An append of nothing, and writes without events, are taken and write nothing.",
        likely_cause: "the first event of a list that is empty",
    }
}

/// Numbers at which conversions go wrong.
const EXTREMES: [u64; 8] = [
    u64::MAX,
    u64::MAX - 1,
    1 << 63,
    i64::MAX as u64,
    u32::MAX as u64 + 1,
    u32::MAX as u64,
    i32::MAX as u64,
    1 << 53,
];

async fn no_panic_append(cx: Cx) -> Verdict {
    let (order, missing) = (stream("Order-1"), stream("Missing-1"));
    cx.append_to(&order, exact(0), events(2)).await?;
    let before = cx.read_log().await?;
    for version in EXTREMES {
        for (stream, actual) in [(&order, 2), (&missing, 0)] {
            let answer = cx.append_to(stream, exact(version), events(1)).await;
            cx.collect(expect::version_conflict(answer, stream, exact(version), actual), "a write")?;
            let answer = cx.append(Append::new().check(stream, exact(version))).await;
            cx.collect(expect::version_conflict(answer, stream, exact(version), actual), "a check")?;
        }
    }
    cx.log_is(&before, &[&missing], "after the largest expected versions").await
}

async fn no_panic_read(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    cx.append_to(&order, exact(0), events(3)).await?;
    let found = async |read: Read| -> Verdict<usize> { Ok(cx.drain(read).await?.events.len()) };
    for n in EXTREMES {
        let version = Version::new(n);
        let of_stream = Read::stream(&order);
        ensure_eq!(found(of_stream.clone().from(version)).await?, 0, "events from version {n}");
        ensure_eq!(found(of_stream.clone().to(version)).await?, 3, "events to version {n}");
        ensure_eq!(found(of_stream.clone().to(version).backward()).await?, 3, "events back from version {n}");
        ensure_eq!(found(of_stream.clone().from(version).backward()).await?, 0, "events back to version {n}");
        ensure_eq!(
            found(of_stream.clone().from(version).to(Version::NONE)).await?,
            0,
            "events of an empty range"
        );
        ensure_eq!(found(of_stream.clone().limit(n)).await?, 3, "events with the limit {n}");
        ensure_eq!(found(Read::log(Query::all()).limit(n)).await?, 3, "events of the log with the limit {n}");
        let size = usize::try_from(n).unwrap_or(usize::MAX);
        ensure_eq!(found(of_stream.page_size(size)).await?, 3, "events in pages of {n}");
        ensure_eq!(
            found(Read::log(Query::all()).page_size(size).backward()).await?,
            3,
            "events back in pages of {n}"
        );
        let mut tail = cx.tail(Subscribe::to(Query::all()).page_size(size)).await?;
        ensure_eq!(tail.until_caught_up().await?.0.len(), 3, "events of a subscription with pages of {n}");
    }
    ensure_eq!(found(Read::stream(&order).from(Version::NONE)).await?, 3, "events from version 0");
    ensure_eq!(found(Read::stream(&order).to(Version::NONE)).await?, 0, "events to version 0");
    ensure_eq!(found(Read::stream(&order).page_size(0)).await?, 3, "events in pages of 0, which count as 1");
    ensure_eq!(found(Read::log(Query::all()).until(Position::START)).await?, 0, "events until the start");
    for wrong in past(cx.head().await?) {
        expect::wrong_history(cx.read(Read::log(Query::all()).after(wrong).limit(0)).await)?;
    }
    Ok(())
}

async fn no_panic_snapshot(cx: Cx) -> Verdict {
    let (order, schema) = (stream("Order-1"), schema("order/1"));
    let largest = Version::new(i64::MAX as u64);
    let snapshots = cx.snapshots();
    for version in [Version::FIRST, Version::new(1 << 53), largest] {
        snapshots.save_snapshot(Snapshot::new(&order, &schema, version, Bytes::new())).await?;
    }
    for at_most in EXTREMES {
        let found = snapshots.load_snapshot(&order, &schema, Version::new(at_most)).await?;
        let wanted = [largest.get(), 1 << 53, 1].into_iter().find(|version| *version <= at_most);
        ensure_eq!(found.map(|found| found.version.get()), wanted, "the newest snapshot up to {at_most}");
    }
    let none = snapshots.load_snapshot(&order, &schema, Version::NONE).await?;
    ensure!(none.is_none(), "a snapshot up to version 0 is {none:?}");
    for keep in [usize::MAX, usize::MAX / 2 + 1, u32::MAX as usize] {
        snapshots.prune_snapshots(&order, &schema, keep).await?;
        let found = cx.fresh().await?.snapshots().load_snapshot(&order, &schema, Version::FIRST).await?;
        ensure!(found.is_some(), "pruning all but {keep} snapshots removed one of three");
    }
    snapshots.prune_snapshots(&order, &schema, 0).await?;
    let beyond = Snapshot::new(&order, &schema, Version::MAX, Bytes::new());
    expect::invalid(snapshots.save_snapshot(beyond).await)?;
    Ok(())
}

async fn no_panic_timeout(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    for long in [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 40)] {
        cx.append(Append::to(&order, ExpectedVersion::Any, events(1)).timeout(long)).await?;
        cx.read(Read::stream(&order).timeout(long)).await?;
        cx.tail(Subscribe::to(Query::all()).outage_max(long)).await?.until_caught_up().await?;
    }
    cx.tail(Subscribe::to(Query::all()).outage_max(Duration::ZERO)).await?.until_caught_up().await?;
    let before = cx.read_log().await?;
    let hurried = Append::to(&order, exact(3), events(2)).timeout(Duration::ZERO);
    let answer = cx.within("an append without any time", cx.append(hurried.clone())).await?;
    let undecided =
        |kind: &ErrorKind| matches!(kind, ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_));
    if let Err(error) = &answer {
        ensure!(undecided(error.kind()), "without any time an append is answered {error:?}");
    }
    if answer.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::Unavailable(_))) {
        cx.log_is(&before, &[], "after an append that had no time").await?;
    }
    cx.append(hurried.timeout(Duration::MAX)).await?;
    ensure_eq!(cx.fresh().await?.read_stream(&order).await?.len(), 5, "events once it was sent again");
    let read =
        cx.within("a read without any time", cx.read(Read::stream(&order).timeout(Duration::ZERO))).await?;
    match read {
        Ok(page) => ensure_eq!(page.events.len(), 5, "events of a read without any time"),
        Err(error) => ensure!(undecided(error.kind()), "without any time a read is answered {error:?}"),
    }
    Ok(())
}

async fn no_panic_empty(cx: Cx) -> Verdict {
    let (order, other) = (stream("Order-1"), stream("Other-1"));
    cx.append(Append::new()).await?;
    cx.append_to(&order, ExpectedVersion::Any, []).await?;
    cx.append_to(&order, ExpectedVersion::NoStream, []).await?;
    cx.append_to(&order, exact(0), []).await?;
    cx.log_is(&[], &[&order], "after appends of nothing").await?;
    cx.append_any("Order-1", 1).await?;
    let before = cx.read_log().await?;
    let receipt =
        cx.append(Append::to(&order, exact(1), []).write(&other, ExpectedVersion::NoStream, [])).await?;
    ensure!(receipt.written().is_empty(), "the receipt of nothing tells {receipt:?}");
    ensure_eq!(receipt.position(), None, "the position of nothing");
    let owner = cx.checkpoints().claim_checkpoint(&checkpoint("mailer")).await?.owner;
    cx.checkpoints().save_checkpoint(&owner, Position::START).await?;
    cx.log_is(&before, &[&order, &other], "after more appends of nothing").await
}
