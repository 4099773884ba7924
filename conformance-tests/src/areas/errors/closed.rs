//! What a store answers once it was closed.

use annalist_core::{Append, Error, ExpectedVersion, Position, Query, Read, Snapshot, Subscribe, Version};

use crate::{Cx, Handle, Verdict, checkpoint, checks, events, exact, expect, schema, stream};

checks! {
    area: "errors",
    closed {
        guarantee: "C2", level: 1, kind: Deterministic,
        summary: "After `close`, every operation answers `Closed`: of events, of snapshots and of checkpoints.",
        likely_cause: "a flag that only appends look at, or a pool whose error says something else",
    }
    close_twice {
        guarantee: "C2", level: 1, kind: Deterministic,
        summary: "Closing a second time does nothing, and is no error.",
        likely_cause: "a channel that is closed twice",
    }
    close_one_handle {
        guarantee: "C2", level: 1, kind: Deterministic,
        summary: "Closing one handle leaves all others on the same log open, and loses nothing of it.",
        likely_cause: "a pool or a flag that the handles of one process share",
    }
}

/// What each operation of a handle answers.
async fn answers(handle: &Handle) -> Vec<(&'static str, Result<(), Error>)> {
    let (order, schema, name) = (stream("Order-1"), schema("order/1"), checkpoint("mailer"));
    let (store, snapshots, checkpoints) = (handle.store(), handle.snapshots(), handle.checkpoints());
    let snapshot = Snapshot::new(&order, &schema, Version::FIRST, "{}");
    vec![
        ("append", handle.append_to(&order, ExpectedVersion::Any, events(1)).await.map(drop)),
        (
            "an append that only checks",
            handle.append(Append::new().check(&order, ExpectedVersion::Exists)).await.map(drop),
        ),
        ("an append of nothing", handle.append(Append::new()).await.map(drop)),
        ("read of a stream", handle.read(Read::stream(&order)).await.map(drop)),
        ("read of the log", handle.read(Read::log(Query::all())).await.map(drop)),
        ("subscribe", store.subscribe(Subscribe::to(Query::all())).await.map(drop)),
        ("wait_for_more", store.wait_for_more(Position::START).await),
        ("save_snapshot", snapshots.save_snapshot(snapshot).await),
        ("load_snapshot", snapshots.load_snapshot(&order, &schema, Version::MAX).await.map(drop)),
        ("prune_snapshots", snapshots.prune_snapshots(&order, &schema, 1).await),
        ("claim_checkpoint", checkpoints.claim_checkpoint(&name).await.map(drop)),
        ("load_checkpoint", checkpoints.load_checkpoint(&name).await.map(drop)),
        ("reset_checkpoint", checkpoints.reset_checkpoint(&name, Position::START).await.map(drop)),
    ]
}

async fn closed(cx: Cx) -> Verdict {
    let handle = cx.fresh().await?;
    handle.append_any("Order-1", 1).await?;
    let owner = handle.checkpoints().claim_checkpoint(&checkpoint("mailer")).await?.owner;
    let next = handle.read(Read::log(Query::all()).page_size(1)).await?.next;
    let before = cx.read_log().await?;
    handle.close().await?;
    for (operation, answer) in cx.within("the operations of a closed store", answers(&handle)).await? {
        cx.collect(expect::closed(answer), operation)?;
    }
    let saved = handle.checkpoints().save_checkpoint(&owner, Position::START).await;
    cx.collect(expect::closed(saved), "save_checkpoint")?;
    if let Some(next) = next {
        cx.collect(expect::closed(handle.read(next).await), "read of the next page")?;
    }
    cx.log_is(&before, &[], "after the operations of a closed store").await
}

async fn close_twice(cx: Cx) -> Verdict {
    let handle = cx.fresh().await?;
    handle.append_any("Order-1", 1).await?;
    for _ in 0..3 {
        cx.within("closing", handle.close()).await??;
    }
    expect::closed(handle.append_any("Order-1", 1).await)?;
    let unused = cx.fresh().await?;
    cx.within("closing an unused handle", unused.close()).await??;
    expect::closed(unused.append_any("Order-1", 1).await)?;
    cx.works("Order-1").await?;
    Ok(())
}

async fn close_one_handle(cx: Cx) -> Verdict {
    let other = cx.fresh().await?;
    cx.append_any("Order-1", 1).await?;
    other.append_to(&stream("Order-1"), exact(1), events(1)).await?;
    let before = cx.read_log().await?;
    let mut tail = cx.tail(Subscribe::to(Query::all())).await?;
    tail.until_caught_up().await?;
    other.close().await?;
    crate::same_events(&cx.read_log().await?, &before, "the log after another handle was closed")?;
    let operations = cx.within("the operations of an open store", answers(&cx)).await?;
    for (operation, answer) in operations {
        if let Err(error) = answer {
            cx.violation(format!("{operation} fails after another handle was closed: {error:?}"));
        }
    }
    tail.take(1).await?;
    cx.fresh().await?.works("Order-2").await?;
    Ok(())
}
