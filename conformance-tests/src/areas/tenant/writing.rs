//! What a namespace decides by: its own versions, ids and events; and that writing two at once mixes nothing.

use annalist_core::{Append, ExpectedVersion, Position, Query};
use tokio::task::yield_now;

use crate::areas::writers::Writers;
use crate::{
    Cx, Handle, Verdict, checks, ensure, ensure_eq, event, events, exact, expect, same_as_appended, stream,
};

checks! {
    area: "tenant",
    versions {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "Expected versions and checks look at streams of their own namespace only.",
        likely_cause: "a unique key over stream and version, without the namespace",
    }
    ids {
        guarantee: "I2", level: 1, kind: Deterministic,
        summary: "The same append sent to two namespaces is two appends, and neither is a retry of the other.",
        likely_cause: "event ids that are unique in the whole database",
    }
    conditions {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "A condition looks at events of its own namespace only.",
        likely_cause: "a subquery without the predicate for the namespace",
    }
    side_by_side {
        guarantee: "A1", level: 2, kind: Stochastic,
        summary: "Namespaces that are written at the same time each get exactly their own events.",
        likely_cause: "`SET search_path` on a pooled connection",
    }
    close_one {
        guarantee: "C2", level: 1, kind: Deterministic,
        summary: "Closing a handle of one namespace disturbs no other: appends, reads and subscriptions go on.",
        likely_cause: "one pool for all handles, which the first one to close shuts down",
    }
}

async fn versions(cx: Cx) -> Verdict {
    let (other, order) = (cx.other_namespace("_other").await?, stream("Order-1"));
    cx.append_to(&order, ExpectedVersion::NoStream, events(3)).await?;
    let exists = Append::new().check(&order, ExpectedVersion::Exists);
    expect::version_conflict(other.append(exists).await, &order, ExpectedVersion::Exists, 0)?;
    expect::version_conflict(other.append_to(&order, exact(3), events(1)).await, &order, exact(3), 0)?;
    other.append(Append::new().check(&order, ExpectedVersion::NoStream)).await?;
    let receipt = other.append_to(&order, ExpectedVersion::NoStream, events(1)).await?;
    ensure_eq!(receipt.written()[0].first_version().get(), 1, "the first version in the other namespace");
    cx.append_to(&order, exact(3), events(1)).await?;
    other.append_to(&order, exact(1), events(1)).await?;
    let versions = (cx.version(&order).await?.get(), other.version(&order).await?.get());
    ensure_eq!(versions, (4, 2), "the versions in the two namespaces");
    Ok(())
}

async fn ids(cx: Cx) -> Verdict {
    let (other, order) = (cx.other_namespace("_other").await?, stream("Order-1"));
    let sent = events(2);
    let append = Append::to(&order, ExpectedVersion::NoStream, sent.clone());
    for (handle, name) in [(&*cx, "the first"), (&other, "the other")] {
        let receipt = handle.append(append.clone()).await?;
        ensure!(!receipt.already_committed(), "an append to {name} namespace is taken for a retry");
        let again = handle.append(append.clone()).await?;
        ensure!(again.already_committed(), "a retry in {name} namespace is not known as one");
        ensure_eq!(again.written(), receipt.written(), "the receipt of a retry in {name} namespace");
        same_as_appended(&handle.read_log().await?, &sent, &format!("the log of {name} namespace"))?;
    }
    // The same id for something else is a new event where the id was never used.
    let third = cx.other_namespace("_third").await?;
    let reused = event("Other", "[]").with_id(sent[1].id());
    third.append_to(&order, ExpectedVersion::Any, [reused.clone()]).await?;
    same_as_appended(&third.read_log().await?, &[reused], "the log of the third namespace")
}

async fn conditions(cx: Cx) -> Verdict {
    let other = cx.other_namespace("_other").await?;
    other.append_medley(6).await?;
    cx.append_any("Mine-1", 1).await?;
    let head = cx.head().await?;
    other.append_medley(6).await?;
    let unless = |after| {
        let write = Append::to(&stream("Mine-1"), ExpectedVersion::Any, events(1));
        write.condition(Query::category("Order"), after).condition(Query::tags(["even"]), after)
    };
    cx.append(unless(head)).await?;
    cx.append(unless(Position::START)).await?;
    cx.append_any("Order-1", 1).await?;
    expect::conflict(cx.append(unless(head)).await)?;
    expect::conflict(other.append(unless(Position::START)).await)?;
    ensure_eq!(cx.read_log().await?.len(), 4, "events in the log");
    Ok(())
}

async fn side_by_side(cx: Cx) -> Verdict {
    const NAMES: [&str; 3] = ["_a", "_b", "_c"];
    let (writers, appends) = (6, cx.scale(15));
    cx.minimum_ops(writers * appends);
    let mut handles: Vec<Handle> = Vec::new();
    for name in NAMES.iter().chain(&NAMES) {
        handles.push(cx.other_namespace(name).await?);
    }
    let mut writing = Writers::start(&cx, writers, |writer| {
        let (handle, cx) = (handles[writer].clone(), cx.clone());
        async move {
            for _ in 0..appends {
                let made = event("Happened", NAMES[writer % 3].to_owned());
                handle.append_to(&stream("Order-1"), ExpectedVersion::Any, [made]).await?;
                cx.count_op();
                yield_now().await;
            }
            Ok(())
        }
    });
    while writing.at_work().await {
        for (handle, name) in handles.iter().zip(NAMES) {
            let log = handle.read_log().await?;
            let strange = log.iter().find(|event| event.data().as_ref() != name.as_bytes());
            ensure!(strange.is_none(), "the namespace {name} holds {strange:?} of another one");
        }
    }
    writing.done().await?;
    for handle in &handles {
        ensure_eq!(handle.read_log().await?.len(), 2 * appends, "events of one namespace, by two writers");
    }
    Ok(())
}

async fn close_one(cx: Cx) -> Verdict {
    let other = cx.other_namespace("_other").await?;
    other.append_any("Order-1", 2).await?;
    cx.append_any("Order-1", 1).await?;
    let mut tail = cx.tail(annalist_core::Subscribe::to(Query::all())).await?;
    tail.until_caught_up().await?;
    other.close().await?;
    let proof = cx.works("Order-1").await?;
    ensure_eq!(tail.event().await?.id(), proof.id(), "the live event after another namespace was closed");
    cx.fresh().await?.works("Order-2").await?;
    let again = cx.other_namespace("_other").await?;
    ensure_eq!(again.read_log().await?.len(), 2, "events of the closed namespace, opened again");
    again.works("Order-1").await?;
    Ok(())
}
