//! Catching up: what stood in the log before.

use annalist_core::{Append, ContentType, ExpectedVersion, Metadata, Position, Query, Subscribe};

use super::between;
use super::session::{Session, last, last_of};
use crate::{Cx, Failure, Verdict, checks, ensure_eq, event, events, same_events, stream};

checks! {
    area: "sub",
    catchup_all {
        guarantee: "S1", level: 1, kind: Deterministic,
        summary: "A subscription from the start delivers the whole log in its order, whatever its page size.",
        likely_cause: "the row that tells whether there is a next page is dropped, or pages are sorted by something else",
    }
    catchup_after {
        guarantee: "S3", level: 1, kind: Deterministic,
        summary: "A subscription after a position delivers exactly what stands above it, for every position.",
        likely_cause: "`>=` for `>`: the last handled event comes again for ever",
    }
    catchup_non_event_position {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "A subscription begins as well at a position that holds no event.",
        likely_cause: "the start is looked up by equality",
    }
    empty_then_live {
        guarantee: "S1", level: 1, kind: Deterministic,
        summary: "On an empty log a subscription is caught up, and the first event of all arrives.",
        likely_cause: "the head of an empty log is NULL, and nothing is greater than NULL",
    }
    handover_edges {
        guarantee: "S1", level: 1, kind: Deterministic,
        summary: "Catching up and going on works where the log ends at, before and after the edge of a page.",
        likely_cause: "a full last page is taken for the end, or for a sign that there is more",
    }
    handover_moment {
        guarantee: "S1", level: 1, kind: Deterministic,
        summary: "An event that is appended the moment after `CaughtUp` came is delivered.",
        likely_cause: "reads to the end first, and begins to listen afterwards",
    }
    same_content {
        guarantee: "S1", level: 1, kind: Deterministic,
        summary: "A delivered event equals the one that is read, in every field, caught up with and live.",
        likely_cause: "notifications have a serialiser of their own",
    }
    whole_appends {
        guarantee: "A2", level: 1, kind: Deterministic,
        summary: "The events of one append over several streams are delivered as neighbours, in its order.",
        likely_cause: "one feed for each stream, merged by arrival",
    }
}

/// Sees to it that a subscription from the start delivers the log, and one event more.
async fn delivers(cx: &Cx, page_size: usize) -> Verdict {
    let log = cx.read_log().await?;
    let subscribe = Subscribe::to(Query::all()).page_size(page_size);
    let mut session = Session::begin(cx, subscribe, Position::START).await?;
    session.until_caught_up().await?;
    same_events(&session.events, &log, &format!("what came before `CaughtUp` with pages of {page_size}"))?;

    cx.append_any("Order-9", 1).await?;
    session.until_events(log.len() + 1).await?;
    session.is_of(&cx.read_log().await?, "what came with one live event")
}

async fn catchup_all(cx: Cx) -> Verdict {
    for i in 0..30 {
        cx.append_any(&format!("Order-{}", i % 4), 1 + 7 * (i % 3)).await?;
    }
    for page_size in [1, 7, 1_000] {
        delivers(&cx, page_size).await?;
    }
    Ok(())
}

async fn catchup_after(cx: Cx) -> Verdict {
    let medley = cx.append_medley(12).await?;
    let places = [Position::START].into_iter().chain(medley.iter().map(|event| event.position()));
    for after in places {
        let mut session = Session::after(&cx, &Query::all(), after).await?;
        // What comes next after all that there was shows that nothing else came.
        let marker = cx.append_any("Order-9", 1).await?;
        session.until(last_of(&marker)).await?;
        session.is_of(&cx.read_log().await?, &format!("what came after {after}"))?;
    }
    Ok(())
}

async fn catchup_non_event_position(cx: Cx) -> Verdict {
    let log = cx.append_medley(8).await?;
    let gaps: Vec<_> =
        log.windows(2).filter_map(|pair| between(pair[0].position(), pair[1].position())).collect();
    if gaps.is_empty() {
        return Err(Failure::NotApplicable("no two events leave a position between them".to_owned()));
    }
    for after in gaps {
        let mut session = Session::after(&cx, &Query::all(), after).await?;
        session.until(last(&log)).await?;
        session.is_of(&log, &format!("what came after {after}, which holds no event"))?;
    }
    Ok(())
}

async fn empty_then_live(cx: Cx) -> Verdict {
    let mut session = Session::after(&cx, &Query::all(), Position::START).await?;
    session.until_caught_up().await?;
    ensure_eq!(session.events.len(), 0, "events of an empty log");
    cx.append_any("Order-1", 2).await?;
    session.until_events(2).await?;
    session.is_of(&cx.read_log().await?, "the first events of all")
}

async fn handover_edges(cx: Cx) -> Verdict {
    const PAGE: usize = 3;
    // Every size from no page to three pages has its turn: each round appends one event.
    for _ in 0..=3 * PAGE {
        delivers(&cx, PAGE).await?;
    }
    Ok(())
}

async fn handover_moment(cx: Cx) -> Verdict {
    let fresh = cx.fresh().await?;
    for round in 1..=5 {
        cx.append_any("Order-1", round).await?;
        let mut session = Session::after(&cx, &Query::all(), Position::START).await?;
        session.until_caught_up().await?;
        let log_before = session.events.len();
        fresh.append_any("Order-2", 2).await?;
        session.until_events(log_before + 2).await?;
        session.is_of(&cx.read_log().await?, "what came over the hand-over")?;
    }
    Ok(())
}

async fn same_content(cx: Cx) -> Verdict {
    let bytes: Vec<u8> = (0..=255).collect();
    let metadata = Metadata::new(r#"{ "b":1, "a":{"c":[ ]} }"#)?;
    let octets = ContentType::new("application/octet-stream")?;
    let full = || {
        let made = event("Größe ändern", bytes.clone()).with_metadata(metadata.clone());
        made.with_content_type(octets.clone()).with_tags(["z", "a", "ü"])
    };
    let order = stream("Order-1");
    cx.append_to(&order, ExpectedVersion::Any, [full()?, event("Empty", "")]).await?;
    let mut session = Session::after(&cx, &Query::all(), Position::START).await?;
    session.until_events(2).await?;
    cx.fresh().await?.append_to(&order, ExpectedVersion::Any, [full()?, event("Null", "null")]).await?;
    session.until_events(4).await?;
    session.is_of(&cx.read_log().await?, "delivered events against those that are read")
}

async fn whole_appends(cx: Cx) -> Verdict {
    let mut session = Session::after(&cx, &Query::all(), Position::START).await?;
    for round in 0..6 {
        let names = ["Order-2", "Cart-1", "Order-1", "Cart-0"];
        let append =
            names.iter().cycle().skip(round).take(names.len()).fold(Append::new(), |append, name| {
                append.write(&stream(name), ExpectedVersion::Any, events(2))
            });
        let sent: Vec<_> = append.events().map(|(stream, event)| (stream.clone(), event.id())).collect();
        cx.append(append).await?;
        session.until_events(8 * (round + 1)).await?;
        let came = session.events[8 * round..].iter().map(|event| (event.stream().clone(), event.id()));
        ensure_eq!(came.collect::<Vec<_>>(), sent, "the events of one append as delivered");
    }
    session.is_of(&cx.read_log().await?, "all of it")
}
