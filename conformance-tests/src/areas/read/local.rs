//! Reads that are content with what the process has: declared, or refused (R3).

use annalist_core::{Capability, Query, Read};

use super::{among_others, first};
use crate::{Cx, Failure, Verdict, checks, ensure, expect, same_events};

checks! {
    area: "read",
    local_refused {
        guarantee: "R3", level: 1, kind: Deterministic,
        summary: "A store that declares no local reads refuses them, and never answers them with another consistency unasked.",
        likely_cause: "a request option that the backend does not look at",
    }
    local_prefix {
        guarantee: "R3", level: 1, kind: Deterministic,
        needs: [LocalReads],
        summary: "A local read gives a prefix of the log, under a head that it holds everything below of.",
        likely_cause: "a copy that is filled in whatever order its parts arrive",
    }
    local_reaches_what_it_names {
        guarantee: "R3", level: 1, kind: Deterministic,
        needs: [LocalReads],
        summary: "A local read that names a position, as a bound or by its cursor, is first brought up to it.",
        likely_cause: "a copy that knows nothing of the position and takes it for one of the future",
    }
}

async fn local_refused(cx: Cx) -> Verdict {
    if cx.capabilities().has(Capability::LocalReads) {
        return Err(Failure::NotApplicable("local reads are declared".to_owned()));
    }
    let (order, _) = among_others(&cx, 3).await?;
    expect::unsupported(cx.read(Read::stream(&order).local()).await)?;
    expect::unsupported(cx.read(Read::log(Query::all()).local()).await)?;
    expect::unsupported(cx.read(Read::log(Query::all()).local().limit(0)).await)?;
    cx.works(order.as_str()).await?;
    Ok(())
}

async fn local_prefix(cx: Cx) -> Verdict {
    let handles = cx.handles(2).await?;
    for turn in 0..10 {
        handles[turn % 2].append_any(["Order-1", "Order-2"][turn / 2 % 2], 3).await?;
        for handle in &handles {
            let local = handle.drain(Read::log(Query::all()).local().page_size(4)).await?;
            let log = handle.read_log().await?;
            same_events(&local.events, first(&log, local.events.len() as u64), "a local read of the log")?;
            let below_head = log.iter().filter(|event| event.position() <= local.head).count();
            ensure!(
                below_head == local.events.len(),
                "a local read tells the head {} and gives {} of the {below_head} events below it",
                local.head,
                local.events.len(),
            );
        }
    }
    Ok(())
}

async fn local_reaches_what_it_names(cx: Cx) -> Verdict {
    let other = cx.fresh().await?;
    for _ in 0..10 {
        let receipt = cx.append_any("Order-1", 2).await?;
        let [before, last] = [0, 1].map(|i| receipt.written()[0].positions()[i]);
        let reached = other.drain(Read::log(Query::all()).after(before).local()).await?;
        ensure!(reached.head >= before, "the head {} is below the bound {before}", reached.head);
        let until = other.drain(Read::log(Query::all()).until(last).local()).await?.events;
        let log = cx.drain(Read::log(Query::all()).until(last)).await?.events;
        same_events(&until, &log, "a local read up to the position of a receipt")?;
        let after = other.drain(Read::log(Query::all()).after(last).local()).await?.events;
        ensure!(after.is_empty(), "after the newest position a local read gives {after:?}");
    }
    Ok(())
}
