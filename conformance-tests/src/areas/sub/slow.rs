//! Consumers that are slower than the writers.

use annalist_core::{Position, Query, Subscribe};

use super::session::{Session, last};
use crate::{Cx, Verdict, checks, ensure};

checks! {
    area: "sub",
    slow_lossless {
        guarantee: "S6", level: 2, kind: Deterministic,
        summary: "A consumer that does not look while thousands of events are appended gets every one of them.",
        likely_cause: "a bounded broadcast, whose `Lagged` is ignored",
    }
    slow_again {
        guarantee: "S6", level: 2, kind: Deterministic,
        summary: "Falling behind a second and a third time costs as little as the first time.",
        likely_cause: "the loss is noticed once, and the flag is never set again",
    }
    slow_does_not_block {
        guarantee: "S6", level: 2, kind: Deterministic,
        summary: "A subscription that nobody asks slows neither writers nor other subscriptions.",
        likely_cause: "one dispatcher that waits for room in every consumer's queue",
    }
    slow_bounded {
        guarantee: "S6", level: 2, kind: Deterministic,
        summary: "A slow subscription holds no more than about a page: that is all that it has left to give once its store is closed.",
        likely_cause: "an unbounded channel between a reading task and the consumer",
    }
}

async fn slow_lossless(cx: Cx) -> Verdict {
    let mut session = Session::after(&cx, &Query::all(), Position::START).await?;
    session.until_caught_up().await?;
    for _ in 0..cx.scale(300) {
        cx.append_any("Order-1", 10).await?;
    }
    let log = cx.read_log().await?;
    session.until(last(&log)).await?;
    session.is_of(&log, "what came to a consumer that did not look")
}

async fn slow_again(cx: Cx) -> Verdict {
    let fresh = cx.fresh().await?;
    let subscribe = Subscribe::to(Query::all()).page_size(10);
    let mut session = Session::begin(&cx, subscribe, Position::START).await?;
    session.until_caught_up().await?;
    for round in 1..=4 {
        for _ in 0..cx.scale(120) {
            fresh.append_any("Order-1", 1).await?;
        }
        let log = cx.read_log().await?;
        session.until(last(&log)).await?;
        session.is_of(&log, &format!("what came after falling behind {round} times"))?;
        // Live again in between.
        fresh.append_any("Order-1", 1).await?;
        session.until_events(log.len() + 1).await?;
    }
    Ok(())
}

async fn slow_does_not_block(cx: Cx) -> Verdict {
    let fresh = cx.fresh().await?;
    let stuck = Session::after(&cx, &Query::all(), Position::START).await?;
    let mut quick = Session::after(&fresh, &Query::all(), Position::START).await?;
    let count = cx.scale(400);
    let both = async {
        let writing = async {
            for _ in 0..count {
                cx.append_any("Order-1", 3).await?;
            }
            Verdict::Ok(())
        };
        let (written, arrived) = tokio::join!(writing, quick.until_events(3 * count));
        written.and(arrived)
    };
    cx.within("writing beside a subscription that nobody asks", both).await??;
    drop(stuck);
    quick.is_of(&cx.read_log().await?, "what came to the other subscription")
}

async fn slow_bounded(cx: Cx) -> Verdict {
    const PAGE: usize = 10;
    // A page that is handed out, one that is fetched, and a queue between them; and once more as much.
    const HELD_MAX: usize = 10 * PAGE;
    for _ in 0..20 {
        cx.append_any("Order-1", 50).await?;
    }
    let fresh = cx.fresh().await?;
    let subscribe = Subscribe::to(Query::all()).page_size(PAGE);
    let mut session = Session::begin(&fresh, subscribe, Position::START).await?;
    session.until_events(1).await?;
    // Time for whatever reads ahead: as much as reading the whole log a hundred times takes.
    for _ in 0..100 {
        cx.read_log().await?;
        tokio::task::yield_now().await;
    }
    fresh.close().await?;
    let mut held = 0;
    while let Some(Ok(signal)) = session.tail().answer().await? {
        session.take_in(&signal)?;
        held += 1;
    }
    ensure!(held <= HELD_MAX, "{held} signals came of a closed store, with pages of {PAGE}");
    session.is_of(&cx.read_log().await?, "what came before the end")
}
