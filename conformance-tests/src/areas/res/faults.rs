//! Deadlines, full queues and dropped appends while the way to the log is broken.

use std::time::Duration;

use annalist_core::{Append, Error, ErrorKind, ExpectedVersion, Receipt};

use crate::{
    Cx, Fault, Task, Verdict, checks, ensure, ensure_eq, event, events, exact, same_as_appended, stream,
};

checks! {
    area: "res",
    deadline {
        guarantee: "C2", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "While nothing gets through, every append answers by its deadline: `Unavailable` if it is certainly absent, else `Indeterminate`.",
        likely_cause: "a driver's call that ignores the timeout; a timeout that is told as \"not written\"",
    }
    full_queue_waits {
        guarantee: "C2", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "More appends than fit a queue wait for their place, and all of them get in once the way is free.",
        likely_cause: "`try_send`, by which a full queue refuses at once",
    }
    withdrawn_append_is_absent {
        guarantee: "C1", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "An append that is dropped before it was sent is certainly absent, and its id is free.",
        likely_cause: "a queue whose entries outlive their callers",
    }
    in_flight_append_completes {
        guarantee: "C1", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "An append that is dropped in flight completes in the background, wholly, and takes no mate with it.",
        likely_cause: "the caller whose future sends the batch for all, and is dropped",
    }
    close_waits_for_what_is_in_flight {
        guarantee: "C2", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "`close` returns after what was under way has its answer.",
        likely_cause: "a task that is aborted by `close`",
    }
}

type Answer = Result<Receipt, Error>;

/// Sends an append beside the check.
pub(in crate::areas) fn send(cx: &Cx, append: Append) -> Task<Answer> {
    let cx_of_task = cx.clone();
    cx.spawn(async move { cx_of_task.append(append).await })
}

/// Stalls the way, and sends an append that is held on it. What it wrote is in the stream `First-1`.
pub(in crate::areas) async fn first_held(cx: &Cx) -> Verdict<(Append, Task<Answer>)> {
    cx.fault(Fault::Stall).await?;
    let append = Append::to(&stream("First-1"), exact(0), events(2));
    let task = send(cx, append.clone());
    until_held(cx, &append).await?;
    Ok((append, task))
}

async fn until_held(cx: &Cx, append: &Append) -> Verdict {
    let id = append.writes()[0].events[0].id();
    let held = async {
        while !cx.held().await?.contains(&id) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    };
    cx.within("an append that is to be held up on its way", held).await?
}

/// Whether an answer by the deadline leaves it open what became of the append; certainly absent is `false`.
fn is_open(answer: Answer) -> Verdict<bool> {
    let error = crate::expect::error(answer)?;
    match error.kind() {
        ErrorKind::Indeterminate(_) => Ok(true),
        ErrorKind::Unavailable(_) => Ok(false),
        _ => Err(crate::Failure::violation(format!("while nothing gets through it is answered {error:?}"))),
    }
}

async fn deadline(cx: Cx) -> Verdict {
    cx.fault(Fault::Stall).await?;
    let append = |n: u64| {
        let append = Append::to(&stream(&format!("Order-{n}")), exact(0), events(2));
        append.timeout(Duration::from_millis(50 + 10 * n))
    };
    let tasks: Vec<_> =
        (0..6).map(|n| (append(n), n)).map(|(append, n)| (n, append.clone(), send(&cx, append))).collect();
    let mut open = Vec::new();
    for (n, append, task) in tasks {
        let answer =
            cx.within(&format!("the answer to append {n}, long after its deadline"), task.join()).await??;
        open.push((n, append, is_open(answer)?));
    }
    cx.fault(Fault::None).await?;
    cx.works("After-1").await?;
    for (n, append, is_open) in open {
        let found = cx.fresh().await?.read_stream(&append.writes()[0].stream).await?.len();
        let possible = if is_open { found == 0 || found == 2 } else { found == 0 };
        ensure!(possible, "append {n} left {found} of two events, and was told to be open: {is_open}");
        cx.append(append.clone().timeout(cx.patience())).await?;
        let found = cx.read_stream(&append.writes()[0].stream).await?;
        same_as_appended(&found, &append.writes()[0].events, "an append that was sent again")?;
    }
    Ok(())
}

async fn full_queue_waits(cx: Cx) -> Verdict {
    let count = cx.scale(4_500);
    let (_, first) = first_held(&cx).await?;
    let append =
        |n: usize| Append::to(&stream(&format!("Order-{}", n % 50)), ExpectedVersion::Any, [event("E", "")]);
    let tasks: Vec<_> = (0..count).map(|n| send(&cx, append(n))).collect();
    // All of them have been polled once this is over, and none can have been answered but by a refusal.
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    cx.fault(Fault::None).await?;
    cx.within("the append that was held up", first.join()).await???;
    for (n, task) in tasks.into_iter().enumerate() {
        let answer = cx.within("an append of a full queue", task.join()).await??;
        ensure!(
            answer.is_ok(),
            "append {n} of {count} is answered {answer:?} instead of waiting for a place"
        );
    }
    let found = cx.fresh().await?.read_log().await?.len();
    ensure_eq!(found, count + 2, "events of all appends that were acknowledged");
    Ok(())
}

async fn withdrawn_append_is_absent(cx: Cx) -> Verdict {
    let (_, first) = first_held(&cx).await?;
    let append = |n: usize| Append::to(&stream(&format!("Order-{n}")), exact(0), events(2));
    let withdrawn: Vec<_> = (0..10).map(append).collect();
    let mut waiting = Vec::new();
    for append in &withdrawn {
        let mut future = Box::pin(cx.append(append.clone()));
        let polled = futures::poll!(&mut future);
        ensure!(polled.is_pending(), "an append is answered {polled:?} while nothing gets through");
        waiting.push(future);
    }
    // Whatever takes the appends on has had its chance; what was not sent by now is still the store's own.
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    let held = cx.held().await?;
    drop(waiting);
    cx.fault(Fault::None).await?;
    cx.within("the append that was held up", first.join()).await???;
    for _ in 0..3 {
        cx.works("After-1").await?;
    }
    for append in withdrawn {
        let (order, given) = (&append.writes()[0].stream, &append.writes()[0].events);
        let found = cx.fresh().await?.read_stream(order).await?;
        if held.contains(&given[0].id()) {
            ensure!(
                found.is_empty() || found.len() == 2,
                "{} of two events of a dropped append are there",
                found.len()
            );
        } else {
            ensure!(
                found.is_empty(),
                "an append that was dropped before it was sent left {} events",
                found.len()
            );
        }
        let receipt = cx.append(append.clone()).await?;
        ensure!(
            found.is_empty() != receipt.already_committed(),
            "with {} events there, a retry is told {receipt:?}",
            found.len()
        );
        same_as_appended(&cx.read_stream(order).await?, given, "a dropped append that was sent again")?;
    }
    Ok(())
}

async fn in_flight_append_completes(cx: Cx) -> Verdict {
    let (append, first) = first_held(&cx).await?;
    let mates: Vec<_> =
        (0..5).map(|n| send(&cx, Append::to(&stream(&format!("Mate-{n}")), exact(0), events(1)))).collect();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    first.abort();
    while !first.is_finished() {
        tokio::task::yield_now().await;
    }
    cx.fault(Fault::None).await?;
    for mate in mates {
        cx.within("an append beside one that was dropped in flight", mate.join()).await???;
    }
    let completes = async {
        loop {
            let found = cx.read_stream(&stream("First-1")).await?;
            if !found.is_empty() {
                return same_as_appended(&found, &append.writes()[0].events, "an append dropped in flight");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    cx.within("the background completion of an append dropped in flight", completes).await??;
    let again = cx.append(append).await?;
    ensure!(again.already_committed(), "it completed, and a retry is told {again:?}");
    ensure_eq!(cx.fresh().await?.read_log().await?.len(), 7, "events of it and its mates");
    Ok(())
}

async fn close_waits_for_what_is_in_flight(cx: Cx) -> Verdict {
    let handle = cx.fresh().await?;
    cx.fault(Fault::Stall).await?;
    let send = |n: usize| {
        let (handle, append) =
            (handle.clone(), Append::to(&stream(&format!("Order-{n}")), exact(0), events(2)));
        let task_append = append.clone();
        (append, cx.spawn(async move { handle.append(task_append).await }))
    };
    let first = send(0);
    until_held(&cx, &first.0).await?;
    let mut tasks = vec![first];
    tasks.extend((1..5).map(send));
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let closing = handle.clone();
    let closing = cx.spawn(async move { closing.close().await });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    ensure!(!closing.is_finished(), "`close` returned while an append was held up on its way");
    cx.fault(Fault::None).await?;
    cx.within("closing", closing.join()).await???;
    for (n, (append, task)) in tasks.into_iter().enumerate() {
        let answer = cx.within("the answer to an append beside a close", task.join()).await??;
        let found = cx.fresh().await?.read_stream(&append.writes()[0].stream).await?;
        match answer {
            // All but the first may have come after the close.
            Err(error) if n > 0 && *error.kind() == ErrorKind::Closed => {
                ensure!(
                    found.is_empty(),
                    "append {n} is answered {error:?}, and left {} events",
                    found.len()
                );
            }
            answer => {
                let what = format!("an append with the receipt {:?}", answer?);
                same_as_appended(&found, &append.writes()[0].events, &what)?;
            }
        }
    }
    Ok(())
}
