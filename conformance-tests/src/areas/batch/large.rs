//! Appends of none, one and many events.

use annalist_core::{Append, ExpectedVersion, NewEvent, Query, Read, Version};

use crate::{
    Cx, Verdict, checks, ensure, ensure_eq, event, events, exact, same_as_appended, same_events, stream,
};

checks! {
    area: "batch",
    empty {
        guarantee: "A7", level: 1, kind: Deterministic,
        summary: "An append of no events to a stream makes no stream, no version and no event, and nobody who follows the log is told of one.",
        likely_cause: "a stream's row made, or a marker written",
    }
    one {
        guarantee: "A2", level: 1, kind: Deterministic,
        summary: "Appends of one event each take the versions and the places of the log one after the other.",
        likely_cause: "places handed out ahead and given in another order",
    }
    thousand {
        guarantee: "A2", level: 1, kind: Deterministic,
        summary: "A thousand events of one append are all there, in the order given, under consecutive versions.",
        likely_cause: "a limit of the technology's transactions, such as a hundred items",
    }
    order {
        guarantee: "A2", level: 1, kind: Deterministic,
        summary: "The order of the events in an append is that of their versions and of their positions, whatever their ids and contents.",
        likely_cause: "sorted by id, by time within a millisecond, or inserted in parallel",
    }
    many_streams {
        guarantee: "A2", level: 1, kind: Deterministic,
        summary: "An append to 64 streams writes each stream's events in order, and all of them side by side in the log.",
        likely_cause: "one statement per stream, with others between",
    }
}

async fn empty(cx: Cx) -> Verdict {
    let (order, new) = (stream("Order-1"), stream("Order-2"));
    cx.append_any("Order-1", 2).await?;
    let before = cx.read_log().await?;
    let mut tail = cx.tail(annalist_core::Subscribe::to(Query::all())).await?;
    tail.until_caught_up().await?;
    for (stream, expected) in [
        (&order, ExpectedVersion::Any),
        (&order, ExpectedVersion::Exists),
        (&order, exact(2)),
        (&new, ExpectedVersion::Any),
        (&new, exact(0)),
        (&new, ExpectedVersion::NoStream),
    ] {
        let receipt = cx.append_to(stream, expected, []).await?;
        ensure!(receipt.written().is_empty(), "an append of nothing tells of a stream: {receipt:?}");
    }
    cx.log_is(&before, &[&new], "after appends of no events").await?;

    let real = events(1);
    let receipt = cx.append_to(&new, ExpectedVersion::NoStream, real.clone()).await?;
    ensure_eq!(receipt.version_of(&new), Some(Version::FIRST), "the version of the first event");
    same_as_appended(&tail.take(1).await?, &real, "what a subscription gives next")
}

async fn one(cx: Cx) -> Verdict {
    let mut appended = Vec::new();
    for n in 0..20 {
        let made = events(1);
        let receipt = cx.append_to(&stream("Order-1"), exact(n), made.clone()).await?;
        ensure_eq!(receipt.written()[0].positions().len(), 1, "positions in the receipt");
        appended.extend(made);
    }
    let log = cx.fresh().await?.read_log().await?;
    same_as_appended(&log, &appended, "the log")?;
    ensure!(log.is_sorted_by_key(|event| event.position()), "positions are not in order");
    ensure!(log.is_sorted_by_key(|event| event.version()), "versions are not in order");
    Ok(())
}

/// Appends these to a stream that has three events already, and looks at them on every path.
async fn appended_in_order(cx: &Cx, made: Vec<NewEvent>) -> Verdict {
    let order = stream("Order-1");
    cx.append_any("Order-1", 3).await?;
    let receipt = cx.append_to(&order, exact(3), made.clone()).await?;
    let written = &receipt.written()[0];
    ensure_eq!(written.positions().len(), made.len(), "positions in the receipt");
    ensure!(written.positions().is_sorted_by(|a, b| a < b), "the receipt's positions are not in order");

    let fresh = cx.fresh().await?;
    let read = fresh.drain(Read::stream(&order).from(Version::new(4)).page_size(300)).await?.events;
    same_as_appended(&read, &made, "the stream")?;
    let versions: Vec<_> = read.iter().map(|event| event.version().get()).collect();
    ensure_eq!(versions, (4..4 + made.len() as u64).collect::<Vec<_>>(), "the versions");
    let positions: Vec<_> = read.iter().map(|event| event.position()).collect();
    ensure!(positions == written.positions(), "the positions as read are not those of the receipt");
    let log = fresh.drain(Read::log(Query::all()).page_size(300)).await?.events;
    same_events(&log[3..], &read, "the log")
}

async fn thousand(cx: Cx) -> Verdict {
    appended_in_order(&cx, events(1_000)).await
}

async fn order(cx: Cx) -> Verdict {
    // Ids that fall, then rise, so that neither sorting them nor turning them round keeps the order.
    let mut made = events(60);
    made.sort_by_key(|event| std::cmp::Reverse(event.id()));
    made.extend(events(20));
    for (n, event) in made.iter_mut().enumerate() {
        let name = ["B", "A", "C"][n % 3];
        *event = crate::event(name, format!("{}", 1_000 - n)).with_id(event.id());
    }
    appended_in_order(&cx, made).await
}

async fn many_streams(cx: Cx) -> Verdict {
    let (mut append, mut wanted, mut streams) = (Append::new(), Vec::new(), Vec::new());
    for n in 0..64_usize {
        // Names whose order is not that of the request.
        let name = stream(&format!("Order-{}", n * 37 % 64));
        let made: Vec<_> = (0..=n % 3).map(|k| event("Happened", format!("[{n},{k}]"))).collect();
        wanted.extend(made.clone());
        append = append.write(&name, ExpectedVersion::NoStream, made.clone());
        streams.push((name, made));
    }
    cx.append_any("Cart-1", 1).await?;
    let receipt = cx.append(append).await?;
    ensure_eq!(receipt.written().len(), 64, "streams in the receipt");
    let fresh = cx.fresh().await?;
    same_as_appended(&fresh.read_log().await?[1..], &wanted, "the log")?;
    for ((name, made), written) in streams.iter().zip(receipt.written()) {
        let read = fresh.read_stream(name).await?;
        same_as_appended(&read, made, "a stream of 64")?;
        let positions: Vec<_> = read.iter().map(|event| event.position()).collect();
        ensure_eq!(written.stream(), name, "the stream in the receipt");
        ensure_eq!(written.positions(), positions.as_slice(), "the positions in the receipt");
    }
    Ok(())
}
