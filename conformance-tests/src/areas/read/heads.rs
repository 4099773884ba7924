//! What a page tells beside its events: the head of the log and the version of the stream (R3, R5).

use annalist_core::{Append, Conflict, ExpectedVersion, Position, Query, Read, Version};

use super::among_others;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, expect, same_events, stream};

checks! {
    area: "read",
    page_tells_head {
        guarantee: "R5", level: 1, kind: Deterministic,
        summary: "Every page tells one and the same head, at or above everything acknowledged, whatever is read.",
        likely_cause: "the position of the last event of the page, or of the stream, in place of the log's head",
    }
    page_tells_version {
        guarantee: "R5", level: 1, kind: Deterministic,
        summary: "Every page of a stream read tells the version of the stream, whatever part of it is read.",
        likely_cause: "the version of the last event of the page",
    }
    limit_zero {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Limit 0 gives no events and no further page.",
        likely_cause: "0 taken as no limit, or refused by a database that wants at least 1",
    }
    limit_zero_tells_head {
        guarantee: "R5", level: 1, kind: Deterministic,
        summary: "Limit 0 still tells the head and the version.",
        likely_cause: "an empty answer made without a look at the log",
    }
    head_fit_for_condition {
        guarantee: "R5", level: 1, kind: Deterministic,
        summary: "The head of an exhausted read is fit as the `after` of a condition: it holds as long as nothing matching was appended since, and no longer.",
        likely_cause: "the next free position, or the last one that matched, in place of the head",
    }
    version_fit_for_exact {
        guarantee: "R5", level: 1, kind: Deterministic,
        summary: "The version of an exhausted stream read is fit as an `Exact`: it holds as long as the stream was not appended to since, and no longer.",
        likely_cause: "the count of the events read",
    }
    through_fresh {
        guarantee: "R3", level: 1, kind: Deterministic,
        summary: "What was acknowledged through one handle is read through every other one at once: events, version and head.",
        likely_cause: "a cache or a replica behind one handle",
    }
}

async fn page_tells_head(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 5).await?;
    let receipt = cx.append_any("Cart-1", 1).await?;
    let newest = receipt.position().unwrap_or(Position::START);
    let head = cx.head().await?;
    ensure!(head >= newest, "the head is {head}, below the acknowledged {newest}");
    let reads = [
        ("a stream", Read::stream(&order)),
        ("a stream in small pages", Read::stream(&order).page_size(2)),
        ("a part of a stream", Read::stream(&order).from(Version::new(2)).to(Version::new(3))),
        ("a stream backward", Read::stream(&order).backward().page_size(2)),
        ("the last event of a stream", Read::stream(&order).backward().limit(1)),
        ("past the end of a stream", Read::stream(&order).from(Version::new(9))),
        ("a missing stream", Read::stream(&stream("Order-9"))),
        ("the log in small pages", Read::log(Query::all()).page_size(2)),
        ("one event of the log", Read::log(Query::all()).limit(1)),
        ("the log backward", Read::log(Query::all()).backward().page_size(2)),
        ("a query", Read::log(Query::stream("Order-5")).page_size(2)),
        ("a query that nothing matches", Read::log(Query::types(["Never"]))),
    ];
    for (name, read) in reads {
        ensure_eq!(cx.drain(read).await?.head, head, "the head told when {name} is read");
    }
    Ok(())
}

async fn page_tells_version(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 5).await?;
    let whole = || Read::stream(&order);
    let reads = [
        ("whole", whole()),
        ("in pages of 2", whole().page_size(2)),
        ("backward in pages of 2", whole().backward().page_size(2)),
        ("from 2 to 3", whole().from(Version::new(2)).to(Version::new(3))),
        ("at most one event", whole().limit(1)),
        ("past its end", whole().from(Version::new(9))),
        ("up to version 0", whole().to(Version::NONE)),
    ];
    for (name, read) in reads {
        ensure_eq!(cx.drain(read).await?.version, Version::new(5), "the version of the stream, read {name}");
    }
    ensure_eq!(
        cx.drain(Read::log(Query::all())).await?.version,
        Version::NONE,
        "the version told for the log"
    );
    Ok(())
}

async fn limit_zero(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 3).await?;
    let reads = [Read::stream(&order), Read::log(Query::all()), Read::log(Query::category("Order"))];
    for read in reads.into_iter().flat_map(|read| [read.clone(), read.backward()]) {
        let page = cx.read(read.clone().limit(0)).await?;
        ensure!(page.events.is_empty(), "limit 0 gives {} events for {read:?}", page.events.len());
        ensure!(page.next.is_none(), "limit 0 leaves more to read of {read:?}");
    }
    Ok(())
}

async fn limit_zero_tells_head(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 3).await?;
    let head = cx.drain(Read::log(Query::all())).await?.head;
    for read in [Read::stream(&order).limit(0), Read::stream(&order).limit(0).backward()] {
        let page = cx.read(read).await?;
        ensure_eq!((page.head, page.version), (head, Version::new(3)), "head and version told by limit 0");
    }
    for read in [Read::log(Query::types(["Never"])), Read::log(Query::all()).backward()] {
        ensure_eq!(cx.read(read.limit(0)).await?.head, head, "the head told by limit 0 of the log");
    }
    Ok(())
}

async fn head_fit_for_condition(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 3).await?;
    let reads = [
        Read::stream(&order).page_size(2),
        Read::log(Query::category("Order")).page_size(2),
        Read::log(Query::all()).backward().page_size(3),
        Read::log(Query::all()).limit(0),
        Read::log(Query::types(["Never"])),
    ];
    for read in reads {
        let head = cx.drain(read.clone()).await?.head;
        let decided = |n| {
            let write = Append::to(&stream("Other"), ExpectedVersion::Any, events(n));
            write.condition(Query::category("Order"), head)
        };
        // Nothing that matches was appended since: also not by the append before, which wrote something else.
        cx.append(decided(1)).await?;
        cx.append(decided(2)).await?;

        let receipt = cx.append_any("Order-9", 2).await?;
        let matched = receipt.written()[0].positions()[0];
        let found = expect::conflict(cx.append(decided(1)).await)?;
        let wanted = Conflict::Condition { index: 0, matched };
        ensure_eq!(found, wanted, "the conflict after the head told by {read:?}");
    }
    Ok(())
}

async fn version_fit_for_exact(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 3).await?;
    let reads = [
        Read::stream(&order),
        Read::stream(&order).page_size(1),
        Read::stream(&order).backward().limit(1),
        Read::stream(&order).from(Version::new(2)).limit(1),
        Read::stream(&order).limit(0),
    ];
    for read in reads {
        let drained = cx.drain(read.clone()).await?;
        cx.append_to(&order, drained.version, events(2)).await?;
        let again = cx.append_to(&order, drained.version, events(1)).await;
        expect::version_conflict(again, &order, drained.version.into(), drained.version.get() + 2)?;
    }
    let missing = stream("Order-8");
    let version = cx.drain(Read::stream(&missing)).await?.version;
    cx.append_to(&missing, version, events(1)).await?;
    expect::conflict(cx.append_to(&missing, version, events(1)).await)?;
    Ok(())
}

async fn through_fresh(cx: Cx) -> Verdict {
    let (handles, order) = (cx.handles(3).await?, stream("Order-1"));
    for turn in 0..9_u64 {
        let writer = &handles[turn as usize % handles.len()];
        let position = writer.append_any("Order-1", 1).await?.position();
        let opened_now = cx.fresh().await?;
        let mut seen = Vec::new();
        for reader in handles.iter().chain([&opened_now]) {
            let of_stream = reader.drain(Read::stream(&order)).await?;
            let of_log = reader.drain(Read::log(Query::all())).await?;
            ensure_eq!(of_stream.version.get(), turn + 1, "the version, right after the acknowledgement");
            ensure_eq!(of_stream.events.len() as u64, turn + 1, "events of the stream, right after it");
            ensure!(
                Some(of_log.head) >= position,
                "the head {} is below the acknowledged append",
                of_log.head
            );
            same_events(&of_log.events, &of_stream.events, "the log against its only stream")?;
            seen.push(of_log.events);
        }
        for events in &seen {
            same_events(events, &seen[0], "the log through one handle and another")?;
        }
    }
    Ok(())
}
