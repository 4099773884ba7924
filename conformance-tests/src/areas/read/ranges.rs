//! Parts of a stream: from, to, limits, directions (R1).

use annalist_core::{Read, Version};

use super::{among_others, between, first, reversed};
use crate::{Cx, Verdict, checks, ensure, ensure_eq, expect, same_events};

checks! {
    area: "read",
    from_inclusive {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Reading from a version begins with that version, for every version.",
        likely_cause: "an exclusive bound: off by one",
    }
    to_inclusive {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Reading up to a version ends with that version, for every version.",
        likely_cause: "an exclusive bound: off by one",
    }
    range {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Reading from one version to another gives the events between, both inclusive, in both directions; none where the first is above the second.",
        likely_cause: "bounds swapped without a word where they stand the wrong way round",
    }
    limit {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "A limit gives exactly that many events, or the rest where there are fewer, from every version.",
        likely_cause: "the limit is applied to the stream before the range is",
    }
    limit_huge {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "The largest limit and page size that can be named mean all events.",
        likely_cause: "a cast to a signed number, which makes the largest limit −1",
    }
    past_end {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Reading from beyond the last version gives nothing, still tells the version, and is no error.",
        likely_cause: "a cast to a signed number, which makes the largest version −1, or a lookup of the first event",
    }
    backward {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Reading backward gives exactly the reverse, from every version, and limits count from the newest.",
        likely_cause: "the first events are taken and then reversed",
    }
    invalid_bounds {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Bounds of the other kind, a position for a stream or a version for the log, are refused as invalid and never ignored.",
        likely_cause: "a request option that the backend does not look at",
    }
}

async fn from_inclusive(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 25).await?;
    let whole = cx.read_stream(&order).await?;
    for from in 0..=27 {
        let read = cx.drain(Read::stream(&order).from(Version::new(from))).await?.events;
        same_events(&read, &between(&whole, from, 25), &format!("from version {from} of 25"))?;
    }
    Ok(())
}

async fn to_inclusive(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 25).await?;
    let whole = cx.read_stream(&order).await?;
    for to in 0..=27 {
        let read = cx.drain(Read::stream(&order).to(Version::new(to))).await?.events;
        same_events(&read, &between(&whole, 1, to), &format!("up to version {to} of 25"))?;
    }
    Ok(())
}

async fn range(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 7).await?;
    let whole = cx.read_stream(&order).await?;
    for (from, to) in (0..=9).flat_map(|from| (0..=9).map(move |to| (from, to))) {
        let read = Read::stream(&order).from(Version::new(from)).to(Version::new(to));
        let (what, expected) = (format!("versions {from} to {to} of 7"), between(&whole, from, to));
        same_events(&cx.drain(read.clone()).await?.events, &expected, &what)?;
        let backward = cx.drain(read.backward()).await?.events;
        same_events(&backward, &reversed(expected), &format!("{what}, backward"))?;
    }
    Ok(())
}

async fn limit(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 9).await?;
    let whole = cx.read_stream(&order).await?;
    for (from, limit) in (1..=10).flat_map(|from| (1..=11).map(move |limit| (from, limit))) {
        let read = cx.drain(Read::stream(&order).from(Version::new(from)).limit(limit)).await?.events;
        let what = format!("at most {limit} events from version {from} of 9");
        same_events(&read, first(&between(&whole, from, 9), limit), &what)?;
    }
    Ok(())
}

async fn limit_huge(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 9).await?;
    let whole = cx.read_stream(&order).await?;
    let log = cx.read_log().await?;
    for limit in [i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX, u64::from(u32::MAX)] {
        let read = Read::stream(&order).limit(limit).page_size(usize::MAX);
        same_events(&cx.drain(read).await?.events, &whole, &format!("the stream, at most {limit} events"))?;
        let read = Read::log(annalist_core::Query::all()).limit(limit).page_size(usize::MAX);
        same_events(&cx.drain(read).await?.events, &log, &format!("the log, at most {limit} events"))?;
    }
    Ok(())
}

async fn past_end(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 3).await?;
    for from in [4, 5, 1_003, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        for read in [Read::stream(&order), Read::stream(&order).backward()] {
            let drained = cx.drain(read.from(Version::new(from))).await?;
            ensure!(drained.events.is_empty(), "from version {from} of 3 there is {:?}", drained.events);
            ensure_eq!(drained.version.get(), 3, "the version of the stream, read from version {from}");
        }
    }
    let whole = cx.read_stream(&order).await?;
    let to_the_last = cx.drain(Read::stream(&order).to(Version::MAX).backward()).await?.events;
    same_events(&reversed(to_the_last), &whole, "up to the highest version that can be named")
}

async fn backward(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 9).await?;
    let whole = cx.read_stream(&order).await?;
    let all = cx.drain(Read::stream(&order).backward()).await?.events;
    same_events(&all, &reversed(whole.clone()), "the whole stream backward")?;
    for (to, limit) in (0..=10).flat_map(|to| (1..=10).map(move |limit| (to, limit))) {
        let read = Read::stream(&order).to(Version::new(to)).backward().limit(limit);
        let expected = reversed(between(&whole, 1, to));
        let what = format!("backward from version {to} of 9, at most {limit}");
        same_events(&cx.drain(read).await?.events, first(&expected, limit), &what)?;
    }
    Ok(())
}

async fn invalid_bounds(cx: Cx) -> Verdict {
    let (order, _) = among_others(&cx, 3).await?;
    let position = cx.read_stream(&order).await?[1].position();
    let stream = || Read::stream(&order);
    let log = || Read::log(annalist_core::Query::all());
    expect::invalid(cx.read(stream().after(position)).await)?;
    expect::invalid(cx.read(stream().until(position)).await)?;
    expect::invalid(cx.read(stream().until(position).backward().limit(0)).await)?;
    expect::invalid(cx.read(log().from(Version::new(2))).await)?;
    expect::invalid(cx.read(log().to(Version::new(2))).await)?;
    expect::invalid(cx.read(log().to(Version::new(2)).backward().limit(0)).await)?;
    Ok(())
}
