//! Checkpoints of a log that is not any more what it was.

use annalist_core::{CheckpointName, Owner, Position, RecordedEvent};

use super::checkpoint::place;
use super::session::last;
use crate::{Cx, Handle, Rewind, Verdict, checkpoint, checks, ensure, ensure_eq, expect};

checks! {
    area: "sub",
    checkpoint_of_shorter_log {
        guarantee: "S5", level: 1, kind: Deterministic,
        hooks: [Rewind],
        summary: "A checkpoint above the head of a restored log is a wrong history, in loads and claims.",
        likely_cause: "waits at the old place until the log has grown past it, and leaves out what came between",
    }
    checkpoint_of_regrown_log {
        guarantee: "S5", level: 1, kind: Deterministic,
        hooks: [Rewind],
        summary: "A checkpoint at whose place a restored log holds another event by now is a wrong history.",
        likely_cause: "only the position is compared with the head",
    }
    checkpoint_of_another_log {
        guarantee: "S5", level: 1, kind: Deterministic,
        hooks: [Rewind],
        summary: "A checkpoint of another log is a wrong history, also at the start and once the new log is as long.",
        likely_cause: "the log's id is not kept",
    }
    checkpoint_wrong_history_claims_nothing {
        guarantee: "S5", level: 1, kind: Deterministic,
        hooks: [Rewind],
        summary: "A claim that is refused as a wrong history fences nobody.",
        likely_cause: "the epoch is raised before the place is verified",
    }
    checkpoint_reset_out_of_wrong_history {
        guarantee: "S5", level: 1, kind: Deterministic,
        hooks: [Rewind],
        summary: "A reset is the way out of a wrong history: afterwards claims, saves and loads work on the log as it is now.",
        likely_cause: "the reset verifies what it is to replace",
    }
    checkpoint_below_the_restored_head_holds {
        guarantee: "S5", level: 1, kind: Deterministic,
        hooks: [Rewind],
        summary: "A checkpoint whose place a restored log still holds stays good, also once that has grown again.",
        likely_cause: "the head at the time of saving is compared",
    }
}

/// A checkpoint at each of these positions, with its owner.
async fn saved_at(cx: &Cx, positions: &[Position]) -> Verdict<Vec<(CheckpointName, Owner)>> {
    let mut saved = Vec::new();
    for position in positions {
        let name = checkpoint(&format!("at {position}"));
        let owner = cx.checkpoints().claim_checkpoint(&name).await?.owner;
        cx.checkpoints().save_checkpoint(&owner, *position).await?;
        saved.push((name, owner));
    }
    Ok(saved)
}

fn positions(log: &[RecordedEvent]) -> Vec<Position> {
    log.iter().map(RecordedEvent::position).collect()
}

async fn is_wrong(handle: &Handle, name: &CheckpointName) -> Verdict {
    expect::wrong_history(handle.checkpoints().load_checkpoint(name).await)?;
    expect::wrong_history(handle.checkpoints().claim_checkpoint(name).await)?;
    Ok(())
}

async fn checkpoint_of_shorter_log(cx: Cx) -> Verdict {
    let log = cx.append_medley(8).await?;
    let saved = saved_at(&cx, &positions(&log)[4..]).await?;
    cx.rewind(Rewind::To(log[3].position())).await?;
    let fresh = cx.fresh().await?;
    for (name, _) in &saved {
        is_wrong(&fresh, name).await?;
    }
    Ok(())
}

async fn checkpoint_of_regrown_log(cx: Cx) -> Verdict {
    let log = cx.append_medley(8).await?;
    let saved = saved_at(&cx, &positions(&log)[4..]).await?;
    cx.rewind(Rewind::To(log[3].position())).await?;
    let fresh = cx.fresh().await?;
    // The same streams and types, and more of it, so that every place is held again and none by the same event.
    let regrown = fresh.append_medley(10).await?;
    ensure!(last(&regrown) >= last(&log), "the check itself is wrong: the log has not grown far enough");
    for (name, _) in &saved {
        is_wrong(&fresh, name).await?;
    }
    Ok(())
}

async fn checkpoint_of_another_log(cx: Cx) -> Verdict {
    let log = cx.append_medley(4).await?;
    let mut places = positions(&log);
    places.push(Position::START);
    let saved = saved_at(&cx, &places).await?;
    cx.rewind(Rewind::AnotherLog).await?;
    let fresh = cx.fresh().await?;
    for (name, _) in &saved {
        is_wrong(&fresh, name).await?;
    }
    fresh.append_medley(6).await?;
    for (name, _) in &saved {
        is_wrong(&fresh, name).await?;
    }
    Ok(())
}

async fn checkpoint_wrong_history_claims_nothing(cx: Cx) -> Verdict {
    let log = cx.append_medley(6).await?;
    let (mailer, store) = (checkpoint("mailer"), cx.checkpoints());
    let owner = store.claim_checkpoint(&mailer).await?.owner;
    store.save_checkpoint(&owner, log[5].position()).await?;
    cx.rewind(Rewind::To(log[2].position())).await?;
    let fresh = cx.fresh().await?;
    for _ in 0..2 {
        expect::wrong_history(fresh.checkpoints().claim_checkpoint(&mailer).await)?;
    }
    // It is not above what is stored, so it may do nothing; or the wrong history is told here, too. But nobody has claimed it.
    let answer = fresh.checkpoints().save_checkpoint(&owner, log[1].position()).await;
    if answer.is_err() {
        expect::wrong_history(answer)?;
    }
    Ok(())
}

async fn checkpoint_reset_out_of_wrong_history(cx: Cx) -> Verdict {
    let mut log = cx.append_medley(6).await?;
    let mailer = checkpoint("mailer");
    for rewind in [Rewind::To(log[2].position()), Rewind::AnotherLog] {
        let before = cx.fresh().await?;
        let owner = before.checkpoints().reset_checkpoint(&mailer, last(&log)).await?;
        cx.rewind(rewind).await?;
        let fresh = cx.fresh().await?;
        is_wrong(&fresh, &mailer).await?;

        let rest = fresh.read_log().await?;
        let reset = fresh.checkpoints().reset_checkpoint(&mailer, last(&rest)).await?;
        ensure!(reset.epoch() > owner.epoch(), "epoch {} after {}", reset.epoch(), owner.epoch());
        ensure_eq!(place(&fresh, &mailer).await?, Some(last(&rest)), "the place after the reset");
        log = fresh.append_medley(6).await?;
        fresh.checkpoints().save_checkpoint(&reset, log[rest.len()].position()).await?;
        let claim = fresh.checkpoints().claim_checkpoint(&mailer).await?;
        let stored = claim.checkpoint.map(|stored| (stored.position, stored.event));
        let first = &log[rest.len()];
        ensure_eq!(stored, Some((first.position(), Some(first.id()))), "the place in a claim afterwards");
    }
    Ok(())
}

async fn checkpoint_below_the_restored_head_holds(cx: Cx) -> Verdict {
    let log = cx.append_medley(8).await?;
    let mut places = positions(&log[..4]);
    places.push(Position::START);
    let saved = saved_at(&cx, &places).await?;
    cx.rewind(Rewind::To(log[3].position())).await?;
    let fresh = cx.fresh().await?;
    for grown in [0, 6] {
        fresh.append_medley(grown).await?;
        for ((name, _), position) in saved.iter().zip(&places) {
            ensure_eq!(
                place(&fresh, name).await?,
                Some(*position),
                "the place after the log was restored above it"
            );
            let claim = fresh.checkpoints().claim_checkpoint(name).await?;
            let resumed = claim.checkpoint.map(|stored| stored.position);
            ensure_eq!(
                resumed,
                Some(*position),
                "where a consumer resumes after the log was restored above it"
            );
        }
    }
    Ok(())
}
