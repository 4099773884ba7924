//! Checks of the area `meta`: that harness and store give the other checks what they build upon.

use std::time::Duration;

use annalist_core::Query;

use crate::{Check, Cx, Handle, Trouble, Verdict, checks, ensure, same_events, stream};

pub(crate) const PARTS: &[&[Check]] = &[CHECKS];

checks! {
    area: "meta",
    namespace_empty {
        guarantee: "R2", level: 1, kind: Deterministic,
        summary: "A namespace that was never opened before holds no event.",
        likely_cause: "a harness that opens the same table for every namespace, or leaves an earlier run's events behind",
    }
    fresh_is_fresh {
        guarantee: "R3", level: 1, kind: Deterministic,
        summary: "A second handle works on the same data and has nothing else in common with the first: closing either leaves the other at work.",
        likely_cause: "a harness that clones one pool, client or store instead of opening another",
    }
    proxy_in_between {
        guarantee: "E1", level: 3, kind: Deterministic, hooks: [Proxy],
        summary: "All that a handle sends goes through the suite's proxy, and nothing passes it while it lets nothing through.",
        likely_cause: "a harness that opens its own server's address, or a pool that two handles share",
    }
    traffic_minimum {
        guarantee: "C2", level: 2, kind: Stochastic,
        summary: "A few clients at once get some hundred operations done while patience lasts, so that the checks by chance mean something.",
        likely_cause: "a store that answers each operation only after seconds",
    }
}

async fn namespace_empty(cx: Cx) -> Verdict {
    for handle in [cx.fresh().await?, cx.other_namespace("other").await?] {
        let log = handle.drain(annalist_core::Read::log(Query::all())).await?;
        ensure!(
            log.events.is_empty(),
            "a new namespace holds {} events: {:?}",
            log.events.len(),
            log.events.first()
        );
        let written = handle.append_any("Order-1", 1).await?;
        let first = written.position();
        ensure!(
            first > Some(log.head),
            "the first event stands at {first:?}, the head before was {}",
            log.head
        );
        ensure!(
            handle.read_log().await?.len() == 1,
            "after one append the log holds {} events",
            handle.read_log().await?.len()
        );
    }
    Ok(())
}

async fn fresh_is_fresh(cx: Cx) -> Verdict {
    let [first, second] = [cx.fresh().await?, cx.fresh().await?];
    first.append_any("Order-1", 2).await?;
    same_events(&second.read_log().await?, &first.read_log().await?, "the log through the second handle")?;

    second.close().await?;
    first.works("Order-1").await?;
    let third = cx.fresh().await?;
    first.close().await?;
    third.works("Order-1").await?;
    cx.works("Order-1").await?;
    same_events(&third.read_log().await?, &cx.read_log().await?, "the log through the handles that are left")
}

async fn proxy_in_between(cx: Cx) -> Verdict {
    let (handle, proxy) = cx.proxied().await?;
    cx.within("an append through the proxy", handle.works("Order-1")).await??;
    let (sends, replied) = (proxy.sends(), proxy.replied());
    ensure!(
        sends > 0 && replied > 0,
        "an append and a read took {sends} sends and {replied} bytes of answers through the proxy"
    );
    proxy.arm(Trouble::Down).await;
    let read = annalist_core::Read::log(Query::all()).timeout(Duration::from_millis(200));
    let answer = cx.within("a read while the proxy is down", handle.read(read)).await?;
    ensure!(answer.is_err(), "a read while the proxy is down gives {} events", answer?.events.len());
    cx.within("an append past the proxy", cx.works("Order-1")).await??;
    proxy.heal().await;
    let through = cx.within("a read through the proxy", handle.read_log()).await??;
    same_events(&through, &cx.read_log().await?, "the log through the proxy")
}

async fn traffic_minimum(cx: Cx) -> Verdict {
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 25;
    cx.minimum_ops(CLIENTS * ROUNDS * 2);
    let handles = cx.handles(CLIENTS).await?;
    let client = |i: usize| {
        let (cx, handle) = (cx.clone(), handles[i].clone());
        async move {
            // Running out of patience is no violation here: too little traffic is what the count shows.
            tokio::time::timeout(cx.patience(), rounds(&cx, &handle, i, ROUNDS)).await.unwrap_or(Ok(()))
        }
    };
    for done in cx.at_once(CLIENTS, client).await? {
        done?;
    }
    Ok(())
}

async fn rounds(cx: &Cx, handle: &Handle, client: usize, rounds: usize) -> Verdict {
    let name = format!("Client-{client}");
    for round in 1..=rounds {
        handle.append_any(&name, 1).await?;
        cx.count_op();
        let version = handle.version(&stream(&name)).await?.get();
        ensure!(
            version == round as u64,
            "after {round} appends the stream of the only writer has version {version}"
        );
        cx.count_op();
    }
    Ok(())
}
