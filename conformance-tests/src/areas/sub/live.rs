//! Live events: what is appended while the subscription waits.

use annalist_core::{Position, Query, Subscribe};

use super::session::{Session, last_of};
use crate::{Cx, PollLimit, Verdict, checks, ensure, ensure_eq};

checks! {
    area: "sub",
    live {
        guarantee: "S2", level: 1, kind: Deterministic,
        summary: "Each appended event arrives, whether the subscription waits at that moment or not.",
        likely_cause: "waits for a notification before it looks, and the notification came before the wait",
    }
    live_other_handle {
        guarantee: "S2", level: 1, kind: Deterministic,
        summary: "Between handles in one process events arrive by a wake-up: forty of them one by one within the patience for one.",
        likely_cause: "each handle wakes its own subscriptions only, and the others wait for their poll",
    }
    live_while_waiting {
        guarantee: "S2", level: 1, kind: Deterministic,
        summary: "A subscription that waits already is woken by an append through any handle.",
        likely_cause: "the wake-up is asked for before the new state can be seen",
    }
    idle_waits {
        guarantee: "S2", level: 1, kind: Deterministic,
        summary: "On an idle log a subscription waits: it does not give signals that tell nothing.",
        likely_cause: "a heartbeat that is handed to the consumer",
    }
}

async fn live(cx: Cx) -> Verdict {
    let mut session = Session::after(&cx, &Query::all(), Position::START).await?;
    session.until_caught_up().await?;
    for n in 1..=20 {
        cx.append_any("Order-1", 1).await?;
        session.until_events(n).await?;
    }
    session.is_of(&cx.read_log().await?, "twenty live events")
}

async fn live_other_handle(cx: Cx) -> Verdict {
    let fresh = cx.fresh().await?;
    let mut session = Session::after(&cx, &Query::all(), Position::START).await?;
    session.until_caught_up().await?;
    let there = async {
        for n in 1..=40 {
            // The wait begins before the append, so that there is something to wake.
            let (arrived, appended) = tokio::join!(session.until_events(n), fresh.append_any("Order-1", 1));
            appended?;
            arrived?;
        }
        Verdict::Ok(())
    };
    cx.within("forty live events of another handle, one by one,", there).await??;
    session.is_of(&cx.read_log().await?, "forty live events of another handle")
}

async fn live_while_waiting(cx: Cx) -> Verdict {
    let handles = cx.handles(3).await?;
    let mut session = Session::after(&cx, &Query::all(), Position::START).await?;
    session.until_caught_up().await?;
    let there = async {
        for n in 1..=40 {
            let writer = handles[n % 3].clone();
            let writing = cx.spawn(async move {
                tokio::task::yield_now().await;
                writer.append_any("Order-1", 1).await
            });
            session.until_events(n).await?;
            writing.join().await??;
        }
        Verdict::Ok(())
    };
    cx.within("forty live events of three handles, one by one,", there).await??;
    session.is_of(&cx.read_log().await?, "live events of three handles")
}

async fn idle_waits(cx: Cx) -> Verdict {
    const LOOKS: usize = 300;
    // Room for what may come late: being caught up, and progress to the head.
    const SIGNALS_MAX: usize = 5;
    cx.append_medley(5).await?;
    for query in [Query::all(), Query::stream("Order-1")] {
        let head = cx.head().await?;
        let mut session = Session::begin(&cx, Subscribe::to(query), Position::START).await?;
        session.until_caught_up().await?;
        let mut signals = Vec::new();
        for _ in 0..LOOKS {
            if let Some(answer) = PollLimit::new(1, session.tail().subscription().next()).await {
                signals.push(answer);
            }
            tokio::task::yield_now().await;
        }
        let told = signals.len();
        ensure!(
            told <= SIGNALS_MAX,
            "{told} signals in {LOOKS} looks at an idle log, the last {:?}",
            signals[told - 1]
        );

        let marker = cx.append_any("Order-1", 1).await?;
        let event = session.tail().event().await?;
        ensure_eq!(event.position(), last_of(&marker), "the next event, appended at head {head}");
    }
    Ok(())
}
