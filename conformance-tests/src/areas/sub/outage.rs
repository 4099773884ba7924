//! Subscriptions whose connection is lost.

use std::time::Duration;

use annalist_core::{ErrorKind, ExpectedVersion, Query, Signal, Subscribe};

use crate::areas::network::SOON;
use crate::{Cx, Trouble, Verdict, checks, ensure, event, same_events, stream};

checks! {
    area: "sub",
    outage_bridged {
        guarantee: "S7", level: 3, kind: Deterministic, hooks: [Proxy],
        summary: "A subscription bridges a lost connection, again and again: what was appended meanwhile comes once and in order.",
        likely_cause: "a reconnect that listens for what is new, and misses what came in between",
    }
    cut_while_catching_up {
        guarantee: "S7", level: 3, kind: Sweep, needs: [RemoteReads], hooks: [Proxy],
        summary: "A subscription whose connection is lost at any point of its catching up gives every event once.",
        likely_cause: "a page that is begun anew after half of it was given",
    }
    outage_too_long {
        guarantee: "S7", level: 3, kind: Deterministic, hooks: [Proxy],
        summary: "An outage longer than configured ends a subscription with exactly one error, that says that it can be tried again.",
        likely_cause: "an end without a word, or a loop that tries for ever",
    }
}

async fn outage_bridged(cx: Cx) -> Verdict {
    let (handle, proxy) = cx.proxied().await?;
    cx.append_any("Order-1", 3).await?;
    let outage = Subscribe::to(Query::all()).page_size(2).outage_max(cx.patience());
    let mut tail = cx.within("subscribing", handle.tail(outage)).await??;
    let (mut seen, _) = tail.until_caught_up().await?;
    for (round, trouble) in
        [Trouble::Down, Trouble::Silent, Trouble::Down, Trouble::CutReply(0)].into_iter().enumerate()
    {
        cx.append_any("Order-1", 1).await?;
        seen.extend(tail.take(1).await?);
        ensure!(proxy.sends() > 0, "a subscription goes past the proxy");
        proxy.arm_lasting(trouble).await;
        cx.append_any(&format!("Meanwhile-{round}"), 5).await?;
        // It has tried, and failed: nothing of what came meanwhile can have arrived.
        tail.no_event_for(SOON / 2).await?;
        cx.append_any("Order-1", 2).await?;
        proxy.heal().await;
        seen.extend(tail.take(7).await?);
        let log = cx.read_log().await?;
        same_events(&seen, &log, &format!("what a subscription gave over {} outages", round + 1))?;
    }
    cx.append_any("Order-1", 1).await?;
    seen.extend(tail.take(1).await?);
    tail.no_event_for(SOON / 2).await?;
    same_events(&seen, &cx.read_log().await?, "what a subscription gave over all outages")
}

async fn cut_while_catching_up(cx: Cx) -> Verdict {
    cx.minimum_ops(2);
    for n in 0..40 {
        let noted = event("Noted", format!("{n} {}", "x".repeat(1_000)));
        cx.append_to(&stream("Order-1"), ExpectedVersion::Any, [noted]).await?;
    }
    let log = cx.read_log().await?;
    for at in (0..10).map(|n| n * 4_096) {
        let (handle, proxy) = cx.proxied().await?;
        let when = format!("catching up, cut after {at} bytes");
        let subscribe = Subscribe::to(Query::all()).page_size(7).outage_max(cx.patience());
        let mut tail = cx.within(&when, handle.tail(subscribe)).await??;
        proxy.arm_lasting(Trouble::CutReply(at)).await;
        let (mut seen, mut caught_up) = (Vec::new(), false);
        // Until nothing comes for a while: then it has lost its connection, or has all of it.
        while let Ok(signal) = tokio::time::timeout(SOON / 2, tail.signal()).await {
            match signal? {
                Signal::Event(event) => seen.push(event),
                Signal::CaughtUp(_) => caught_up = true,
                _ => {}
            }
        }
        if proxy.fired() > 0 {
            cx.count_op();
        }
        proxy.heal().await;
        if !caught_up {
            seen.extend(tail.until_caught_up().await?.0);
        }
        same_events(&seen, &log, &when)?;
        tail.no_event_for(SOON / 4).await?;
        cx.let_go(handle);
    }
    Ok(())
}

async fn outage_too_long(cx: Cx) -> Verdict {
    for outage in [SOON, Duration::ZERO] {
        let (handle, proxy) = cx.proxied().await?;
        let mut tail =
            cx.within("subscribing", handle.tail(Subscribe::to(Query::all()).outage_max(outage))).await??;
        tail.until_caught_up().await?;
        ensure!(proxy.sends() > 0, "a subscription goes past the proxy");
        proxy.arm(Trouble::Down).await;
        let error = tail.end().await?;
        let kind = error.kind();
        let honest = matches!(kind, ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_));
        ensure!(honest, "after an outage longer than {outage:?} the subscription ends with {error:?}");
        // The handle itself lives on.
        proxy.heal().await;
        cx.within("an append after the outage", handle.works("After-1")).await??;
    }
    Ok(())
}
