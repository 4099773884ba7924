//! Where an id is one: in its stream.

use annalist_core::{Append, ExpectedVersion};

use super::replays;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, exact, expect, stream};

checks! {
    area: "idem",
    same_id_two_streams_two_events {
        guarantee: "I2", level: 1, kind: Deterministic,
        summary: "The same id in two streams, of one append or of two, is two events, and each append is known as a retry.",
        likely_cause: "ids unique in the whole store",
    }
    dup_in_batch {
        guarantee: "I2", level: 1, kind: Deterministic,
        summary: "The same id twice for one stream is refused as invalid, and its events can be appended rightly afterwards.",
        likely_cause: "the first inserted before the second strikes, or the second left out",
    }
    reused_writes_nothing {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "An append refused for one reused id leaves nothing of its other events and streams, and their ids stay free.",
        likely_cause: "rows inserted one by one until the unique index strikes",
    }
}

async fn same_id_two_streams_two_events(cx: Cx) -> Verdict {
    let (order, cart, user) = (stream("Order-1"), stream("Cart-1"), stream("User-1"));
    let made = events(2);
    let mut appended = Vec::new();
    for append in [
        Append::to(&order, exact(0), made.clone()),
        Append::to(&cart, exact(0), made.iter().rev().cloned()),
        Append::to(&user, exact(0), [made[0].clone()]).write(&stream("User-2"), exact(0), [made[0].clone()]),
    ] {
        let receipt = cx.append(append.clone()).await?;
        ensure!(!receipt.already_committed(), "events of another stream are taken for the same: {receipt:?}");
        appended.push((append, receipt));
    }
    let before = cx.read_log().await?;
    ensure_eq!(before.len(), 6, "events in the log");
    for (append, receipt) in appended {
        replays(&cx, append, &receipt, "with ids of several streams").await?;
    }
    // In a stream where it is not, each id is free.
    let receipt = cx.append_to(&user, exact(1), [made[1].clone()]).await?;
    ensure!(!receipt.already_committed(), "an event of another stream is taken for the same");
    ensure_eq!(cx.fresh().await?.read_log().await?.len(), 7, "events in the log");
    Ok(())
}

async fn dup_in_batch(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    cx.append_any("Order-1", 1).await?;
    let before = cx.read_log().await?;
    let made = events(2);
    let [first, second] = [made[0].clone(), made[1].clone()];
    for expected in [exact(1), ExpectedVersion::Any] {
        for twice in [
            vec![second.clone(), second.clone()],
            vec![first.clone(), second.clone(), second.clone()],
            vec![first.clone(), second.clone(), first.clone()],
        ] {
            expect::invalid(cx.append_to(&order, expected, twice.clone()).await)?;
            let beside = Append::to(&cart, exact(0), events(1)).write(&order, expected, twice);
            expect::invalid(cx.append(beside).await)?;
        }
    }
    cx.log_is(&before, &[&cart], "after the same id twice").await?;
    let receipt = cx.append_to(&order, exact(1), made).await?;
    ensure!(!receipt.already_committed(), "events of an invalid append are told to be committed");
    Ok(())
}

async fn reused_writes_nothing(cx: Cx) -> Verdict {
    let (order, cart, user) = (stream("Order-1"), stream("Cart-1"), stream("User-1"));
    let made = events(1);
    cx.append_to(&order, exact(0), made.clone()).await?;
    let before = cx.read_log().await?;
    let (new, other) = (events(3), events(2));
    let around = [new[0].clone(), new[1].clone(), made[0].clone(), new[2].clone()];
    let append = Append::to(&cart, exact(0), other.clone()).write(&order, exact(1), around).write(
        &user,
        exact(0),
        other.clone(),
    );
    let reused = expect::id_reused(cx.append(append).await)?;
    ensure_eq!(reused.id, made[0].id(), "the id that is named");
    cx.log_is(&before, &[&cart, &user], "after a reused id").await?;

    for (stream, version, events) in [(&order, 1, new), (&cart, 0, other.clone()), (&user, 0, other)] {
        let receipt = cx.append_to(stream, exact(version), events).await?;
        ensure!(!receipt.already_committed(), "events that were refused are told to be committed");
    }
    Ok(())
}
