//! Futures of a subscription that are dropped.

use annalist_core::{Position, Query, Signal, Subscribe};

use super::session::{Session, last};
use crate::{Cx, PollLimit, Verdict, checks, ensure};

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
    let fresh = cx.fresh().await?;
    const POLLS: usize = 6;
    cx.minimum_ops(POLLS);
    for polls in 1..=POLLS {
        let log = cx.append_medley(7).await?;
        for query in [Query::all(), Query::category("Cart")] {
            let subscribe = Subscribe::to(query).page_size(3);
            let mut session = Session::begin(&cx, subscribe, Position::START).await?;
            // Caught up with, and then live, by looks of so many polls.
            looks(&cx, &mut session, polls, last(&log)).await?;
            for _ in 0..4 {
                fresh.append_any("Order-1", 1).await?;
                looks(&cx, &mut session, polls, fresh.head().await?).await?;
            }
            let marker = fresh.append_any("Cart-1", 1).await?;
            session.until(super::session::last_of(&marker)).await?;
            session.is_of(&cx.read_log().await?, &format!("what came by looks of {polls} polls"))?;
        }
    }
    Ok(())
}

/// Looks with so many polls at a time until a position is reached; where that is never enough, until patience would be lost.
async fn looks(cx: &Cx, session: &mut Session, polls: usize, end: Position) -> Verdict {
    const LOOKS_MAX: usize = 200;
    for _ in 0..LOOKS_MAX {
        if session.reached >= end {
            break;
        }
        match PollLimit::new(polls, session.tail().subscription().next()).await {
            Some(Some(Ok(signal))) => session.take_in(&signal)?,
            Some(ended) => ensure!(false, "the subscription ended with {ended:?}"),
            None => tokio::task::yield_now().await,
        }
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
    let (mut dropped, mut patience) = (0, 0);
    let looking = async {
        while session.events.len() < EVENTS {
            tokio::select! {
                biased;
                answer = session.tail().subscription().next() => match answer {
                    Some(Ok(signal)) => {
                        cx.count_ops(usize::from(matches!(signal, Signal::Event(_))));
                        session.take_in(&signal)?;
                        patience = 0;
                    }
                    ended => ensure!(false, "the subscription ended with {ended:?} after {dropped} dropped looks"),
                },
                () = yields(patience) => {
                    dropped += 1;
                    patience = (2 * patience).max(1);
                }
            }
        }
        Verdict::Ok(())
    };
    cx.within("looking by `select!`", looking).await??;
    writing.join().await??;
    session.is_of(&cx.read_log().await?, &format!("what came by looks of which {dropped} were dropped"))
}

async fn yields(n: usize) {
    for _ in 0..n {
        tokio::task::yield_now().await;
    }
}
