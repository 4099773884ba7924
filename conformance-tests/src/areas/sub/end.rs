//! How subscriptions end: stopped, dropped, closed, or because the log is another one.

use annalist_core::{Position, Query, Subscribe};

use super::session::{Session, last};
use crate::{Cx, Rewind, Verdict, checks, ensure, expect};

checks! {
    area: "sub",
    stop_ends {
        guarantee: "S8", level: 1, kind: Deterministic,
        summary: "After `stop` nothing is given, at whatever point it came: before the first look, in a page, live; a second time does nothing.",
        likely_cause: "the events fetched already are handed out still",
    }
    stop_while_idle {
        guarantee: "S8", level: 1, kind: Deterministic,
        summary: "`stop` returns although no event comes, after a wait that was given up.",
        likely_cause: "a flag that is looked at when the next event comes",
    }
    stop_under_load {
        guarantee: "S8", level: 2, kind: Stochastic,
        summary: "Nothing is given after `stop` returned while a writer goes on.",
        likely_cause: "a reading task goes on and fills the queue",
    }
    drop_releases {
        guarantee: "S8", level: 1, kind: Deterministic,
        summary: "Dropped subscriptions leave nothing behind: after hundreds of them the next one works.",
        likely_cause: "a connection, lock or slot is given back by `stop` only",
    }
    close_ends_with_closed {
        guarantee: "S8", level: 1, kind: Deterministic,
        summary: "Closing the store ends its subscriptions with `Closed`, once, and then nothing: also one that waits.",
        likely_cause: "the end of the feed is handed on as the end of the events",
    }
    other_handle_closed {
        guarantee: "S8", level: 1, kind: Deterministic,
        summary: "Closing another handle leaves a subscription running.",
        likely_cause: "handles share the feed, and whoever closes first closes it",
    }
    outlives_its_handle {
        guarantee: "S8", level: 1, kind: Deterministic,
        summary: "A subscription keeps its store open, also once every handle on it was dropped.",
        likely_cause: "the subscription borrows a pool that its handle closes on drop",
    }
    rewound_log_ends_it {
        guarantee: "G5", level: 1, kind: Deterministic,
        hooks: [Rewind],
        summary: "A running subscription whose log was put back below its place, or is another one, ends with a wrong history.",
        likely_cause: "waits for ever for positions above the one it holds, or begins anew without a word",
    }
}

/// Sees to it that nothing is given any more.
async fn gives_nothing(session: &mut Session, when: &str) -> Verdict {
    for _ in 0..3 {
        let answer = session.tail().answer().await?;
        ensure!(answer.is_none(), "{when} the subscription gave {answer:?}");
    }
    Ok(())
}

async fn stop_ends(cx: Cx) -> Verdict {
    let log = cx.append_medley(12).await?;
    for signals in [0, 1, 5, log.len(), log.len() + 1] {
        let subscribe = Subscribe::to(Query::all()).page_size(4);
        let mut session = Session::begin(&cx, subscribe, Position::START).await?;
        for _ in 0..signals {
            session.signal().await?;
        }
        session.tail().stop().await?;
        gives_nothing(&mut session, &format!("after `stop`, which came after {signals} signals")).await?;
        session.tail().stop().await?;
        cx.append_any("Order-9", 1).await?;
        gives_nothing(&mut session, "after a second `stop` and one more event").await?;
    }
    Ok(())
}

async fn stop_while_idle(cx: Cx) -> Verdict {
    for turns in [0, 1, 4] {
        cx.append_any("Order-1", 1).await?;
        let mut session =
            Session::begin(&cx, Subscribe::to(Query::all()).from_now(), cx.head().await?).await?;
        session.until_caught_up().await?;
        // Progress up to the head may come still.
        while session.look(turns).await? {}
        session.tail().stop().await?;
        gives_nothing(&mut session, "after `stop` on an idle log").await?;
    }
    Ok(())
}

async fn stop_under_load(cx: Cx) -> Verdict {
    const ROUNDS: usize = 20;
    cx.minimum_ops(ROUNDS);
    let fresh = cx.fresh().await?;
    let writing = cx.spawn(async move {
        for _ in 0..100 {
            fresh.append_any("Order-1", 5).await?;
            tokio::task::yield_now().await;
        }
        Verdict::Ok(())
    });
    for i in 0..ROUNDS {
        let subscribe = Subscribe::to(Query::all()).page_size(8);
        let mut session = Session::begin(&cx, subscribe, Position::START).await?;
        session.until_events(1 + i).await?;
        session.tail().stop().await?;
        gives_nothing(&mut session, "after `stop` while another handle writes").await?;
        cx.count_op();
    }
    writing.join().await?
}

async fn drop_releases(cx: Cx) -> Verdict {
    let log = cx.append_medley(5).await?;
    let again = async {
        for i in 0..300 {
            let mut session = Session::after(&cx, &Query::all(), Position::START).await?;
            for _ in 0..i % 3 {
                session.signal().await?;
            }
        }
        let mut session = Session::after(&cx, &Query::all(), Position::START).await?;
        session.until(last(&log)).await?;
        session.is_of(&log, "what came after three hundred dropped subscriptions")
    };
    cx.within("one more than three hundred subscriptions, one after another,", again).await??;
    cx.works("Order-9").await?;
    Ok(())
}

async fn close_ends_with_closed(cx: Cx) -> Verdict {
    cx.append_medley(30).await?;
    // One that has not looked, one in the middle of a page, one that waits.
    for signals in [0, 2] {
        let handle = cx.fresh().await?;
        let mut session =
            Session::begin(&handle, Subscribe::to(Query::all()).page_size(5), Position::START).await?;
        for _ in 0..signals {
            session.signal().await?;
        }
        handle.close().await?;
        expect::closed::<()>(Err(session.tail().end().await?))?;
        gives_nothing(&mut session, "after the error").await?;
    }
    let handle = cx.fresh().await?;
    let mut session = Session::after(&handle, &Query::all(), Position::START).await?;
    session.until_caught_up().await?;
    let closing = cx.spawn(async move {
        tokio::task::yield_now().await;
        handle.close().await
    });
    expect::closed::<()>(Err(session.tail().end().await?))?;
    closing.join().await??;
    gives_nothing(&mut session, "after the error").await
}

async fn other_handle_closed(cx: Cx) -> Verdict {
    let other = cx.fresh().await?;
    cx.append_medley(6).await?;
    let mut session = Session::after(&cx, &Query::all(), Position::START).await?;
    let mut there = Session::after(&other, &Query::all(), Position::START).await?;
    session.until_caught_up().await?;
    there.until_caught_up().await?;
    other.close().await?;
    cx.append_any("Order-1", 2).await?;
    session.until_events(8).await?;
    session.is_of(&cx.read_log().await?, "what came although another handle was closed")
}

async fn outlives_its_handle(cx: Cx) -> Verdict {
    cx.append_medley(6).await?;
    let handle = cx.fresh().await?;
    let subscribe = Subscribe::to(Query::all()).page_size(2);
    let mut session = Session::begin(&handle, subscribe, Position::START).await?;
    session.until_events(3).await?;
    cx.let_go(handle);
    session.until_events(6).await?;
    cx.append_any("Order-1", 2).await?;
    session.until_events(8).await?;
    session.is_of(&cx.read_log().await?, "what came although the handle was dropped")
}

async fn rewound_log_ends_it(cx: Cx) -> Verdict {
    let log = cx.append_medley(8).await?;
    for rewind in [Rewind::To(log[3].position()), Rewind::AnotherLog] {
        let begin = cx.fresh().await?.head().await?;
        let mut session = Session::after(&cx.fresh().await?, &Query::all(), Position::START).await?;
        session.until(begin).await?;
        cx.rewind(rewind).await?;
        expect::wrong_history::<()>(Err(session.tail().end().await?))?;
        gives_nothing(&mut session, "after the error").await?;
    }
    Ok(())
}
