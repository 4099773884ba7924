//! Checks of the area `append`: versions, expectations and receipts, as one caller sees them.

use annalist_core::{ExpectedVersion, Query, Read, Version};

use crate::{
    Check, Cx, Verdict, checks, ensure, ensure_eq, event, events, exact, expect, same_as_appended, stream,
};

pub(crate) const PARTS: &[&[Check]] = &[CHECKS];

checks! {
    area: "append",
    first_version {
        guarantee: "A4", level: 1, kind: Deterministic,
        summary: "The first event of a stream has version 1, in the receipt and when it is read.",
        likely_cause: "versions counted from 0",
    }
    exact_stale {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append that expects any version below the stream's own conflicts and writes nothing.",
        likely_cause: "a put without a condition: the expected version is never compared",
    }
    receipt_matches_log {
        guarantee: "A4", level: 1, kind: Deterministic,
        summary: "Versions and positions of the receipt are those under which another handle reads the events.",
        likely_cause: "positions computed or asked for afterwards, on another connection, instead of returned by the write",
    }
}

async fn first_version(cx: Cx) -> Verdict {
    let (order, placed) = (stream("Order-1"), event("OrderPlaced", "{}"));
    let receipt = cx.append_to(&order, ExpectedVersion::NoStream, [placed.clone()]).await?;
    ensure_eq!(receipt.written().len(), 1, "streams in the receipt");
    ensure_eq!(receipt.written()[0].first_version(), Version::FIRST, "the first version in the receipt");
    ensure_eq!(receipt.version_of(&order), Some(Version::FIRST), "the stream's version in the receipt");

    let read = cx.read_stream(&order).await?;
    same_as_appended(&read, &[placed], "the stream")?;
    ensure_eq!(read[0].version(), Version::FIRST, "the version of the event as read");
    Ok(())
}

async fn exact_stale(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    cx.append_any("Order-1", 5).await?;
    let before = cx.read_log().await?;
    for stale in 0..5 {
        let answer = cx.append_to(&order, exact(stale), events(1)).await;
        expect::version_conflict(answer, &order, exact(stale), 5)?;
    }
    cx.log_is(&before, &[&order], "after five stale appends").await
}

async fn receipt_matches_log(cx: Cx) -> Verdict {
    for (n, name) in [(1, "Order-1"), (3, "Order-2"), (2, "Order-1"), (10, "Order-3")] {
        let receipt = cx.append_any(name, n).await?;
        let written = &receipt.written()[0];
        ensure!(written.positions().is_sorted(), "the receipt's positions are not in order: {written:?}");

        let fresh = cx.fresh().await?;
        let of_stream = fresh.drain(Read::stream(&stream(name)).from(written.first_version())).await?.events;
        let versions: Vec<_> = of_stream.iter().map(|event| event.version()).collect();
        let told: Vec<_> =
            (written.first_version().get()..=written.last_version().get()).map(Version::new).collect();
        ensure_eq!(versions, told, "versions as read, against the receipt's");

        let positions: Vec<_> = of_stream.iter().map(|event| event.position()).collect();
        ensure_eq!(positions.as_slice(), written.positions(), "positions as read, against the receipt's");
        let newest = fresh.drain(Read::log(Query::all()).backward().limit(1)).await?.events;
        ensure_eq!(
            receipt.position(),
            newest.first().map(|event| event.position()),
            "the receipt's last position"
        );
    }
    Ok(())
}
