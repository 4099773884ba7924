//! Expectations of streams that are not written, and appends without events.

use annalist_core::{Append, ExpectedVersion, Position, Query, Receipt, Version};

use super::expectations;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, exact, expect, stream};

checks! {
    area: "append",
    check_holds {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append succeeds where what it expects of other streams holds, and writes nothing to them.",
        likely_cause: "a checked stream locked by writing to it",
    }
    check_fails {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append conflicts where what it expects of another stream does not hold, for every kind of expectation.",
        likely_cause: "only streams that are written are looked at",
    }
    empty_checks_only {
        guarantee: "A7", level: 1, kind: Deterministic,
        summary: "An append of checks and conditions alone verifies them all and writes nothing.",
        likely_cause: "an append without events answered at once",
    }
    empty_is_fresh {
        guarantee: "A7", level: 1, kind: Deterministic,
        summary: "An append without events verifies its checks against all that was acknowledged before, through any handle.",
        likely_cause: "verified against a cache or a replica, because nothing is written",
    }
    write_without_events_is_check {
        guarantee: "A7", level: 1, kind: Deterministic,
        summary: "A write without events is a check: verified, no stream made, not in the receipt.",
        likely_cause: "a row made for the stream, or the empty write skipped",
    }
    nothing_at_all {
        guarantee: "A7", level: 1, kind: Deterministic,
        summary: "An append that asks for nothing succeeds and writes nothing.",
        likely_cause: "an empty statement, an index of the first event, or an error made up for it",
    }
}

async fn check_holds(cx: Cx) -> Verdict {
    let (order, cart, missing) = (stream("Order-1"), stream("Cart-1"), stream("Cart-2"));
    cx.append_any("Cart-1", 3).await?;
    let mut version = 0;
    for (checked, at) in [(&cart, 3), (&missing, 0)] {
        for (expected, _) in expectations(at).into_iter().filter(|(_, holds)| *holds) {
            let receipt =
                cx.append(Append::to(&order, exact(version), events(1)).check(checked, expected)).await?;
            version += 1;
            ensure_eq!(receipt.written().len(), 1, "streams in the receipt of an append with {expected}");
        }
    }
    let fresh = cx.fresh().await?;
    ensure_eq!(fresh.version(&cart).await?, Version::new(3), "the version of the checked stream");
    ensure!(fresh.read_stream(&missing).await?.is_empty(), "checking a missing stream wrote to it");
    ensure_eq!(fresh.read_log().await?.len() as u64, 3 + version, "events in the log");
    Ok(())
}

async fn check_fails(cx: Cx) -> Verdict {
    let (order, cart, missing) = (stream("Order-1"), stream("Cart-1"), stream("Cart-2"));
    cx.append_any("Cart-1", 3).await?;
    let before = cx.read_log().await?;
    for (checked, at) in [(&cart, 3), (&missing, 0)] {
        for (expected, _) in expectations(at).into_iter().filter(|(_, holds)| !holds) {
            let append = Append::to(&order, ExpectedVersion::Any, events(2)).check(checked, expected);
            expect::version_conflict(cx.append(append).await, checked, expected, at)?;
        }
    }
    cx.log_is(&before, &[&order, &missing], "after checks that did not hold").await
}

fn wrote_nothing(receipt: &Receipt) -> Verdict {
    ensure!(receipt.written().is_empty(), "an append without events tells of streams: {receipt:?}");
    ensure_eq!(receipt.position(), None, "the position of an append without events");
    Ok(())
}

async fn empty_checks_only(cx: Cx) -> Verdict {
    let (order, missing) = (stream("Order-1"), stream("Order-2"));
    cx.append_any("Order-1", 3).await?;
    let (before, head) = (cx.read_log().await?, cx.head().await?);
    for (expected, holds) in expectations(3) {
        let append = Append::new().check(&missing, ExpectedVersion::NoStream).check(&order, expected);
        let answer = cx.append(append.condition(Query::all(), head)).await;
        if holds {
            wrote_nothing(&answer?)?;
        } else {
            expect::version_conflict(answer, &order, expected, 3)?;
        }
    }
    let matched = cx.append(Append::new().condition(Query::stream("Order-1"), Position::START)).await;
    expect::conflict(matched)?;
    wrote_nothing(&cx.append(Append::new().condition(Query::stream("Order-2"), Position::START)).await?)?;
    cx.log_is(&before, &[&missing], "after appends without events").await
}

async fn empty_is_fresh(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let handles = cx.handles(3).await?;
    for version in 1..=12_u64 {
        let n = usize::try_from(version).unwrap_or(0);
        let position = handles[n % 3].append_any("Order-1", 1).await?.position();
        let other = &handles[(n + 1) % 3];
        other.append(Append::new().check(&order, exact(version))).await?;
        let stale = other.append(Append::new().check(&order, exact(version - 1))).await;
        expect::version_conflict(stale, &order, exact(version - 1), version)?;
        let after = position.unwrap_or(Position::START);
        other.append(Append::new().condition(Query::all(), after)).await?;
    }
    Ok(())
}

async fn write_without_events_is_check(cx: Cx) -> Verdict {
    let (order, missing, cart) = (stream("Order-1"), stream("Order-2"), stream("Cart-1"));
    cx.append_any("Order-1", 3).await?;
    let before = cx.read_log().await?;
    for (stream, version) in [(&order, 3), (&missing, 0)] {
        for (expected, holds) in expectations(version) {
            let answer = cx.append_to(stream, expected, []).await;
            if holds {
                wrote_nothing(&answer?)?;
            } else {
                expect::version_conflict(answer, stream, expected, version)?;
            }
        }
    }
    cx.log_is(&before, &[&missing], "after writes without events").await?;

    // Beside a write that has events it is one more check, and no stream of the receipt.
    let beside = |expected| Append::to(&cart, ExpectedVersion::Any, events(1)).write(&missing, expected, []);
    expect::version_conflict(cx.append(beside(exact(1))).await, &missing, exact(1), 0)?;
    let receipt = cx.append(beside(ExpectedVersion::NoStream)).await?;
    ensure_eq!(receipt.written().len(), 1, "streams in the receipt");
    ensure_eq!(receipt.version_of(&missing), None, "the version of a stream without events in the receipt");
    cx.append_to(&missing, ExpectedVersion::NoStream, events(1)).await?;
    Ok(())
}

async fn nothing_at_all(cx: Cx) -> Verdict {
    wrote_nothing(&cx.append(Append::new()).await?)?;
    cx.append_any("Order-1", 2).await?;
    let before = cx.read_log().await?;
    for _ in 0..3 {
        wrote_nothing(&cx.append(Append::new()).await?)?;
    }
    cx.log_is(&before, &[], "after appends of nothing").await
}
