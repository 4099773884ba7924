//! Runtimes of the check's own: of one thread, and one whose tasks can be counted.

use annalist_core::{Position, Query, Snapshot, Subscribe, Version};
use tokio::runtime::Runtime;

use crate::{
    Cx, Failure, Handle, Verdict, checkpoint, checks, ensure, ensure_eq, events, exact, expect, schema,
    stream,
};

checks! {
    area: "res",
    current_thread {
        guarantee: "E3", level: 1, kind: Deterministic,
        summary: "Everything works on a runtime of one thread.",
        likely_cause: "`block_in_place`, or waiting for a task by blocking the thread that must run it",
    }
    no_task_leak {
        guarantee: "C2", level: 1, kind: Deterministic,
        summary: "After a handle was closed and dropped, none of its tasks is left; nor after it was dropped alone.",
        likely_cause: "a detached task, which nothing ends",
    }
}

/// Runs a part of the check on a runtime of one thread, on a thread of its own. What is opened in it must also be dropped in it.
async fn on_one_thread<F>(cx: &Cx, part: impl FnOnce(Cx) -> F + Send + 'static) -> Verdict
where
    F: Future<Output = Verdict> + Send + 'static,
{
    let (sender, verdict) = tokio::sync::oneshot::channel();
    let part_cx = cx.clone();
    std::thread::spawn(move || {
        let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let verdict = built.map_err(|error| Failure::violation(format!("no runtime: {error}")));
        let run = |runtime: Runtime| {
            let verdict = runtime.block_on(async { part_cx.spawn(part(part_cx.clone())).join().await });
            // A task that is stuck must not keep the check.
            runtime.shutdown_background();
            verdict?
        };
        drop(sender.send(verdict.and_then(run)));
    });
    let verdict = cx.within("a check on a runtime of one thread", verdict).await?;
    verdict.unwrap_or_else(|_| Err(Failure::violation("the thread of the runtime ended early")))
}

async fn current_thread(cx: Cx) -> Verdict {
    on_one_thread(&cx, |cx| async move {
        let handle = cx.fresh_to_drop().await?;
        everything(&handle).await?;
        handle.close().await?;
        Ok(())
    })
    .await?;
    ensure_eq!(cx.read_log().await?.len(), 6, "events of a runtime of one thread");
    Ok(())
}

/// A little of all that a handle can do: six events.
async fn everything(handle: &Handle) -> Verdict {
    let (order, schema, name) = (stream("Order-1"), schema("order/1"), checkpoint("mailer"));
    let version = handle.version(&order).await?.get();
    let mut tail = handle.tail(Subscribe::to(Query::all()).from_now()).await?;
    handle.append_to(&order, exact(version), events(3)).await?;
    expect::conflict(handle.append_to(&order, exact(version), events(1)).await)?;
    ensure_eq!(tail.take(3).await?.len(), 3, "live events");
    let mut other = handle.tail(Subscribe::to(Query::all())).await?;
    other.until_caught_up().await?;
    let (first, second) = tokio::join!(handle.append_any("Order-2", 1), handle.append_any("Order-3", 1));
    first?;
    second?;
    handle.append_any("Order-2", 1).await?;
    tail.take(3).await?;
    tail.stop().await?;
    handle.snapshots().save_snapshot(Snapshot::new(&order, &schema, Version::new(3), "{}")).await?;
    let loaded = handle.snapshots().load_snapshot(&order, &schema, Version::MAX).await?;
    ensure!(loaded.is_some(), "the snapshot that was saved does not load");
    let owner = handle.checkpoints().claim_checkpoint(&name).await?.owner;
    handle.checkpoints().save_checkpoint(&owner, Position::START).await?;
    handle.read_log().await?;
    Ok(())
}

async fn no_task_leak(cx: Cx) -> Verdict {
    on_one_thread(&cx, |cx| async move {
        let metrics = tokio::runtime::Handle::current().metrics();
        let before = metrics.num_alive_tasks();
        for close in [true, false] {
            let handle = cx.fresh_to_drop().await?;
            for _ in 0..3 {
                everything(&handle).await?;
            }
            if close {
                handle.close().await?;
            }
            drop(handle);
            let how = if close { "closed and dropped" } else { "dropped" };
            let what = format!("the end of the tasks of a handle that was {how}");
            let ended = async {
                while metrics.num_alive_tasks() > before {
                    tokio::task::yield_now().await;
                }
            };
            let ended = cx.within(&what, ended).await;
            ensure!(
                ended.is_ok(),
                "{} tasks are left of a handle that was {how}",
                metrics.num_alive_tasks() - before
            );
        }
        Ok(())
    })
    .await
}
