//! Closing and dropping with work under way.

use std::sync::Arc;

use annalist_core::{Append, Error, ErrorKind, EventStore, ExpectedVersion, Position, Receipt};

use super::next_is_real;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, exact, expect, stream};

checks! {
    area: "res",
    close_flushes {
        guarantee: "C2", level: 2, kind: Stochastic,
        summary: "Whatever is under way when a handle is closed gets a true answer, and nothing is written after `close` has returned.",
        likely_cause: "a queue that is dropped with its appends; a write that goes on in the background",
    }
    close_wakes_waiters {
        guarantee: "C2", level: 1, kind: Deterministic,
        summary: "Closing wakes whoever waits for more, with `Closed`.",
        likely_cause: "waiters woken by appends alone",
    }
    drop_without_close {
        guarantee: "C2", level: 1, kind: Deterministic,
        summary: "A handle that is dropped without being closed has lost nothing that it acknowledged, and holds up no other.",
        likely_cause: "writing behind, which is flushed by `close` alone",
    }
    open_often {
        guarantee: "C2", level: 1, kind: Deterministic,
        summary: "Handles can be opened, used, closed and dropped a hundred times over.",
        likely_cause: "connections, locks or slots that nobody gives back",
    }
}

async fn close_flushes(cx: Cx) -> Verdict {
    const CALLERS: usize = 20;
    let rounds = cx.scale(5);
    cx.minimum_ops(rounds * CALLERS);
    for round in 0..rounds {
        let handle = cx.fresh().await?;
        let append = |i: usize| Append::to(&stream(&format!("Order-{round}-{i}")), exact(0), events(2));
        let appends: Vec<_> = (0..=CALLERS).map(append).collect();
        let task = |i: usize| {
            let (handle, append) = (handle.clone(), appends[i].clone());
            async move {
                if i < CALLERS {
                    return handle.append(append).await;
                }
                tokio::task::yield_now().await;
                handle.close().await?;
                Err(ErrorKind::Closed.into())
            }
        };
        let answers = cx.within("appends and a close", cx.at_once(CALLERS + 1, task)).await??;
        let after = cx.read_log().await?;
        for (i, answer) in answers.iter().take(CALLERS).enumerate() {
            settled(&cx, i, &appends[i], answer).await?;
            cx.count_op();
        }
        ensure_eq!(cx.read_log().await?.len(), after.len(), "events some time after the handle was closed");
    }
    Ok(())
}

/// An append that was sent beside a close is there, or was refused and is not.
async fn settled(cx: &Cx, i: usize, append: &Append, answer: &Result<Receipt, Error>) -> Verdict {
    let found = cx.read_stream(&append.writes()[0].stream).await?.len();
    match answer.as_ref().map_err(Error::kind) {
        Ok(_) => ensure_eq!(found, 2, "events of append {i}, which was acknowledged beside a close"),
        Err(ErrorKind::Closed | ErrorKind::Unavailable(_)) => {
            ensure_eq!(found, 0, "events of append {i}, which was refused beside a close");
        }
        Err(ErrorKind::Indeterminate(_)) => {
            ensure!(found == 0 || found == 2, "{found} of the two events of append {i} are there");
        }
        Err(kind) => {
            return Err(crate::Failure::violation(format!("append {i} beside a close is answered {kind:?}")));
        }
    }
    Ok(())
}

async fn close_wakes_waiters(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 1).await?;
    for _ in 0..5 {
        let (handle, head) = (cx.fresh().await?, cx.head().await?);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let store = handle.store().clone();
                cx.spawn(wait_for_the_end(store, head))
            })
            .collect();
        tokio::task::yield_now().await;
        handle.close().await?;
        for waiter in waiters {
            expect::closed(cx.within("a wait on a handle that is closed", waiter.join()).await??)?;
        }
    }
    Ok(())
}

/// Waits through all wake-ups, which may come without a reason.
async fn wait_for_the_end(store: Arc<dyn EventStore>, after: Position) -> Result<(), Error> {
    loop {
        store.wait_for_more(after).await?;
    }
}

async fn drop_without_close(cx: Cx) -> Verdict {
    for n in 0..20 {
        let handle = cx.fresh_to_drop().await?;
        let proof = handle.works("Order-1").await?;
        let last = events(1);
        handle.append_to(&stream("Order-2"), ExpectedVersion::Any, last.clone()).await?;
        drop(handle);
        let log = cx.fresh().await?.read_log().await?;
        for event in [&proof, &last[0]] {
            ensure!(
                log.iter().any(|found| found.id() == event.id()),
                "handle {n} was dropped, and an acknowledged append is lost"
            );
        }
    }
    next_is_real(&cx, &cx, "after handles were dropped").await
}

async fn open_often(cx: Cx) -> Verdict {
    for n in 0..100 {
        let handle = cx.within(&format!("opening handle {n}"), cx.fresh_to_drop()).await??;
        cx.within(&format!("an append through handle {n}"), handle.append_any("Order-1", 1)).await??;
        if n % 2 == 0 {
            cx.within(&format!("closing handle {n}"), handle.close()).await??;
        }
    }
    ensure_eq!(cx.version(&stream("Order-1")).await?.get(), 100, "the version after a hundred handles");
    Ok(())
}
