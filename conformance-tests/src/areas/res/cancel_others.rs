//! Everything but appends, dropped at every point at which it can be.

use annalist_core::{Position, Query, Read, Snapshot, Subscribe, Version};

use super::next_is_real;
use crate::{Cx, PollLimit, Sweep, Verdict, checkpoint, checks, ensure, expect, same_events, schema, stream};

checks! {
    area: "res",
    cancel_read {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "A read that is dropped at any point leaves the handle as it was.",
        likely_cause: "a connection given back with rows on it that nobody read",
    }
    cancel_subscribe {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "A subscription that is dropped while it begins leaves nothing behind that holds up the next.",
        likely_cause: "a slot or a lock that was taken and is given back by `stop` alone",
    }
    cancel_wait {
        guarantee: "C1", level: 1, kind: Deterministic,
        summary: "Waits that are dropped take no wake-up from others.",
        likely_cause: "a wake-up for one waiter, taken by one that is gone",
    }
    cancel_claim {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "A claim that is dropped at any point happens or does not, be it late, and whoever claims after it owns the checkpoint.",
        likely_cause: "the epoch raised in one step and stored in another",
    }
    cancel_save_checkpoint {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "After a save that was dropped the checkpoint stands where it stood or where it was to stand.",
        likely_cause: "the old row deleted before the new one is written",
    }
    cancel_reset_checkpoint {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "A reset that is dropped happened wholly, with its fence, or not at all.",
        likely_cause: "the place changed in one step and the epoch in another",
    }
    cancel_save_snapshot {
        guarantee: "N4", level: 1, kind: Sweep,
        summary: "After a save that was dropped the old snapshot or the new one loads, whole.",
        likely_cause: "a delete and an insert; data and metadata written apart",
    }
    cancel_prune {
        guarantee: "N4", level: 1, kind: Sweep,
        summary: "Pruning that is dropped at any point has kept the newest snapshots.",
        likely_cause: "all deleted, and what is kept written again",
    }
    cancel_close {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "A close that was dropped can be done again, and other handles do not notice.",
        likely_cause: "a state between open and closed that nothing leads out of",
    }
}

fn rounds(cx: &Cx) -> Sweep {
    cx.minimum_ops(3);
    Sweep::new(cx)
}

async fn cancel_read(cx: Cx) -> Verdict {
    let log = cx.append_medley(30).await?;
    let of_stream: Vec<_> =
        log.iter().filter(|event| event.stream() == &stream("Order-1")).cloned().collect();
    let reads = [
        ("a stream read", Read::stream(&stream("Order-1")), of_stream),
        ("a log read", Read::log(Query::all()).page_size(7), log.clone()),
        ("a filtered read", Read::log(Query::tags(["never"])), Vec::new()),
    ];
    for (what, read, expected) in reads {
        let mut sweep = rounds(&cx);
        while sweep.goes_on()? {
            let when = format!("after {what} that was given {} polls", sweep.polls());
            if let Some(found) = sweep.give(cx.drain(read.clone())).await? {
                same_events(&found?.events, &expected, what)?;
            }
            let again = cx.within(&format!("the same read {when}"), cx.drain(read.clone())).await??;
            same_events(&again.events, &expected, &format!("the same read {when}"))?;
        }
    }
    next_is_real(&cx, &cx, "after dropped reads").await
}

async fn cancel_subscribe(cx: Cx) -> Verdict {
    let log = cx.append_medley(10).await?;
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let when = format!("after a subscription that was given {} polls", sweep.polls());
        let subscribe = Subscribe::to(Query::all()).page_size(3);
        drop(sweep.give(cx.store().subscribe(subscribe.clone())).await?);
        let tail = cx.within(&format!("a subscription {when}"), cx.tail(subscribe)).await?;
        let (found, _) = tail?.until_caught_up().await?;
        same_events(&found, &log, &format!("the next subscription {when}"))?;
    }
    next_is_real(&cx, &cx, "after dropped subscriptions").await
}

async fn cancel_wait(cx: Cx) -> Verdict {
    const GONE: usize = 3;
    let mut tail = cx.tail(Subscribe::to(Query::all())).await?;
    tail.until_caught_up().await?;
    for round in 0..10 {
        let (head, waiting) = (cx.head().await?, cx.fresh().await?);
        // Some that are gone came before the one that stays, some after it.
        for _ in 0..GONE {
            drop(PollLimit::new(1, cx.store().wait_for_more(head)).await);
        }
        let waiter = cx.spawn(async move { waiting.store().wait_for_more(head).await });
        tokio::task::yield_now().await;
        for _ in 0..GONE {
            drop(PollLimit::new(1, cx.store().wait_for_more(head)).await);
        }
        cx.append_any("Order-1", 1).await?;
        cx.within(&format!("the wait of round {round}, which was not dropped"), waiter.join()).await???;
        tail.take(1).await?;
    }
    Ok(())
}

async fn cancel_claim(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 3).await?;
    let (head, name, other) = (cx.head().await?, checkpoint("mailer"), cx.fresh().await?);
    let mut epoch = 0;
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let when = format!("after a claim that was given {} polls", sweep.polls());
        let before = cx.checkpoints().claim_checkpoint(&name).await?.owner;
        ensure!(before.epoch() > epoch, "{when} the epoch {} is not above {epoch}", before.epoch());
        let dropped = sweep.give(cx.checkpoints().claim_checkpoint(&name)).await?;
        let claim = other.checkpoints().claim_checkpoint(&name);
        let mut owner = cx.within(&format!("a claim {when}"), claim).await??.owner;
        ensure!(
            owner.epoch() > before.epoch(),
            "{when} the epoch {} is not above {}",
            owner.epoch(),
            before.epoch()
        );
        let was_dropped = dropped.is_none();
        if let Some(claim) = dropped {
            expect::fenced(other.checkpoints().save_checkpoint(&claim?.owner, head).await)?;
        }
        expect::fenced(cx.checkpoints().save_checkpoint(&before, head).await)?;
        let saved = other.checkpoints().save_checkpoint(&owner, head).await;
        if was_dropped && saved.is_err() {
            // What was dropped on its way may arrive late, and then it is the newest claim; but only once.
            expect::fenced(saved)?;
            let claim = other.checkpoints().claim_checkpoint(&name);
            owner = cx.within(&format!("a second claim {when}"), claim).await??.owner;
            other.checkpoints().save_checkpoint(&owner, head).await?;
        } else {
            saved?;
        }
        epoch = owner.epoch();
    }
    Ok(())
}

async fn cancel_save_checkpoint(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 2).await?;
    let positions: Vec<_> = cx.read_log().await?.iter().map(|event| event.position()).collect();
    let [old, new] = positions[..] else {
        return Err(crate::Failure::violation("the log has no two events"));
    };
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let when = format!("after a save that was given {} polls", sweep.polls());
        let name = checkpoint(&format!("mailer {}", sweep.polls()));
        let owner = cx.checkpoints().claim_checkpoint(&name).await?.owner;
        cx.checkpoints().save_checkpoint(&owner, old).await?;
        let saved = sweep.give(cx.checkpoints().save_checkpoint(&owner, new)).await?;
        let fresh = cx.fresh().await?;
        let found = fresh.checkpoints().load_checkpoint(&name).await?.map(|found| found.position);
        ensure!(
            found == Some(new) || (saved.is_none() && found == Some(old)),
            "{when} it stands at {found:?}"
        );
        let again = cx.checkpoints().save_checkpoint(&owner, new);
        cx.within(&format!("a save {when}"), again).await??;
        let found = fresh.checkpoints().load_checkpoint(&name).await?.map(|found| found.position);
        ensure!(found == Some(new), "{when} and another save it stands at {found:?}");
    }
    Ok(())
}

async fn cancel_reset_checkpoint(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 2).await?;
    let head = cx.head().await?;
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let when = format!("after a reset that was given {} polls", sweep.polls());
        let name = checkpoint(&format!("mailer {}", sweep.polls()));
        let owner = cx.checkpoints().claim_checkpoint(&name).await?.owner;
        cx.checkpoints().save_checkpoint(&owner, head).await?;
        let reset = sweep.give(cx.checkpoints().reset_checkpoint(&name, Position::START)).await?;
        let fresh = cx.fresh().await?;
        // Whether it is fenced is asked first: a reset in flight may come between, but not be undone.
        let saved = fresh.checkpoints().save_checkpoint(&owner, head).await;
        let found = fresh.checkpoints().load_checkpoint(&name).await?.map(|found| found.position);
        match saved {
            Ok(()) => ensure!(reset.is_none(), "{when} it was acknowledged, and the owner is not fenced"),
            Err(_) => {
                expect::fenced(saved)?;
                ensure!(
                    found == Some(Position::START),
                    "{when} the owner is fenced and the place is {found:?}"
                );
            }
        }
        let again = cx.checkpoints().reset_checkpoint(&name, Position::START);
        cx.within(&format!("a reset {when}"), again).await??;
        expect::fenced(fresh.checkpoints().save_checkpoint(&owner, head).await)?;
    }
    Ok(())
}

async fn cancel_save_snapshot(cx: Cx) -> Verdict {
    let schema = schema("order/1");
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let when = format!("after a save that was given {} polls", sweep.polls());
        let order = stream(&format!("Order-{}", sweep.polls()));
        let snapshot = |fill: u8| Snapshot::new(&order, &schema, Version::new(5), vec![fill; 10_000]);
        let (old, new) = (snapshot(1), snapshot(2));
        cx.snapshots().save_snapshot(old.clone()).await?;
        let saved = sweep.give(cx.snapshots().save_snapshot(new.clone())).await?;
        let fresh = cx.fresh().await?;
        let found = fresh.snapshots().load_snapshot(&order, &schema, Version::MAX).await?;
        let whole = found.as_ref() == Some(&new) || (saved.is_none() && found.as_ref() == Some(&old));
        ensure!(whole, "{when} {found:?} loads, which is neither the old one nor the new one");
        cx.within(&format!("a save {when}"), cx.snapshots().save_snapshot(new.clone())).await??;
        let found = fresh.snapshots().load_snapshot(&order, &schema, Version::MAX).await?;
        ensure!(found.as_ref() == Some(&new), "{when} and another save {found:?} loads");
    }
    Ok(())
}

async fn cancel_prune(cx: Cx) -> Verdict {
    let schema = schema("order/1");
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let when = format!("after pruning that was given {} polls", sweep.polls());
        let order = stream(&format!("Order-{}", sweep.polls()));
        for version in 1..=4 {
            let snapshot = Snapshot::new(&order, &schema, Version::new(version), format!("{version}"));
            cx.snapshots().save_snapshot(snapshot).await?;
        }
        let pruned = sweep.give(cx.snapshots().prune_snapshots(&order, &schema, 2)).await?;
        for _ in 0..2 {
            let fresh = cx.fresh().await?;
            for version in [4, 3] {
                let found = fresh.snapshots().load_snapshot(&order, &schema, Version::new(version)).await?;
                let found = found.map(|found| found.version.get());
                ensure!(
                    found == Some(version),
                    "{when}, which keeps two of four, version {version} loads as {found:?}"
                );
            }
            let again = cx.snapshots().prune_snapshots(&order, &schema, 2);
            cx.within(&format!("pruning {when}"), again).await??;
        }
        let old = cx.snapshots().load_snapshot(&order, &schema, Version::new(2)).await?;
        ensure!(old.is_none(), "{when} {pruned:?} and once more, {old:?} is left");
    }
    Ok(())
}

async fn cancel_close(cx: Cx) -> Verdict {
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let when = format!("after a close that was given {} polls", sweep.polls());
        let handle = cx.fresh().await?;
        let proof = handle.works("Order-1").await?;
        sweep.give(handle.close()).await?;
        cx.within(&format!("closing {when}"), handle.close()).await??;
        expect::closed(cx.within(&format!("an append {when}"), handle.append_any("Order-1", 1)).await?)?;
        let found = cx.read_stream(&stream("Order-1")).await?;
        ensure!(found.iter().any(|event| event.id() == proof.id()), "{when} an acknowledged append is lost");
        next_is_real(&cx, &cx, &when).await?;
    }
    Ok(())
}
