//! Pages: joined together they are the read at the head that the first one fixed (R4).

use annalist_core::{Position, Query, Read, RecordedEvent, Version};

use super::{among_others, between, first, reversed};
use crate::{Cx, Handle, Verdict, checks, ensure, ensure_eq, same_events, stream};

checks! {
    area: "read",
    pages_equal_whole {
        guarantee: "R4", level: 1, kind: Deterministic,
        summary: "The pages of a stream joined together equal the whole, for every page size, direction and range.",
        likely_cause: "a cursor that is off by one, or a full page taken for the last one",
    }
    limit_over_pages {
        guarantee: "R4", level: 1, kind: Deterministic,
        summary: "A limit counts over all pages of a read, of a stream and of the log.",
        likely_cause: "the limit is applied to each page",
    }
    head_fixed_stream {
        guarantee: "R4", level: 1, kind: Deterministic,
        summary: "What is appended between two pages of a stream read does not show in it, and every page tells the head and version of the first.",
        likely_cause: "each page is a query of its own, which knows nothing of the first",
    }
    head_fixed_log {
        guarantee: "R4", level: 1, kind: Deterministic,
        summary: "What is appended between two pages of a log read does not show in it, and every page tells the head of the first.",
        likely_cause: "pages by OFFSET, or without an upper bound",
    }
    head_fixed_missing {
        guarantee: "R4", level: 1, kind: Deterministic,
        summary: "A cursor over what held few events when the read began ends there, however much was appended since.",
        likely_cause: "a stream that was shorter than the page is taken as one to go on with",
    }
    cursor_any_handle {
        guarantee: "R4", level: 1, kind: Deterministic,
        summary: "The cursor of a page goes on through any handle.",
        likely_cause: "a server-side cursor, which lives on one connection",
    }
    cursor_twice {
        guarantee: "R4", level: 1, kind: Deterministic,
        summary: "The same cursor used again gives the same page.",
        likely_cause: "a server-side cursor that moves on when it is read",
    }
}

async fn pages_equal_whole(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 23).await?;
    let whole = cx.read_stream(&order).await?;
    for page_size in [1, 2, 3, 7, 23, 24, 100] {
        for (from, to) in [(1, 23), (1, 22), (2, 23), (5, 12), (23, 23), (24, 30)] {
            let read =
                Read::stream(&order).from(Version::new(from)).to(Version::new(to)).page_size(page_size);
            let (expected, what) =
                (between(&whole, from, to), format!("{from} to {to} in pages of {page_size}"));
            same_events(&cx.drain(read.clone()).await?.events, &expected, &what)?;
            let backward = cx.drain(read.backward()).await?.events;
            same_events(&backward, &reversed(expected), &format!("{what}, backward"))?;
        }
    }
    Ok(())
}

async fn limit_over_pages(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 11).await?;
    let (whole, log) = (cx.read_stream(&order).await?, cx.read_log().await?);
    for (page_size, limit) in
        [1, 2, 3, 5].into_iter().flat_map(|size| (1..=12).map(move |limit| (size, limit)))
    {
        let paged = |read: Read| read.page_size(page_size).limit(limit);
        let what = format!("at most {limit} in pages of {page_size}");
        for (read, all, source) in
            [(Read::stream(&order), &whole, "stream"), (Read::log(Query::all()), &log, "log")]
        {
            let forward = cx.drain(paged(read.clone())).await?.events;
            same_events(&forward, first(all, limit), &format!("the {source}, {what}"))?;
            let backward = cx.drain(paged(read.backward())).await?.events;
            same_events(
                &backward,
                first(&reversed(all.clone()), limit),
                &format!("the {source} backward, {what}"),
            )?;
        }
    }
    Ok(())
}

/// Among so many appends a read is followed; a store with small pages would have the log grow and grow otherwise.
const APPENDS_MAX: usize = 6;

/// Follows a read to its end, and appends to this stream before its first further pages. Gives the events, and sees to it that every page
/// tells the head and version of the first.
async fn drain_among_appends(cx: &Cx, read: Read, name: &str) -> Verdict<(Vec<RecordedEvent>, Position)> {
    let other = cx.fresh().await?;
    let page = cx.read(read).await?;
    let told = (page.head, page.version);
    let (mut events, mut next, mut pages) = (page.events, page.next, 1);
    while let Some(read) = next {
        if pages <= APPENDS_MAX {
            let writer: &Handle = if pages % 2 == 0 { cx } else { &other };
            writer.append_any(name, 2).await?;
        }
        let page = cx.read(read).await?;
        pages += 1;
        ensure_eq!((page.head, page.version), told, "head and version told by page {pages}");
        ensure!(pages < 10_000, "a read of few events has no end among appends");
        events.extend(page.events);
        next = page.next;
    }
    Ok((events, told.0))
}

async fn head_fixed_stream(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 10).await?;
    for page_size in [1, 3, 4] {
        let read = Read::stream(&order).page_size(page_size);
        let whole = cx.read_stream(&order).await?;
        let (forward, head) = drain_among_appends(&cx, read.clone(), order.as_str()).await?;
        same_events(&forward, &whole, &format!("a stream in pages of {page_size} among appends to it"))?;
        ensure!(forward.iter().all(|event| event.position() <= head), "an event is above the head {head}");

        let whole = cx.read_stream(&order).await?;
        let (backward, _) = drain_among_appends(&cx, read.backward(), order.as_str()).await?;
        let what = format!("a stream backward in pages of {page_size} among appends to it");
        same_events(&backward, &reversed(whole), &what)?;
    }
    Ok(())
}

async fn head_fixed_log(cx: Cx) -> Verdict {
    cx.append_medley(12).await?;
    for page_size in [1, 3, 5] {
        for query in [Query::all(), Query::category("Order")] {
            let read = || Read::log(query.clone()).page_size(page_size);
            let whole = cx.drain(read()).await?;
            let (forward, head) = drain_among_appends(&cx, read(), "Order-1").await?;
            same_events(&forward, &whole.events, &format!("the log in pages of {page_size} among appends"))?;
            ensure!(
                forward.iter().all(|event| event.position() <= head),
                "an event is above the head {head}"
            );

            let whole = cx.drain(read()).await?.events;
            let (backward, _) = drain_among_appends(&cx, read().backward(), "Order-1").await?;
            let what = format!("the log backward in pages of {page_size} among appends");
            same_events(&backward, &reversed(whole), &what)?;
        }
    }
    Ok(())
}

async fn head_fixed_missing(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 2).await?;
    let of_missing = Read::stream(&stream("Order-2"));
    let (none, _) = drain_among_appends(&cx, of_missing.clone().page_size(1), "Order-2").await?;
    ensure!(none.is_empty(), "a stream that did not exist when the read began gives {none:?}");

    for spare in [0, 1] {
        let before = cx.read_log().await?;
        let page_size = before.len() + spare;
        let read = Read::log(Query::all()).page_size(page_size);
        let (now, _) = drain_among_appends(&cx, read, "Order-2").await?;
        same_events(first(&now, before.len() as u64), &before, "the log as it was")?;
        ensure_eq!(now.len(), before.len(), "events of a log that was exhausted by one page of {page_size}");
    }
    Ok(())
}

async fn cursor_any_handle(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 9).await?;
    let handles = cx.handles(3).await?;
    for read in [Read::stream(&order), Read::log(Query::all())] {
        let whole = cx.drain(read.clone()).await?.events;
        let (mut next, mut joined, mut turn) = (Some(read.page_size(2)), Vec::new(), 0);
        while let Some(read) = next {
            let page = handles[turn % handles.len()].read(read).await?;
            joined.extend(page.events);
            (next, turn) = (page.next, turn + 1);
            ensure!(turn < 10_000, "a read of few events has no end");
        }
        same_events(&joined, &whole, "pages read through three handles in turn")?;
    }
    Ok(())
}

async fn cursor_twice(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 9).await?;
    for read in [Read::stream(&order), Read::log(Query::all())] {
        let mut next = Some(read.page_size(2));
        let mut turn = 0;
        while let Some(read) = next {
            let page = cx.read(read.clone()).await?;
            // A store may give a shorter page the second time: what follows the cursor is what must stay.
            let once = cx.drain(read.clone()).await?.events;
            let twice = cx.drain(read).await?.events;
            same_events(&twice, &once, "what follows the same cursor, read again")?;
            same_events(first(&once, page.events.len() as u64), &page.events, "the page of the same cursor")?;
            (next, turn) = (page.next, turn + 1);
            ensure!(turn < 10_000, "a read of few events has no end");
        }
    }
    Ok(())
}
