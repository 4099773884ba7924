//! Snapshots that several save, load and prune at once, and calls that are dropped.

use std::sync::Arc;

use super::Shelf;
use crate::{Cx, Handle, Sweep, Verdict, checks, ensure, ensure_eq};

checks! {
    area: "snap",
    concurrent_save {
        guarantee: "N4", level: 2, kind: Stochastic,
        summary: "Of snapshots that are saved at once all are kept, and the highest is the newest.",
        likely_cause: "all snapshots of a stream in one document, which is read, changed and written",
    }
    concurrent_same_key {
        guarantee: "N2", level: 2, kind: Stochastic,
        summary: "Of snapshots that are saved at once under one key one is there, whole, and each load sees a whole one.",
        likely_cause: "data and metadata are written by two statements",
    }
    never_missing_while_replaced {
        guarantee: "N2", level: 2, kind: Stochastic,
        summary: "While a snapshot is replaced again and again, each load gives the old or the new one, never none.",
        likely_cause: "delete, then insert",
    }
    prune_beside_saves {
        guarantee: "N4", level: 2, kind: Stochastic,
        summary: "Pruning beside saves never takes what is newer than what it keeps.",
        likely_cause: "deletes all but those that were the newest when it looked",
    }
    cancelled_save {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "A save that is dropped at any point leaves the old snapshot or the new one, whole; the next save is real.",
        likely_cause: "delete, then insert; or two statements",
    }
    cancelled_prune {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "A prune or load that is dropped at any point takes nothing that is to be kept, and the handle works on.",
        likely_cause: "takes all out and puts the newest back",
    }
}

async fn concurrent_save(cx: Cx) -> Verdict {
    const ROUNDS: usize = 10;
    const SAVERS: usize = 8;
    let (handles, rounds) = (cx.handles(4).await?, cx.scale(ROUNDS));
    cx.minimum_ops(rounds * SAVERS);
    for round in 0..rounds {
        let name: Arc<str> = format!("Order-{round}").into();
        let saves = cx.at_once(SAVERS, |i| {
            let (handle, name, version) = (handles[i % 4].clone(), name.clone(), (i as u64 * 5) % 8 + 1);
            async move { Shelf::new(&handle, &name, "order/1").save(version, &version.to_string()).await }
        });
        for saved in saves.await? {
            saved?;
            cx.count_op();
        }
        let states: Vec<_> =
            (1..=SAVERS as u64).rev().map(|version| (version, version.to_string())).collect();
        let expected: Vec<_> = states.iter().map(|(version, state)| (*version, state.as_str())).collect();
        Shelf::new(&cx, &name, "order/1").holds_all(&expected).await?;
    }
    Ok(())
}

/// Sees to it that a snapshot is there, and that its parts belong together.
async fn whole(handle: &Handle, name: &str) -> Verdict<String> {
    let shelf = Shelf::new(handle, name, "order/1");
    let Some(found) = shelf.load(u64::MAX).await? else {
        return Err(crate::Failure::violation(format!(
            "the snapshot of {name} is gone while it is replaced"
        )));
    };
    let state = String::from_utf8_lossy(&found.data).into_owned();
    ensure_eq!(
        found.metadata,
        super::labelled(&state)?,
        "the metadata of the snapshot with the state {state:?}"
    );
    Ok(state)
}

async fn concurrent_same_key(cx: Cx) -> Verdict {
    const ROUNDS: usize = 10;
    const SAVERS: usize = 8;
    const READERS: usize = 4;
    let (handles, rounds) = (cx.handles(4).await?, cx.scale(ROUNDS));
    cx.minimum_ops(rounds * SAVERS);
    for round in 0..rounds {
        let name: Arc<str> = format!("Order-{round}").into();
        Shelf::new(&cx, &name, "order/1").save(7, "start").await?;
        let acts = cx.at_once(SAVERS + READERS, |i| {
            let (handle, name) = (handles[i % 4].clone(), name.clone());
            async move {
                let shelf = Shelf::new(&handle, &name, "order/1");
                for n in 0..=2 {
                    if i < SAVERS {
                        shelf.save(7, &format!("{i}/{n}")).await?;
                    }
                    // Out of step with the others, so that some look while others write.
                    for _ in 0..i % 4 {
                        tokio::task::yield_now().await;
                        whole(&handle, &name).await?;
                    }
                }
                Verdict::Ok(())
            }
        });
        for act in acts.await? {
            act?;
            cx.count_op();
        }
        let state = whole(&cx, &name).await?;
        ensure!(
            state.ends_with("/2"),
            "after all saves the one with the state {state:?} is there, which was replaced"
        );
        Shelf::new(&cx, &name, "order/1").holds_all(&[(7, &state)]).await?;
    }
    Ok(())
}

async fn never_missing_while_replaced(cx: Cx) -> Verdict {
    const SAVES: usize = 120;
    let (handles, saves) = (cx.handles(3).await?, cx.scale(SAVES));
    Shelf::new(&cx, "Order-1", "order/1").save(7, "first").await?;
    cx.minimum_ops(saves / 2);
    let replace = |(i, handle): (usize, Handle)| async move {
        let shelf = Shelf::new(&handle, "Order-1", "order/1");
        for n in 0..saves {
            shelf.save(7, &n.to_string()).await?;
            // Out of step with one another.
            turns(i + 1).await;
        }
        Verdict::Ok(())
    };
    let replacing: Vec<_> = handles.into_iter().enumerate().map(|of| cx.spawn(replace(of))).collect();
    for n in 0.. {
        if n >= saves / 2 && replacing.iter().all(crate::Task::is_finished) {
            break;
        }
        whole(&cx, "Order-1").await?;
        cx.count_op();
        turns(n % 3).await;
    }
    for replacing in replacing {
        replacing.join().await??;
    }
    Ok(())
}

async fn turns(n: usize) {
    for _ in 0..n {
        tokio::task::yield_now().await;
    }
}

async fn prune_beside_saves(cx: Cx) -> Verdict {
    const ROUNDS: usize = 15;
    let (handles, rounds) = (cx.handles(3).await?, cx.scale(ROUNDS));
    cx.minimum_ops(rounds);
    for round in 0..rounds {
        let name: Arc<str> = format!("Order-{round}").into();
        let acts = cx.at_once(3, |i| {
            let (handle, name) = (handles[i].clone(), name.clone());
            async move {
                let shelf = Shelf::new(&handle, &name, "order/1");
                for n in 1..=20 {
                    if i == 0 {
                        shelf.save(n, &n.to_string()).await?;
                        turns(n as usize % 3).await;
                        // What was saved last is the newest, and every prune keeps two.
                        shelf.holds(u64::MAX, Some((n, &n.to_string()))).await?;
                    } else {
                        shelf.prune(2).await?;
                    }
                    tokio::task::yield_now().await;
                }
                Verdict::Ok(())
            }
        });
        for act in acts.await? {
            act?;
        }
        let shelf = Shelf::new(&cx, &name, "order/1");
        shelf.prune(2).await?;
        shelf.holds_all(&[(20, "20"), (19, "19")]).await?;
        cx.count_op();
    }
    Ok(())
}

async fn cancelled_save(cx: Cx) -> Verdict {
    cx.minimum_ops(3);
    let mut sweep = Sweep::new(&cx);
    while sweep.goes_on()? {
        let name = format!("Order-{}", sweep.polls());
        let shelf = Shelf::new(&cx, &name, "order/1");
        shelf.save(7, "old").await?;
        let answer = sweep.give(shelf.save(7, "new")).await?.transpose()?;
        let state = whole(&cx.fresh().await?, &name).await?;
        ensure!(state == "new" || state == "old", "after {} polls the state is {state:?}", sweep.polls());
        ensure!(answer.is_none() || state == "new", "an acknowledged save left the state {state:?}");
        // One that was dropped may come late, but not in the place of a later key.
        shelf.save(8, "next").await?;
        let fresh = cx.fresh().await?;
        Shelf::new(&fresh, &name, "order/1").holds(u64::MAX, Some((8, "next"))).await?;
    }
    Ok(())
}

async fn cancelled_prune(cx: Cx) -> Verdict {
    cx.minimum_ops(3);
    let mut sweep = Sweep::new(&cx);
    while sweep.goes_on()? {
        let name = format!("Order-{}", sweep.polls());
        let shelf = Shelf::new(&cx, &name, "order/1");
        for version in 1..=4 {
            shelf.save(version, &version.to_string()).await?;
        }
        let pruned = sweep.give(shelf.prune(2)).await?.transpose()?;
        shelf.holds(u64::MAX, Some((4, "4"))).await?;
        shelf.holds(3, Some((3, "3"))).await?;
        if pruned.is_some() {
            shelf.holds(2, None).await?;
        }
        let loaded = crate::PollLimit::new(sweep.polls(), shelf.load(u64::MAX)).await.transpose()?;
        if let Some(loaded) = loaded {
            ensure_eq!(loaded.map(|loaded| loaded.version.get()), Some(4), "the version of the newest");
        }
        shelf.save(5, "next").await?;
        shelf.holds(u64::MAX, Some((5, "next"))).await?;
    }
    Ok(())
}
