//! The head, and what refused appends leave of the order (R5, G1, G2).

use annalist_core::{ExpectedVersion, Position, Query, Subscribe};

use super::all;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, event, events, expect, same_events, stream};

checks! {
    area: "global",
    empty_head {
        guarantee: "R5", level: 1, kind: Deterministic,
        summary: "An empty log has a head after which there is nothing yet, the same for every handle, and every event comes after it.",
        likely_cause: "the highest position of a table that other namespaces share",
    }
    head {
        guarantee: "R5", level: 1, kind: Deterministic,
        summary: "The head is at or above every acknowledged event and below every later one, after appends and refusals, through every handle.",
        likely_cause: "the next free number as the head, or a head that each handle caches",
    }
    no_regress {
        guarantee: "G4", level: 1, kind: Deterministic,
        summary: "A handle that is opened later goes on above all positions there are, and so does every other one after it.",
        likely_cause: "a counter in each handle, seeded from COUNT when it opens",
    }
    burned_place_no_stall {
        guarantee: "G2", level: 1, kind: Deterministic,
        summary: "An append that is refused holds up nothing that comes after it.",
        likely_cause: "a reader that waits for every number, also for those that were given to what was refused",
    }
}

async fn empty_head(cx: Cx) -> Verdict {
    let head = cx.head().await?;
    for handle in cx.handles(3).await? {
        ensure_eq!(handle.head().await?, head, "the head of an empty log");
        let after = handle.drain(all().after(head)).await?;
        ensure!(after.events.is_empty(), "an empty log gives {:?}", after.events);
    }
    let first = cx.append_any("Order-1", 1).await?.position();
    ensure!(first > Some(head), "the first event stands at {first:?}, the head of the empty log was {head}");
    let after = cx.drain(all().after(head)).await?.events;
    ensure_eq!(after.len(), 1, "events after the head of the empty log, after one append");
    Ok(())
}

async fn head(cx: Cx) -> Verdict {
    let handles = cx.handles(3).await?;
    let mut before = cx.head().await?;
    for turn in 0..12_usize {
        let handle = &handles[turn % 3];
        let receipt = handle.append_any(&format!("Order-{}", turn % 4), 1 + turn % 2).await?;
        let positions = receipt.written()[0].positions();
        ensure!(
            positions[0] > before,
            "an event stands at {}, the head before it was {before}",
            positions[0]
        );
        if turn % 3 == 1 {
            let taken = handle.append_to(&stream("Order-0"), ExpectedVersion::NoStream, events(2)).await;
            expect::conflict(taken)?;
        }
        before = handle.head().await?;
        for other in &handles {
            let head = other.head().await?;
            ensure!(Some(head) >= receipt.position(), "the head {head} is below an acknowledged event");
            let after = other.drain(all().after(head)).await?.events;
            ensure!(after.is_empty(), "after the head {head} there is {after:?}");
        }
    }
    Ok(())
}

async fn no_regress(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 3).await?;
    let taken = cx.append_to(&stream("Order-1"), ExpectedVersion::NoStream, events(4)).await;
    expect::conflict(taken)?;
    let mut newest = Position::START;
    for turn in 0..6 {
        let opened_later = cx.fresh().await?;
        for (handle, name) in [(&opened_later, "a handle opened later"), (&*cx, "the first handle")] {
            let receipt = handle.append_any(&format!("Order-{turn}"), 2).await?;
            let positions = receipt.written()[0].positions();
            ensure!(positions[0] > newest, "{name} writes at {}, after {newest} was given", positions[0]);
            newest = positions[1];
        }
    }
    ensure_eq!(cx.read_log().await?.len(), 3 + 6 * 4, "events in the log");
    Ok(())
}

async fn burned_place_no_stall(cx: Cx) -> Verdict {
    let (order, handles) = (stream("Order-1"), cx.handles(2).await?);
    let used = event("Happened", "{}");
    cx.append_to(&order, ExpectedVersion::NoStream, [used.clone()]).await?;
    let other_content = event("Other", "[]").with_id(used.id());
    for turn in 0..10 {
        let handle = &handles[turn % 2];
        expect::conflict(handle.append_to(&order, ExpectedVersion::NoStream, events(3)).await)?;
        let reused = [other_content.clone()];
        expect::id_reused(handle.append_to(&order, ExpectedVersion::Any, reused).await)?;
        handle.append_any("Order-2", 1).await?;
        let read = handles[(turn + 1) % 2].read_log().await?;
        ensure_eq!(read.len(), turn + 2, "events in the log, after {} refusals", 2 * (turn + 1));
    }
    let log = cx.read_log().await?;
    let delivered = cx.tail(Subscribe::to(Query::all())).await?.take(log.len()).await?;
    same_events(&delivered, &log, "what a subscription gives after the refusals")
}
