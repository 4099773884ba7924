//! One order, complete and stable (G1, G3).

use annalist_core::{ExpectedVersion, NewEvent, Query, Read, RecordedEvent};

use super::{all, reversed};
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, query_medley, same_events, stream};

checks! {
    area: "global",
    strictly_increasing {
        guarantee: "G1", level: 1, kind: Deterministic,
        summary: "Positions strictly increase in the order in which the log is read.",
        likely_cause: "timestamps as positions: several events have the same",
    }
    complete_once {
        guarantee: "G1", level: 1, kind: Deterministic,
        summary: "The log holds every appended event, and each once.",
        likely_cause: "a join with another table, which gives an event once for each row there",
    }
    embeds_stream_order {
        guarantee: "G3", level: 1, kind: Deterministic,
        summary: "Within a stream the order of positions is the order of versions, through whatever handles it was written.",
        likely_cause: "numbers reserved in blocks by each connection",
    }
    position_stable {
        guarantee: "G1", level: 1, kind: Deterministic,
        summary: "The position of an event is the same on every path, through every handle, however much is appended later.",
        likely_cause: "ROW_NUMBER(): a position computed when it is read",
    }
    backward {
        guarantee: "R4", level: 1, kind: Deterministic,
        summary: "The log read backward is its exact reverse, whole, in pages, and from any position.",
        likely_cause: "pages that are each in forward order",
    }
    pages_equal_whole {
        guarantee: "R4", level: 1, kind: Deterministic,
        summary: "The pages of the log joined together equal the whole, for every page size.",
        likely_cause: "a full page taken for the last one, or the last one for nothing",
    }
    filtered_equals_filter {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A filtered read from any position gives the same events, at the same positions, as filtering the log.",
        likely_cause: "positions counted among what is read",
    }
}

fn ids(events: &[RecordedEvent]) -> Vec<annalist_core::EventId> {
    let mut ids: Vec<_> = events.iter().map(RecordedEvent::id).collect();
    ids.sort_unstable();
    ids
}

async fn strictly_increasing(cx: Cx) -> Verdict {
    for i in 0..200 {
        cx.append_any(&format!("Order-{}", i * 7 % 20), 1).await?;
    }
    // The events of one append have the same timestamp in many stores.
    cx.append_any("Order-1", 10).await?;
    let log = cx.read_log().await?;
    ensure_eq!(log.len(), 210, "events in the log");
    for pair in log.windows(2) {
        let (one, next) = (pair[0].position(), pair[1].position());
        ensure!(one < next, "the log gives {next} after {one}");
    }
    Ok(())
}

async fn complete_once(cx: Cx) -> Verdict {
    let log = cx.append_medley(30).await?;
    ensure_eq!(log.len(), 30, "events in the log, after 30 single appends");
    let mut appended: Vec<NewEvent> = log.iter().map(|event| event.event().clone()).collect();
    for (i, n) in [3, 1, 20, 2].into_iter().enumerate() {
        let batch = events(n);
        cx.append_to(&stream(&format!("Order-{i}")), ExpectedVersion::Any, batch.clone()).await?;
        appended.extend(batch);
    }
    let mut expected: Vec<_> = appended.iter().map(NewEvent::id).collect();
    expected.sort_unstable();
    ensure_eq!(ids(&cx.read_log().await?), expected, "the ids in the log");
    ensure_eq!(ids(&cx.fresh().await?.read_log().await?), expected, "the ids through another handle");
    Ok(())
}

async fn embeds_stream_order(cx: Cx) -> Verdict {
    let handles = cx.handles(4).await?;
    for i in 0..80 {
        handles[i % 4].append_any(["Order-1", "Order-2", "Order-3"][i % 3], 1 + i % 2).await?;
    }
    for name in ["Order-1", "Order-2", "Order-3"] {
        let in_log: Vec<_> =
            cx.read_log().await?.into_iter().filter(|event| event.stream().as_str() == name).collect();
        let versions: Vec<_> = in_log.iter().map(|event| event.version().get()).collect();
        ensure_eq!(
            versions,
            (1..=in_log.len() as u64).collect::<Vec<_>>(),
            "versions of {name} in log order"
        );
        let of_stream = cx.read_stream(&stream(name)).await?;
        let in_order = of_stream.windows(2).all(|pair| pair[0].position() < pair[1].position());
        ensure!(in_order, "positions of {name} in the order of versions: {of_stream:?}");
    }
    Ok(())
}

async fn position_stable(cx: Cx) -> Verdict {
    let before = cx.append_medley(20).await?;
    let again = |after: &str| format!("the first 20 events of the log, {after}");
    same_events(&cx.read_log().await?, &before, &again("read again"))?;
    for (name, query) in query_medley() {
        let expected: Vec<_> = before.iter().filter(|event| query.matches_recorded(event)).cloned().collect();
        let found = cx.drain(Read::log(query)).await?.events;
        same_events(&found, &expected, &format!("positions when read by: {name}"))?;
    }
    cx.append_medley(20).await?;
    same_events(&cx.read_log().await?[..20], &before, &again("when there are 20 more"))?;
    let fresh = cx.fresh().await?;
    same_events(&fresh.read_log().await?[..20], &before, &again("through another handle"))?;
    let backward = reversed(fresh.drain(all().backward()).await?.events);
    same_events(&backward[..20], &before, &again("backward"))?;
    for event in &before {
        let of_stream =
            fresh.drain(Read::stream(event.stream()).from(event.version()).limit(1)).await?.events;
        same_events(&of_stream, std::slice::from_ref(event), "an event read from its stream")?;
    }
    Ok(())
}

async fn backward(cx: Cx) -> Verdict {
    let log = cx.append_medley(24).await?;
    same_events(&cx.drain(all().backward()).await?.events, &reversed(log.clone()), "the log backward")?;
    for page_size in [1, 5, 24, 100] {
        let paged = cx.drain(all().backward().page_size(page_size)).await?.events;
        same_events(&paged, &reversed(log.clone()), &format!("the log backward in pages of {page_size}"))?;
    }
    for (i, event) in log.iter().enumerate() {
        let from_there = cx.drain(all().until(event.position()).backward().limit(4)).await?.events;
        let expected = reversed(log[(i + 1).saturating_sub(4)..=i].to_vec());
        same_events(&from_there, &expected, &format!("4 events backward from the {}. event", i + 1))?;
    }
    Ok(())
}

async fn pages_equal_whole(cx: Cx) -> Verdict {
    let log = cx.append_medley(29).await?;
    for page_size in [1, 2, 3, 7, 28, 29, 30, 100] {
        for query in [Query::all(), Query::category("Order"), Query::types(["Paid"])] {
            let expected: Vec<_> =
                log.iter().filter(|event| query.matches_recorded(event)).cloned().collect();
            let paged = cx.drain(Read::log(query.clone()).page_size(page_size)).await?.events;
            same_events(&paged, &expected, &format!("{query:?} in pages of {page_size}"))?;
        }
    }
    Ok(())
}

async fn filtered_equals_filter(cx: Cx) -> Verdict {
    let log = cx.append_medley(40).await?;
    let half = log[19].position();
    for (name, query) in query_medley() {
        let matching: Vec<_> = log.iter().filter(|event| query.matches_recorded(event)).cloned().collect();
        let read = || Read::log(query.clone()).page_size(6);
        let later = cx.drain(read().after(half)).await?.events;
        same_events(&later, &super::above(&matching, half), &format!("after the 20. event: {name}"))?;
        let earlier = cx.drain(read().until(half).backward()).await?.events;
        let expected = reversed(super::up_to(&matching, half));
        same_events(&earlier, &expected, &format!("backward from the 20. event: {name}"))?;
    }
    Ok(())
}
