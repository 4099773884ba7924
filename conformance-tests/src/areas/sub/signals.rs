//! What a subscription tells beside events.

use annalist_core::{Position, Query, Signal, Subscribe};

use super::session::{Session, last, last_of};
use crate::{Cx, Verdict, checks, ensure, ensure_eq, query_medley};

checks! {
    area: "sub",
    caught_up_after_all {
        guarantee: "S4", level: 1, kind: Deterministic,
        summary: "`CaughtUp` comes once everything up to the head at subscription was delivered, never before.",
        likely_cause: "tells it when the first page was asked for, or after the first full page",
    }
    caught_up_tells_head {
        guarantee: "S4", level: 1, kind: Deterministic,
        summary: "`CaughtUp` tells a position at or above the head at subscription, for every query, also where nothing matches.",
        likely_cause: "tells the position of the last match",
    }
    caught_up_behind_writers {
        guarantee: "S4", level: 1, kind: Deterministic,
        summary: "`CaughtUp` comes also where the log has grown by many pages since, and holds for all up to its position.",
        likely_cause: "told by a counter that was taken at subscription",
    }
    caught_up_again {
        guarantee: "S4", level: 1, kind: Deterministic,
        summary: "Each time the subscription fell more than a page behind, it tells when it has caught up again.",
        likely_cause: "told once in the life of a subscription",
    }
    progress_over_filtered {
        guarantee: "S4", level: 1, kind: Deterministic,
        summary: "Where nothing matches, signals still reach the head, so that a checkpoint can move there.",
        likely_cause: "only matches move the position: after each restart the whole span is read again",
    }
    progress_after_matches {
        guarantee: "S4", level: 1, kind: Deterministic,
        summary: "A signal tells a position only after every match up to it was delivered.",
        likely_cause: "the position of the fetched page is told before its events",
    }
    resume_at_every_signal {
        guarantee: "S4", level: 1, kind: Deterministic,
        summary: "A subscription that begins at any position that was told delivers exactly what had not been.",
        likely_cause: "progress is counted in events, not in positions of the log",
    }
}

async fn caught_up_after_all(cx: Cx) -> Verdict {
    for page_size in [2, 5, 1_000] {
        let log = cx.append_medley(11).await?;
        let head = cx.head().await?;
        let subscribe = Subscribe::to(Query::all()).page_size(page_size);
        let mut session = Session::begin(&cx, subscribe, Position::START).await?;
        let told = session.until_caught_up().await?;
        ensure_eq!(session.events.len(), log.len(), "events before `CaughtUp` with pages of {page_size}");
        ensure!(told >= head, "`CaughtUp` tells {told}, below the head at subscription, {head}");
        session.is_of(&log, "what came before `CaughtUp`")?;
    }
    Ok(())
}

async fn caught_up_tells_head(cx: Cx) -> Verdict {
    let log = cx.append_medley(23).await?;
    let head = cx.head().await?;
    for (name, query) in query_medley() {
        let subscribe = Subscribe::to(query).page_size(3);
        let mut session = Session::begin(&cx, subscribe, Position::START).await?;
        let told = session.until_caught_up().await?;
        ensure!(told >= head, "{name}: `CaughtUp` tells {told}, below the head at subscription, {head}");
        session.is_of(&log, &format!("{name}: what came before `CaughtUp`"))?;
    }
    Ok(())
}

async fn caught_up_behind_writers(cx: Cx) -> Verdict {
    let log = cx.append_medley(10).await?;
    let subscribe = Subscribe::to(Query::all()).page_size(4);
    let mut session = Session::begin(&cx, subscribe, Position::START).await?;
    for _ in 0..10 {
        cx.append_any("Order-2", 9).await?;
    }
    let told = session.until_caught_up().await?;
    ensure!(told >= last(&log), "`CaughtUp` tells {told}, below the head at subscription, {}", last(&log));
    let log = cx.read_log().await?;
    session.is_of(&log, "what came before `CaughtUp`")?;
    session.until(last(&log)).await?;
    session.is_of(&log, "all of it")
}

async fn caught_up_again(cx: Cx) -> Verdict {
    const PAGE: usize = 5;
    let subscribe = Subscribe::to(Query::all()).page_size(PAGE);
    let mut session = Session::begin(&cx, subscribe, Position::START).await?;
    session.until_caught_up().await?;
    for round in 1..=3 {
        for _ in 0..4 * PAGE {
            cx.append_any("Order-1", 1).await?;
        }
        session.until_caught_up().await?;
        // It may be behind by less than a page and call that caught up; it must be able to reach the rest.
        let log = cx.read_log().await?;
        session.is_of(&log, &format!("what came before `CaughtUp` number {}", round + 1))?;
        session.until(last(&log)).await?;
        session.is_of(&log, &format!("what came in round {round}"))?;
    }
    Ok(())
}

async fn progress_over_filtered(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 1).await?;
    let query = Query::stream("Order-1");
    let subscribe = Subscribe::to(query).page_size(10);
    let mut session = Session::begin(&cx, subscribe, Position::START).await?;
    session.until_caught_up().await?;
    for round in 1..=3 {
        cx.append_any("Order-1", 1).await?;
        for _ in 0..30 {
            cx.append_any("Cart-1", 1).await?;
        }
        // The last events match nothing: only a signal can come there.
        let log = cx.read_log().await?;
        session.until(last(&log)).await?;
        session.is_of(&log, &format!("what came in round {round}"))?;
        ensure_eq!(session.events.len(), round + 1, "matches in round {round}");
    }
    Ok(())
}

async fn progress_after_matches(cx: Cx) -> Verdict {
    for (name, query) in query_medley() {
        let begin = cx.head().await?;
        cx.append_medley(9).await?;
        let subscribe = Subscribe::to(query).after(begin).page_size(2);
        let mut session = Session::begin(&cx, subscribe, begin).await?;
        session.until_caught_up().await?;
        for _ in 0..3 {
            // One by one, and then in a heap.
            let log = cx.append_medley(6).await?;
            session.until(last(&log)).await?;
            session.is_of(&log, &format!("{name}: what came up to each position that was told"))?;
        }
    }
    Ok(())
}

async fn resume_at_every_signal(cx: Cx) -> Verdict {
    let query = Query::stream("Order-1");
    let subscribe = Subscribe::to(query.clone()).page_size(2);
    let mut session = Session::begin(&cx, subscribe, Position::START).await?;
    let mut log = cx.append_medley(8).await?;
    let mut told = Vec::new();
    for _ in 0..3 {
        while session.reached < last(&log) {
            told.push(match session.signal().await? {
                Signal::Event(event) => event.position(),
                _ => session.reached,
            });
        }
        log = cx.append_medley(8).await?;
    }
    ensure!(!told.is_empty(), "no position was told");
    for after in told {
        let marker = cx.append_any("Order-1", 1).await?;
        let mut again = Session::after(&cx, &query, after).await?;
        again.until(last_of(&marker)).await?;
        again.is_of(&cx.read_log().await?, &format!("what came when resumed at {after}"))?;
    }
    Ok(())
}
