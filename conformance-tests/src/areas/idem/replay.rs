//! Retries: the same append again, whatever happened meanwhile.

use annalist_core::{Append, ExpectedVersion};

use super::replays;
use crate::{Cx, Verdict, checks, ensure, events, exact, stream};

checks! {
    area: "idem",
    replay_exact {
        guarantee: "I1", level: 1, kind: Deterministic,
        summary: "The same append with the same expectation again gets the original receipt, and writes nothing.",
        likely_cause: "no ids kept, or a unique violation shown as a conflict",
    }
    replay_any {
        guarantee: "I1", level: 1, kind: Deterministic,
        summary: "The same append that expects nothing again gets the original receipt, and writes nothing.",
        likely_cause: "an append that expects nothing skips the look-up of ids",
    }
    replay_after_growth {
        guarantee: "I1", level: 1, kind: Deterministic,
        summary: "Every append of a stream is known as a retry after the stream has grown, with its own versions and positions.",
        likely_cause: "only the newest append is looked at, or the receipt of a retry tells the present version",
    }
    replay_deep {
        guarantee: "I1", level: 1, kind: Deterministic,
        summary: "A retry is known some thousand events and a hundred appends later: there is no window.",
        likely_cause: "a cache of the last ids, as of a Kafka producer, a DynamoDB token or a NATS window",
    }
    stream_order_free {
        guarantee: "I1", level: 1, kind: Deterministic,
        summary: "An append to several streams is known as a retry, in whatever order it names them, with the receipt in that order.",
        likely_cause: "a digest of the request as it is written, or ids looked up in the first stream",
    }
    retry_thousand_ids {
        guarantee: "I1", level: 1, kind: Deterministic,
        summary: "An append of a thousand events is known as a retry, and with its last event changed it is not.",
        likely_cause: "only the first ids are looked up, or a statement with a thousand parameters fails",
    }
}

async fn replay_exact(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    for version in [0, 2, 4] {
        let append = Append::to(&order, exact(version), events(2));
        let receipt = cx.append(append.clone()).await?;
        ensure!(!receipt.already_committed(), "a first append is told to be a retry: {receipt:?}");
        let before = cx.read_log().await?;
        for _ in 0..2 {
            replays(&cx, append.clone(), &receipt, "at once").await?;
        }
        cx.log_is(&before, &[], "after a retry").await?;
    }
    Ok(())
}

async fn replay_any(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    for n in 1..=3 {
        let append = Append::to(&order, ExpectedVersion::Any, events(n));
        let receipt = cx.append(append.clone()).await?;
        let before = cx.read_log().await?;
        replays(&cx, append.clone(), &receipt, "at once").await?;
        cx.log_is(&before, &[], "after a retry").await?;
    }
    Ok(())
}

async fn replay_after_growth(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let mut appended = Vec::new();
    let mut version = 0;
    for n in [1, 3, 1, 2] {
        let append = Append::to(&order, exact(version), events(n));
        version += n as u64;
        appended.push((append.clone(), cx.append(append).await?));
        cx.append_any("Cart-1", 1).await?;
    }
    let before = cx.read_log().await?;
    for (append, receipt) in &appended {
        replays(&cx, append.clone(), receipt, "after the stream has grown").await?;
    }
    cx.log_is(&before, &[], "after the retries").await
}

async fn replay_deep(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let append = Append::to(&order, ExpectedVersion::NoStream, events(3));
    let receipt = cx.append(append.clone()).await?;
    for n in 0..120 {
        cx.append_any(if n % 2 == 0 { "Order-1" } else { "Cart-1" }, 30).await?;
    }
    let before = cx.read_log().await?.len();
    replays(&cx, append.clone(), &receipt, "much later").await?;
    replays(&cx.fresh().await?, append, &receipt, "much later, through another handle").await?;
    let after = cx.fresh().await?.read_log().await?.len();
    ensure!(after == before, "the log went from {before} to {after} events by a retry");
    Ok(())
}

async fn stream_order_free(cx: Cx) -> Verdict {
    let names = ["Order-1", "Cart-1", "User-1"];
    let made = [events(2), events(1), events(3)];
    cx.append_any("Cart-1", 2).await?;
    let in_order = |order: [usize; 3]| {
        order.into_iter().fold(Append::new(), |append, i| {
            append.write(&stream(names[i]), ExpectedVersion::Any, made[i].clone())
        })
    };
    let receipt = cx.append(in_order([0, 1, 2])).await?;
    let before = cx.read_log().await?;
    replays(&cx, in_order([0, 1, 2]), &receipt, "in the same order").await?;
    for order in [[2, 1, 0], [1, 0, 2], [2, 0, 1]] {
        let again = cx.append(in_order(order)).await?;
        ensure!(again.already_committed(), "streams in the order {order:?}: told to be new");
        let wanted: Vec<_> = order.iter().map(|i| receipt.written()[*i].clone()).collect();
        crate::ensure_eq!(again.written(), wanted.as_slice(), "the receipt for the order {order:?}");
    }
    cx.log_is(&before, &[], "after the retries").await
}

async fn retry_thousand_ids(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let mut made = events(1_000);
    let append = Append::to(&order, ExpectedVersion::NoStream, made.clone());
    let receipt = cx.append(append.clone()).await?;
    cx.append_any("Order-1", 1).await?;
    replays(&cx.fresh().await?, append, &receipt, "with a thousand events").await?;

    let last = made.pop().map(|last| super::rewritten(&[last])).unwrap_or_default();
    let changed = Append::to(&order, ExpectedVersion::NoStream, made.into_iter().chain(last));
    let reused = crate::expect::id_reused(cx.append(changed).await)?;
    crate::ensure_eq!(reused.version.get(), 1_000, "where the changed event stands");
    crate::ensure_eq!(cx.version(&order).await?.get(), 1_001, "the version of the stream");
    Ok(())
}
