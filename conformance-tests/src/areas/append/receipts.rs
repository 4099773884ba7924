//! Receipts, and that what is acknowledged is there for everyone, as it was appended.

use annalist_core::{ExpectedVersion, Metadata, Query, Read, Subscribe, Version};

use crate::{Cx, Verdict, checks, ensure, ensure_eq, event, events, same_as_appended, same_events, stream};

checks! {
    area: "append",
    receipt_matches_log {
        guarantee: "A4", level: 1, kind: Deterministic,
        summary: "Versions and positions of the receipt are those under which another handle reads the events.",
        likely_cause: "positions computed or asked for afterwards, on another connection, instead of returned by the write",
    }
    read_your_write {
        guarantee: "R3", level: 1, kind: Deterministic,
        summary: "A read that begins after an append was acknowledged has its events, through the same handle.",
        likely_cause: "reads that are not consistent, or served by a replica or a cache",
    }
    fresh_sees {
        guarantee: "R3", level: 1, kind: Deterministic,
        summary: "A read that begins after an append was acknowledged has its events, through any other handle.",
        likely_cause: "acknowledged before the commit: an open transaction, or a cache that is written behind",
    }
    recorded_metadata {
        guarantee: "A4", level: 1, kind: Deterministic,
        summary: "An event keeps id, type, stream and the time at which it was recorded, the same on every path and for ever.",
        likely_cause: "ids or times made up anew when events are read",
    }
    reserved_concurrency_field {
        guarantee: "A4", level: 1, kind: Deterministic,
        summary: "Nothing in an event's data or metadata changes its version, position, id, type or stream.",
        likely_cause: "the store's own fields kept in one flat object with the user's",
    }
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
        ensure!(!receipt.already_committed(), "a first append is told to have been committed before");
    }
    Ok(())
}

async fn read_your_write(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    for n in 1..=50 {
        let receipt = cx.append_any("Order-1", 1).await?;
        if n % 2 == 0 {
            let read = cx.read_stream(&order).await?;
            ensure_eq!(read.len(), n, "events of the stream right after append {n}");
        } else {
            let newest = cx.drain(Read::log(Query::all()).backward().limit(1)).await?;
            let position = newest.events.first().map(|event| event.position());
            ensure_eq!(position, receipt.position(), "the newest event of the log right after append {n}");
            ensure!(Some(newest.head) >= receipt.position(), "after append {n} the head is {}", newest.head);
        }
    }
    Ok(())
}

async fn fresh_sees(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let handles = cx.handles(3).await?;
    for n in 1..=48 {
        let receipt = handles[n % 3].append_any("Order-1", 1).await?;
        let other = &handles[(n + 1 + n / 3 % 2) % 3];
        if n % 2 == 0 {
            ensure_eq!(other.read_stream(&order).await?.len(), n, "events that another handle sees");
        } else {
            let newest = other.drain(Read::log(Query::all()).backward().limit(1)).await?.events;
            let position = newest.first().map(|event| event.position());
            ensure_eq!(position, receipt.position(), "the newest event that another handle sees");
        }
    }
    ensure_eq!(cx.fresh().await?.read_stream(&order).await?.len(), 48, "events that a new handle sees");
    Ok(())
}

async fn recorded_metadata(cx: Cx) -> Verdict {
    let (order, appended) = (stream("Order-1"), events(3));
    cx.append_to(&order, ExpectedVersion::Any, appended.clone()).await?;
    let first = cx.read_stream(&order).await?;
    same_as_appended(&first, &appended, "the stream")?;
    ensure!(first.iter().all(|event| event.stream() == &order), "an event names another stream");

    // Later events, and reading later, must not change what was recorded.
    cx.append_any("Order-2", 5).await?;
    let fresh = cx.fresh().await?;
    same_events(&fresh.read_stream(&order).await?, &first, "the stream, read later by another handle")?;
    let log = fresh.drain(Read::log(Query::stream("Order-1"))).await?.events;
    same_events(&log, &first, "the stream's events in the log")?;
    let backward = fresh.drain(Read::stream(&order).backward()).await?.events;
    same_events(&backward.into_iter().rev().collect::<Vec<_>>(), &first, "the stream read backward")?;
    let (delivered, _) = fresh.tail(Subscribe::to(Query::stream("Order-1"))).await?.until_caught_up().await?;
    same_events(&delivered, &first, "what a subscription gives")
}

async fn reserved_concurrency_field(cx: Cx) -> Verdict {
    const FORGED: &str = r#"{"version":999,"position":1,"id":"00000000-0000-0000-0000-000000000000","event_id":"x","stream":"Cart-9","stream_id":"Cart-9","type":"Forged","recorded_at":0,"tags":["forged"],"$version":7,"_id":1}"#;
    let order = stream("Order-1");
    let forged = event("Happened", FORGED).with_metadata(Metadata::new(FORGED)?);
    let appended = [event("Happened", "{}"), forged, event("Happened", "{}")];
    let receipt = cx.append_to(&order, ExpectedVersion::NoStream, appended.clone()).await?;
    ensure_eq!(receipt.version_of(&order), Some(Version::new(3)), "the version in the receipt");

    let read = cx.read_stream(&order).await?;
    same_as_appended(&read, &appended, "the stream")?;
    let versions: Vec<_> = read.iter().map(|event| event.version().get()).collect();
    ensure_eq!(versions, vec![1, 2, 3], "the versions as read");
    let positions: Vec<_> = read.iter().map(|event| event.position()).collect();
    ensure_eq!(positions.as_slice(), receipt.written()[0].positions(), "the positions as read");
    ensure!(read.iter().all(|event| event.stream() == &order), "an event is in the stream that it forged");
    cx.log_is(&read, &[&stream("Cart-9")], "with a forged event").await
}
