//! What a read of a stream gives: all its events, in order, and no other's (R1, R2).

use annalist_core::{ExpectedVersion, NewEvent, Query, Read, Version};

use super::{among_others, versions};
use crate::{
    Cx, Verdict, checks, ensure, ensure_eq, event, events, exact, same_as_appended, same_events, stream,
};

checks! {
    area: "read",
    missing {
        guarantee: "R2", level: 1, kind: Deterministic,
        summary: "A stream without events is empty: no error, version 0, in every direction and range.",
        likely_cause: "a driver's \"no rows\" handed on as an error, or the neighbour's events",
    }
    forward {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "A stream read gives exactly what was appended to the stream, in version order, through every handle.",
        likely_cause: "a query without ORDER BY, which gives insertion order until the planner changes its mind",
    }
    latest_one {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Reading one event backward gives the stream's last one, after each append, through every handle.",
        likely_cause: "a cache of the last event that only the writing handle keeps up",
    }
    over_server_page {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "A stream of more events and bytes than a server gives in one answer is read whole.",
        likely_cause: "DynamoDB's page of 1 MB: the key to go on with is ignored",
    }
    numeric_order {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "The order of versions is that of numbers, across all edges of decimal digits.",
        likely_cause: "versions stored and sorted as text: 10 before 9",
    }
    isolation {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "A stream read never gives an event of another stream, however alike the names are.",
        likely_cause: "a prefix match on a joined key, or a collation that ignores case",
    }
    same_as_log {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Each stream read gives the very events that the log holds for the stream, equal in every field.",
        likely_cause: "two tables written side by side, of which one is not in the transaction or converts a field",
    }
}

async fn missing(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 3).await?;
    let missing = stream("Order-2");
    let reads = [
        ("forward", Read::stream(&missing)),
        ("backward", Read::stream(&missing).backward()),
        ("from 1", Read::stream(&missing).from(Version::FIRST)),
        ("up to 5", Read::stream(&missing).to(Version::new(5))),
        ("backward from 2, at most 1", Read::stream(&missing).from(Version::new(2)).backward().limit(1)),
    ];
    for (name, read) in reads {
        let drained = cx.drain(read).await?;
        ensure!(drained.events.is_empty(), "a missing stream read {name} gives {:?}", drained.events);
        ensure_eq!(drained.version, Version::NONE, "the version of a missing stream, read {name}");
    }
    Ok(())
}

async fn forward(cx: Cx) -> Verdict {
    let (order, appended) = among_others(&cx, 25).await?;
    for (handle, name) in [(cx.fresh().await?, "a fresh handle"), ((*cx).clone(), "the writing handle")] {
        let read = handle.read_stream(&order).await?;
        same_as_appended(&read, &appended, &format!("the stream through {name}"))?;
        let expected: Vec<_> = (1..=25).map(Version::new).collect();
        ensure_eq!(versions(&read), expected, "the versions through {name}");
    }
    Ok(())
}

async fn latest_one(cx: Cx) -> Verdict {
    let (order, other) = (stream("Order-1"), cx.fresh().await?);
    let mut last: Option<NewEvent> = None;
    for (i, batch) in [1, 3, 1, 2].into_iter().enumerate() {
        let appended = events(batch);
        last = appended.last().cloned().or(last);
        let writer = if i % 2 == 0 { &*cx } else { &other };
        writer.append_to(&order, ExpectedVersion::Any, appended).await?;
        for (handle, name) in [(&*cx, "one"), (&other, "the other")] {
            let newest = handle.drain(Read::stream(&order).backward().limit(1)).await?.events;
            same_as_appended(&newest, last.as_slice(), &format!("the newest event through {name} handle"))?;
        }
    }
    Ok(())
}

async fn over_server_page(cx: Cx) -> Verdict {
    let (order, padding) = (stream("Order-1"), "x".repeat(1_000));
    let (appends, each) = (7, 800);
    let mut appended = Vec::new();
    for append in 0..appends {
        let batch: Vec<_> =
            (0..each).map(|i| event("Happened", format!("\"{append} {i} {padding}\""))).collect();
        appended.extend(batch.iter().cloned());
        cx.append_to(&order, exact(append * each), batch).await?;
    }
    let whole = cx.drain(Read::stream(&order).page_size(usize::MAX)).await?;
    same_as_appended(&whole.events, &appended, "a stream of 5,600 events and 5.6 MB")?;
    ensure_eq!(whole.version.get(), appends * each, "the version of the stream");

    let log = cx.drain(Read::log(Query::all()).page_size(usize::MAX)).await?;
    same_events(&log.events, &whole.events, "a log of 5,600 events and 5.6 MB")?;
    let backward = cx.drain(Read::stream(&order).page_size(usize::MAX).backward()).await?;
    same_events(&super::reversed(backward.events), &whole.events, "the same backward")
}

async fn numeric_order(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let appended = events(1_002);
    for batch in appended.chunks(334) {
        cx.append_to(&order, ExpectedVersion::Any, batch.to_vec()).await?;
    }
    let read = cx.read_stream(&order).await?;
    same_as_appended(&read, &appended, "a stream of 1,002 events")?;
    ensure_eq!(versions(&read), (1..=1_002).map(Version::new).collect::<Vec<_>>(), "its versions");
    for edge in [9, 10, 99, 100, 255, 256, 999, 1_000] {
        let from = cx.drain(Read::stream(&order).from(Version::new(edge)).limit(2)).await?.events;
        ensure_eq!(versions(&from), [edge, edge + 1].map(Version::new), "two events from version {edge}");
    }
    Ok(())
}

/// Names of which each looks like a part, a prefix or a variant of another.
const ALIKE: [&str; 10] = ["a", "ab", "A", "a-", "a-b", "a-b-c", "a b", "aa", "b", "a_b"];

async fn isolation(cx: Cx) -> Verdict {
    let appended: Vec<_> = ALIKE.iter().enumerate().map(|(i, name)| (stream(name), events(i + 1))).collect();
    // In turns, so that the events of no stream are neighbours.
    for turn in 0..ALIKE.len() {
        for (stream, events) in &appended {
            if let Some(event) = events.get(turn) {
                cx.append_to(stream, exact(turn as u64), [event.clone()]).await?;
            }
        }
    }
    for (stream, events) in &appended {
        let forward = cx.drain(Read::stream(stream)).await?;
        same_as_appended(&forward.events, events, &format!("the stream {stream:?}"))?;
        ensure_eq!(forward.version.get(), events.len() as u64, "the version of {stream:?}");
        let backward = cx.drain(Read::stream(stream).backward().page_size(2)).await?.events;
        same_events(&super::reversed(backward), &forward.events, &format!("{stream:?} backward"))?;
    }
    Ok(())
}

async fn same_as_log(cx: Cx) -> Verdict {
    let log = cx.append_medley(40).await?;
    for name in ["Order-1", "Order-10", "Cart-1", "Cart-2", "Order"] {
        let stream = stream(name);
        let in_log: Vec<_> = log.iter().filter(|event| *event.stream() == stream).cloned().collect();
        ensure_eq!(in_log.len(), 8, "events of {name} in the log");
        same_events(&cx.read_stream(&stream).await?, &in_log, &format!("{name} against the log"))?;
    }
    Ok(())
}
