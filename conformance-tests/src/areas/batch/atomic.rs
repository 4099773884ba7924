//! All of an append or nothing.

use annalist_core::{Append, ExpectedVersion, NewEvent, Position, Query};

use crate::{Cx, Verdict, checks, ensure_eq, event, events, exact, expect, stream};

checks! {
    area: "batch",
    atomic_conflict {
        guarantee: "A1", level: 1, kind: Deterministic,
        summary: "A large append that conflicts writes none of its events.",
        likely_cause: "rows inserted one by one until one fails",
    }
    atomic_bad_middle {
        guarantee: "A1", level: 1, kind: Deterministic,
        summary: "A large append with one event that is invalid, or whose id was used, writes none of its events.",
        likely_cause: "chunks of a large append written one after the other",
    }
    multi_stream_atomic {
        guarantee: "A1", level: 1, kind: Deterministic,
        summary: "An append to several streams is refused as a whole for a conflict, a check, a condition or an id of its last part.",
        likely_cause: "streams written one after the other",
    }
    multi_stream_read_guard {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "A stream that is only read for a decision guards it by its version: the append conflicts once it has moved, and leaves it alone.",
        likely_cause: "only streams that are written are looked at",
    }
}

async fn atomic_conflict(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    cx.append_any("Order-1", 10).await?;
    let before = cx.read_log().await?;
    for (expected, n) in [(exact(9), 10), (exact(11), 300), (ExpectedVersion::NoStream, 1_000)] {
        expect::version_conflict(cx.append_to(&order, expected, events(n)).await, &order, expected, 10)?;
    }
    let matched = Append::to(&order, exact(10), events(300)).condition(Query::all(), Position::START);
    expect::conflict(cx.append(matched).await)?;
    cx.log_is(&before, &[], "after large appends that conflict").await
}

async fn atomic_bad_middle(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let known = events(1);
    cx.append_to(&order, exact(0), known.clone()).await?;
    let before = cx.read_log().await?;
    let too_large = event("Happened", vec![b' '; cx.capabilities().limits().bytes_per_event + 1]);
    let with_bad = |bad: NewEvent| {
        let mut made = events(900);
        made[500] = bad;
        made
    };
    expect::invalid(cx.append_to(&order, exact(1), with_bad(too_large)).await)?;
    expect::id_reused(cx.append_to(&order, exact(1), with_bad(known[0].clone())).await)?;
    let mut twice = events(900);
    twice[700] = twice[100].clone();
    expect::invalid(cx.append_to(&order, exact(1), twice).await)?;
    cx.log_is(&before, &[], "after large appends with one bad event").await?;
    ensure_eq!(
        cx.append_to(&order, exact(1), events(900)).await?.written().len(),
        1,
        "streams in the receipt"
    );
    Ok(())
}

async fn multi_stream_atomic(cx: Cx) -> Verdict {
    let streams = ["Order-1", "Cart-1", "User-1"].map(stream);
    let (guard, known) = (stream("Guard-1"), events(1));
    cx.append_any("Guard-1", 1).await?;
    cx.append_to(&streams[2], exact(0), known.clone()).await?;
    let before = cx.read_log().await?;
    let three = |last_expected, last: Vec<NewEvent>| {
        Append::new()
            .write(&streams[0], exact(0), events(20))
            .write(&streams[1], ExpectedVersion::Any, events(20))
            .write(&streams[2], last_expected, last)
    };
    expect::conflict(cx.append(three(exact(0), events(2))).await)?;
    expect::conflict(cx.append(three(exact(1), events(2)).check(&guard, exact(2))).await)?;
    let matched = three(exact(1), events(2)).condition(Query::stream("Guard-1"), Position::START);
    expect::conflict(cx.append(matched).await)?;
    expect::id_reused(cx.append(three(exact(1), [events(2), known].concat())).await)?;
    cx.log_is(&before, &[&streams[0], &streams[1]], "after appends whose last part fails").await?;
    let receipt = cx.append(three(exact(1), events(2)).check(&guard, exact(1))).await?;
    ensure_eq!(receipt.written().len(), 3, "streams in the receipt");
    ensure_eq!(cx.fresh().await?.read_log().await?.len(), before.len() + 42, "events in the log");
    Ok(())
}

async fn multi_stream_read_guard(cx: Cx) -> Verdict {
    let (order, customer) = (stream("Order-1"), stream("Customer-1"));
    for round in 0..4 {
        cx.append_any("Customer-1", 1).await?;
        let seen = cx.version(&customer).await?;
        let guarded = || Append::to(&order, exact(round), events(1)).check(&customer, seen);
        let moved = cx.fresh().await?.append_any("Customer-1", 1).await?;
        let answer = cx.append(guarded()).await;
        expect::version_conflict(answer, &customer, seen.into(), seen.get() + 1)?;
        let seen = moved.version_of(&customer).unwrap_or(seen);
        cx.append(Append::to(&order, exact(round), events(1)).check(&customer, seen)).await?;
        ensure_eq!(cx.version(&customer).await?, seen, "the version of the stream that was only read");
        ensure_eq!(cx.version(&order).await?.get(), round + 1, "the version of the stream that was written");
    }
    Ok(())
}
