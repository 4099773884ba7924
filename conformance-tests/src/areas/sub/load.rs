//! Subscriptions while many write.

use std::sync::{Arc, OnceLock};

use annalist_core::{
    Append, ErrorKind, ExpectedVersion, Position, Query, QueryItem, Snapshot, Subscribe, Version,
};

use super::session::{Session, last, yields};
use crate::{Cx, Handle, Task, Verdict, checks, ensure, events, exact, query_medley, schema, stream};

checks! {
    area: "sub",
    handover_load {
        guarantee: "S1", level: 2, kind: Stochastic,
        summary: "From catching up to live, while a writer never stops, no event is left out and none comes twice.",
        likely_cause: "the place between the last page and the first notification belongs to neither",
    }
    complete {
        guarantee: "S1", level: 2, kind: Stochastic,
        summary: "With eight writers, conflicts, big and small appends and snapshots, a subscription delivers the log.",
        likely_cause: "live events are published in the order in which their writers come to it",
    }
    from_now_load {
        guarantee: "S3", level: 2, kind: Stochastic,
        summary: "A subscription from now on, begun while others write, has everything from one place in the log on.",
        likely_cause: "the head is asked for, and the feed opened afterwards",
    }
    filter_equivalence {
        guarantee: "R6", level: 2, kind: Stochastic,
        summary: "Filtered subscriptions deliver under load what filtering afterwards gives, and never tell a position too early.",
        likely_cause: "progress tells the head of a later moment than that of the page",
    }
    two_same_sequence {
        guarantee: "S1", level: 2, kind: Stochastic,
        summary: "Two subscriptions of two handles deliver the same sequence.",
        likely_cause: "subscriptions compete for the events of one queue",
    }
    fifty {
        guarantee: "S6", level: 2, kind: Stochastic,
        summary: "Fifty subscriptions at once deliver everything.",
        likely_cause: "each holds a connection of the pool",
    }
}

/// Appends `appends` times one to `size_max` events to a few streams of its own, and leaves others room between.
async fn write(handle: Handle, name: usize, appends: usize, size_max: usize) -> Verdict {
    for i in 0..appends {
        let streams = [stream(&format!("Order-{name}")), stream(&format!("Cart-{name}"))];
        let append = Append::to(&streams[i % 2], ExpectedVersion::Any, events(1 + i % size_max));
        let append = if i % 5 == 0 {
            append.write(&streams[(i + 1) % 2], ExpectedVersion::Any, events(2))
        } else {
            append
        };
        handle.append(append).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn writers(cx: &Cx, handles: &[Handle], appends: usize, size_max: usize) -> Vec<Task<Verdict>> {
    let begin = |(i, handle): (usize, &Handle)| cx.spawn(write(handle.clone(), i, appends, size_max));
    handles.iter().enumerate().map(begin).collect()
}

async fn done(writers: Vec<Task<Verdict>>) -> Verdict {
    for writer in writers {
        writer.join().await??;
    }
    Ok(())
}

async fn handover_load(cx: Cx) -> Verdict {
    const ROUNDS: usize = 12;
    let handles = cx.handles(3).await?;
    let rounds = cx.scale(ROUNDS);
    cx.minimum_ops(rounds);
    for round in 0..rounds {
        let begin = cx.head().await?;
        let subscribe = Subscribe::to(Query::all()).after(begin).page_size([1, 7, 1_000][round % 3]);
        let writing = writers(&cx, &handles, 20, 3);
        // Some of it is there to catch up with.
        let noticed = async {
            while cx.head().await? == begin {
                yields(1).await;
            }
            Verdict::Ok(())
        };
        cx.within("seeing the appends of another handle", noticed).await??;
        let mut session = Session::begin(&cx, subscribe, begin).await?;
        // The writers go on between `subscribe` and the first look.
        yields(round % 4).await;
        session.until_caught_up().await?;
        done(writing).await?;
        let log = cx.read_log().await?;
        session.until(last(&log)).await?;
        session.is_of(&log, &format!("what came in round {round} while three wrote"))?;
        cx.count_op();
    }
    Ok(())
}

async fn complete(cx: Cx) -> Verdict {
    const ROUNDS: usize = 4;
    let handles = cx.handles(8).await?;
    let rounds = cx.scale(ROUNDS);
    cx.minimum_ops(rounds);
    for round in 0..rounds {
        let begin = cx.head().await?;
        let mut session = Session::after(&cx, &Query::all(), begin).await?;
        let contending: Vec<_> =
            (handles.iter().enumerate()).map(|(i, handle)| cx.spawn(contend(handle.clone(), i))).collect();
        let writing = writers(&cx, &handles, 20, 40);
        done(writing).await?;
        done(contending).await?;
        let log = cx.read_log().await?;
        session.until(last(&log)).await?;
        session.is_of(&log, &format!("what came in round {round} while eight wrote"))?;
        cx.count_op();
    }
    Ok(())
}

/// Writes a stream that all write, with expectations that often do not hold, and snapshots between.
async fn contend(handle: Handle, i: usize) -> Verdict {
    let (shared, schema) = (stream("Shared-1"), schema("shared/1"));
    for n in 0..10 {
        let version = handle.version(&shared).await?;
        tokio::task::yield_now().await;
        match handle.append_to(&shared, exact(version.get()), events(1 + n % 3)).await {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let snapshot = Snapshot::new(&shared, &schema, Version::new(i as u64 + 1), "{}");
        handle.snapshots().save_snapshot(snapshot).await?;
    }
    Ok(())
}

async fn from_now_load(cx: Cx) -> Verdict {
    const ROUNDS: usize = 15;
    let handles = cx.handles(3).await?;
    let rounds = cx.scale(ROUNDS);
    cx.minimum_ops(rounds);
    for round in 0..rounds {
        let writing = writers(&cx, &handles, 15, 3);
        tokio::task::yield_now().await;
        let before = cx.head().await?;
        let subscribe = Subscribe::to(Query::all()).from_now();
        let mut session = Session::begin(&cx, subscribe, before).await?;
        let after = cx.head().await?;
        done(writing).await?;
        cx.append_any("Order-9", 1).await?;
        let log = cx.read_log().await?;
        session.until(last(&log)).await?;
        // It begins somewhere between the two heads, and has all from there on.
        let came = &session.events;
        let first = came[0].position();
        let expected: Vec<_> = log.iter().filter(|event| event.position() >= first).cloned().collect();
        crate::same_events(came, &expected, &format!("what came from {first} on, round {round}"))?;
        let next_after = log.iter().map(|event| event.position()).find(|position| *position > after);
        let latest = next_after.unwrap_or(first);
        ensure!(
            first <= latest,
            "the first event is at {first}, but {latest} came after `subscribe` returned"
        );
        cx.count_op();
    }
    Ok(())
}

async fn filter_equivalence(cx: Cx) -> Verdict {
    const ROUNDS: usize = 3;
    let handles = cx.handles(4).await?;
    let mut queries: Vec<Query> = query_medley().into_iter().map(|(_, query)| query).collect();
    queries.push(QueryItem::new().category("Order").types(["Happened"]).into());
    queries.push(Query::stream("Cart-0"));
    let rounds = cx.scale(ROUNDS);
    cx.minimum_ops(rounds * queries.len());
    for round in 0..rounds {
        let begin = cx.head().await?;
        let writing = writers(&cx, &handles, 25, 4);
        let (end, mut following) = (Arc::new(OnceLock::<Position>::new()), Vec::new());
        for query in &queries {
            let subscribe = Subscribe::to(query.clone()).after(begin).page_size(5);
            let mut session = Session::begin(&cx, subscribe, begin).await?;
            let end = end.clone();
            following.push(cx.spawn(async move {
                while end.get().is_none_or(|end| session.reached < *end) {
                    session.signal().await?;
                }
                Verdict::Ok(session)
            }));
        }
        done(writing).await?;
        let log = cx.append_medley(6).await?;
        end.get_or_init(|| last(&log));
        // Those that have come to the end already look whether they have once more signals come.
        let log = cx.append_medley(6).await?;
        for (query, following) in queries.iter().zip(following) {
            let mut session = following.join().await??;
            session.is_of(&log, &format!("what came for {query:?} in round {round}"))?;
            cx.count_op();
        }
    }
    Ok(())
}

async fn two_same_sequence(cx: Cx) -> Verdict {
    const ROUNDS: usize = 5;
    let handles = cx.handles(3).await?;
    let rounds = cx.scale(ROUNDS);
    cx.minimum_ops(rounds);
    for round in 0..rounds {
        let begin = cx.head().await?;
        let mut one = Session::after(&handles[1], &Query::all(), begin).await?;
        let mut two = Session::after(&handles[2], &Query::all(), begin).await?;
        let writing = writers(&cx, &handles, 15, 3);
        let count = 30;
        let (first, second) = tokio::join!(one.until_events(count), two.until_events(count));
        first?;
        second?;
        done(writing).await?;
        let log = cx.read_log().await?;
        one.until(last(&log)).await?;
        two.until(last(&log)).await?;
        crate::same_events(&one.events, &two.events, &format!("the two sequences of round {round}"))?;
        one.is_of(&log, "the one sequence")?;
        cx.count_op();
    }
    Ok(())
}

async fn fifty(cx: Cx) -> Verdict {
    const SUBSCRIPTIONS: usize = 50;
    let handles = cx.handles(3).await?;
    cx.minimum_ops(SUBSCRIPTIONS);
    let begun = async {
        let mut sessions = Vec::new();
        for i in 0..SUBSCRIPTIONS {
            sessions.push(Session::after(&handles[i % 3], &Query::all(), Position::START).await?);
        }
        Verdict::Ok(sessions)
    };
    let sessions = cx.within("beginning fifty subscriptions", begun).await??;
    let writing = writers(&cx, &handles, 8, 3);
    let following: Vec<_> = sessions
        .into_iter()
        .map(|mut session| {
            cx.spawn(async move {
                session.until_events(20).await?;
                Verdict::Ok(session)
            })
        })
        .collect();
    cx.within("writing beside fifty subscriptions", done(writing)).await??;
    let log = cx.read_log().await?;
    for (i, following) in following.into_iter().enumerate() {
        let mut session = following.join().await??;
        session.until(last(&log)).await?;
        session.is_of(&log, &format!("what came to subscription {i} of fifty"))?;
        cx.count_op();
    }
    Ok(())
}
