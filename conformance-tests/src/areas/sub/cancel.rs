//! Futures of a subscription that are dropped.

use annalist_core::{Position, Query, Subscribe};

use super::session::{Session, last, last_of};
use crate::{Cx, Verdict, checks};

checks! {
    area: "sub",
    next_is_cancel_safe {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "`next`, dropped at any point, takes no signal with it and repeats none.",
        likely_cause: "an event is taken from the queue before the last await",
    }
    next_in_select {
        guarantee: "C1", level: 2, kind: Sweep,
        summary: "A consumer that looks by `select!` beside something that is always ready gets every event once.",
        likely_cause: "a page is asked for anew for every look, and its answer is thrown away",
    }
}

async fn next_is_cancel_safe(cx: Cx) -> Verdict {
    const TURNS: usize = 6;
    let fresh = cx.fresh().await?;
    cx.minimum_ops(TURNS);
    for turns in 0..TURNS {
        let log = cx.append_medley(7).await?;
        for query in [Query::all(), Query::category("Cart")] {
            let subscribe = Subscribe::to(query).page_size(3);
            let mut session = Session::begin(&cx, subscribe, Position::START).await?;
            // Caught up with, and then live, by looks of so many turns.
            looks(&cx, &mut session, turns, last(&log)).await?;
            for _ in 0..4 {
                fresh.append_any("Order-1", 1).await?;
                looks(&cx, &mut session, turns, fresh.head().await?).await?;
            }
            let marker = fresh.append_any("Cart-1", 1).await?;
            session.until(last_of(&marker)).await?;
            session.is_of(&cx.read_log().await?, &format!("what came by looks of {turns} turns"))?;
        }
    }
    Ok(())
}

/// Looks again and again until a position is reached; where that is never enough, a number of times.
async fn looks(cx: &Cx, session: &mut Session, turns: usize, end: Position) -> Verdict {
    const LOOKS_MAX: usize = 200;
    for _ in 0..LOOKS_MAX {
        if session.reached >= end {
            break;
        }
        session.look(turns).await?;
        cx.count_op();
    }
    Ok(())
}

async fn next_in_select(cx: Cx) -> Verdict {
    const EVENTS: usize = 60;
    cx.minimum_ops(EVENTS);
    let fresh = cx.fresh().await?;
    let writing = cx.spawn(async move {
        for _ in 0..EVENTS {
            fresh.append_any("Order-1", 1).await?;
            tokio::task::yield_now().await;
        }
        Verdict::Ok(())
    });
    let mut session = Session::begin(&cx, Subscribe::to(Query::all()).page_size(4), Position::START).await?;
    // Each look that brings nothing makes the next one longer, so that a store behind a network has an answer in the end.
    let (mut dropped, mut turns) = (0, 0);
    let looking = async {
        while session.events.len() < EVENTS {
            let came = session.look(turns).await?;
            dropped += usize::from(!came);
            turns = if came { 0 } else { (2 * turns).max(1) };
            cx.count_op();
        }
        Verdict::Ok(())
    };
    cx.within("looking by `select!`", looking).await??;
    writing.join().await??;
    session.is_of(&cx.read_log().await?, &format!("what came by looks of which {dropped} were dropped"))
}
