//! Futures dropped at random, and many operations at once.

use std::time::Duration;

use annalist_core::{Append, ExpectedVersion, NewEvent, Position, Query, Read, Subscribe};
use rand::Rng;
use rand::rngs::StdRng;

use super::next_is_real;
use crate::history::{Recorder, Session};
use crate::{Cx, PollLimit, Verdict, checks, ensure_eq, event, stream};

checks! {
    area: "res",
    cancel_load {
        guarantee: "C1", level: 2, kind: Stochastic,
        summary: "While appends and reads of many are dropped at random points, all answers can be explained by one log.",
        likely_cause: "whatever a dropped future leaves half done, met by the next operation on the same handle",
    }
    timeout_wrap {
        guarantee: "C1", level: 2, kind: Stochastic,
        summary: "Appends within short timeouts are there wholly or not at all, and what is acknowledged stays.",
        likely_cause: "a timeout around a future that is not safe to drop",
    }
    pool_exhaustion {
        guarantee: "C2", level: 2, kind: Stochastic,
        summary: "Many times more operations at once than any pool has connections all finish.",
        likely_cause: "an operation that takes a second connection while it holds the first",
    }
    subs_vs_pool {
        guarantee: "C2", level: 2, kind: Stochastic,
        summary: "Many idle subscriptions keep no append and no read waiting, and each gets what comes.",
        likely_cause: "a pooled connection for each subscription",
    }
}

/// One of the shapes of an append, on few streams, so that appends meet.
fn random_append(rng: &mut StdRng, name: &str) -> Append {
    let streams = ["Order-1", "Order-2", "Cart-1"].map(stream);
    let made = |rng: &mut StdRng| -> Vec<NewEvent> {
        let made = |_| event("Made", name.to_owned());
        (0..rng.random_range(1..4)).map(made).collect()
    };
    let (first, second) = (rng.random_range(0..3), rng.random_range(1..3));
    let other = &streams[(first + second) % 3];
    let append = Append::to(&streams[first], ExpectedVersion::Any, made(rng));
    match rng.random_range(0..4) {
        0 => append.write(other, ExpectedVersion::Any, made(rng)),
        1 => append.check(other, ExpectedVersion::Exists),
        2 => append.condition(Query::types(["Never"]), Position::START),
        _ => append,
    }
}

async fn drops_at_random(session: Session, mut rng: StdRng, steps: usize) -> Verdict {
    for step in 0..steps {
        // One in four is left alone, so that something is acknowledged.
        let polls = if rng.random_ratio(1, 4) { usize::MAX } else { rng.random_range(0..6) };
        if rng.random_ratio(1, 4) {
            let read = Read::log(Query::all()).page_size(rng.random_range(1..50));
            if let Some(read) = PollLimit::new(polls, session.read(read)).await {
                read?;
            }
        } else {
            let append = random_append(&mut rng, &format!("step {step}"));
            // A refusal is an answer as good as any; the history tells whether it was right.
            drop(PollLimit::new(polls, session.append(append)).await);
        }
    }
    Ok(())
}

async fn cancel_load(cx: Cx) -> Verdict {
    const CLIENTS: usize = 6;
    let steps = cx.scale(40);
    cx.minimum_ops(CLIENTS * steps);
    let recorder = Recorder::new();
    let handles = cx.handles(3).await?;
    let client = |i: usize| drops_at_random(recorder.session(&handles[i % handles.len()]), cx.rng(), steps);
    let clients = cx.at_once(CLIENTS, client);
    for done in cx.within("clients that drop their futures", clients).await?? {
        done?;
        cx.count_ops(steps);
    }
    for handle in &handles {
        next_is_real(&cx, handle, "after futures dropped under load").await?;
    }
    // The proofs that each handle works were not recorded: the log as of before them is what the history explains.
    judge_without(&cx, &recorder, "After-1").await
}

/// Holds a history against the log without the events of a stream that was written beside it.
async fn judge_without(cx: &Cx, recorder: &Recorder, beside: &str) -> Verdict {
    let beside = stream(beside);
    let mut history = recorder.history(&cx.fresh().await?).await?;
    history.log.retain(|event| event.stream != beside);
    history.check().map_err(crate::Failure::Violated)
}

async fn timeout_wrap(cx: Cx) -> Verdict {
    const CLIENTS: usize = 4;
    let rounds = cx.scale(25);
    cx.minimum_ops(CLIENTS * rounds);
    let recorder = Recorder::new();
    let handles = cx.handles(2).await?;
    let client = |i: usize| {
        let (session, mut rng) = (recorder.session(&handles[i % 2]), cx.rng());
        async move {
            for round in 0..rounds {
                let append = random_append(&mut rng, &format!("round {round}"));
                let timeout = Duration::from_micros(rng.random_range(0..4_000));
                drop(tokio::time::timeout(timeout, session.append(append)).await);
            }
        }
    };
    cx.within("clients with short timeouts", cx.at_once(CLIENTS, client)).await??;
    cx.count_ops(CLIENTS * rounds);
    for handle in &handles {
        next_is_real(&cx, handle, "after short timeouts").await?;
    }
    judge_without(&cx, &recorder, "After-1").await
}

async fn pool_exhaustion(cx: Cx) -> Verdict {
    let callers = cx.scale(200);
    cx.minimum_ops(callers);
    let handle = cx.fresh().await?;
    let task = |i: usize| {
        let handle = handle.clone();
        async move {
            let name = format!("Order-{}", i % 20);
            handle.append_any(&name, 1).await?;
            handle.read(Read::stream(&stream(&name))).await?;
            let append = Append::new().check(&stream(&name), ExpectedVersion::Exists);
            handle.append(append.write(&stream(&format!("Other-{i}")), ExpectedVersion::NoStream, [])).await
        }
    };
    for answer in cx.within("many operations at once on one handle", cx.at_once(callers, task)).await?? {
        answer?;
        cx.count_op();
    }
    ensure_eq!(cx.read_log().await?.len(), callers, "events of as many appends at once");
    Ok(())
}

async fn subs_vs_pool(cx: Cx) -> Verdict {
    let count = cx.scale(60);
    cx.minimum_ops(count);
    let handle = cx.fresh().await?;
    let mut tails = Vec::new();
    for _ in 0..count {
        let tail = cx.within("one of many subscriptions", handle.tail(Subscribe::to(Query::all()))).await??;
        tails.push(tail);
    }
    let waiting = tails.into_iter().map(|mut tail| {
        cx.spawn(async move {
            // It may be caught up late, and with some of what is appended meanwhile.
            let (caught_up_with, _) = tail.until_caught_up().await?;
            Ok::<_, crate::Failure>(tail.take(2_usize.saturating_sub(caught_up_with.len())).await?.len())
        })
    });
    let waiting: Vec<_> = waiting.collect();
    tokio::task::yield_now().await;
    let first = handle.append_any("Order-1", 1);
    cx.within("an append beside many subscriptions", first).await??;
    cx.within("a read beside many subscriptions", handle.read_log()).await??;
    cx.append_any("Order-1", 1).await?;
    for task in waiting {
        // Those that began late may have caught up over the first event: what comes next is the fence.
        cx.append_any("Order-2", 1).await?;
        cx.append_any("Order-2", 1).await?;
        cx.within("what a subscription must get", task.join()).await???;
        cx.count_op();
    }
    Ok(())
}
