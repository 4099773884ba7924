//! Checkpoints: who may move them.

use annalist_core::{ErrorKind, Fenced, Owner, Position};

use super::checkpoint::place;
use super::session::last;
use crate::{Cx, Handle, Verdict, checkpoint, checks, ensure, ensure_eq, expect};

checks! {
    area: "sub",
    checkpoint_epochs_rise {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "Every claim of a name has a higher epoch than all before it, through whatever handle.",
        likely_cause: "a claim of the same handle is given the epoch that it has",
    }
    checkpoint_claim_fences {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "A claim fences the earlier owner at once, and the error tells the name and both epochs.",
        likely_cause: "a lease, or no fencing at all",
    }
    checkpoint_claim_fences_everywhere {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "A claim fences an earlier owner whose saves go through another handle, and one whose saves go through the same.",
        likely_cause: "claims are compared within a handle only, or between handles only",
    }
    checkpoint_fenced_at_any_position {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "A fenced owner is refused at every position, also where its save would change nothing; and nothing changes.",
        likely_cause: "a save at or below the stored position returns before the owner is looked at",
    }
    checkpoint_load_claims_nothing {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "Loading fences nobody.",
        likely_cause: "a load is a claim whose owner is thrown away",
    }
    checkpoint_reset_moves {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "A reset puts a checkpoint at a position, backward, forward and at the start, and its owner goes on from there.",
        likely_cause: "a reset is a save, which never goes backward",
    }
    checkpoint_reset_fences {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "A reset fences the running owner at once; its late save does not undo the reset.",
        likely_cause: "only the position is set",
    }
    checkpoint_epochs_after_reset {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "Epochs keep rising over resets: no owner from before becomes valid again.",
        likely_cause: "a reset deletes the row, and counting begins anew",
    }
}

async fn checkpoint_epochs_rise(cx: Cx) -> Verdict {
    let (mailer, handles) = (checkpoint("mailer"), cx.handles(3).await?);
    let mut before = None;
    for i in [0, 0, 1, 1, 1, 0, 2, 0, 2, 2, 1, 0] {
        let epoch = handles[i].checkpoints().claim_checkpoint(&mailer).await?.owner.epoch();
        ensure!(before.is_none_or(|before| epoch > before), "epoch {epoch} was given after {before:?}");
        before = Some(epoch);
    }
    Ok(())
}

/// Sees to it that an owner is refused for the sake of a later one.
async fn is_fenced(handle: &Handle, owner: &Owner, by: &Owner, position: Position) -> Verdict {
    let fenced = expect::fenced(handle.checkpoints().save_checkpoint(owner, position).await)?;
    let told = Fenced::new(owner.name().clone(), owner.epoch(), by.epoch());
    ensure_eq!(fenced, told, "what the error tells");
    Ok(())
}

async fn checkpoint_claim_fences(cx: Cx) -> Verdict {
    let (mailer, store) = (checkpoint("mailer"), cx.checkpoints());
    let log = cx.append_medley(6).await?;
    let mut owner = store.claim_checkpoint(&mailer).await?.owner;
    for event in &log {
        store.save_checkpoint(&owner, event.position()).await?;
        let claim = store.claim_checkpoint(&mailer).await?;
        let resumed = claim.checkpoint.map(|stored| stored.position);
        ensure_eq!(resumed, Some(event.position()), "where the new owner resumes");
        is_fenced(&cx, &owner, &claim.owner, last(&log)).await?;
        ensure_eq!(place(&cx, &mailer).await?, resumed, "the place after a fenced save");
        owner = claim.owner;
    }
    Ok(())
}

async fn checkpoint_claim_fences_everywhere(cx: Cx) -> Verdict {
    let (mailer, fresh) = (checkpoint("mailer"), cx.fresh().await?);
    let log = cx.append_medley(5).await?;
    let handles: [&Handle; 2] = [&cx, &fresh];
    for old in handles {
        for new in handles {
            for saver in handles {
                let owner = old.checkpoints().claim_checkpoint(&mailer).await?.owner;
                saver.checkpoints().save_checkpoint(&owner, log[0].position()).await?;
                let next = new.checkpoints().claim_checkpoint(&mailer).await?.owner;
                is_fenced(saver, &owner, &next, log[1].position()).await?;
                ensure_eq!(
                    place(saver, &mailer).await?,
                    Some(log[0].position()),
                    "the place after a fenced save"
                );
            }
        }
    }
    Ok(())
}

async fn checkpoint_fenced_at_any_position(cx: Cx) -> Verdict {
    let (mailer, store) = (checkpoint("mailer"), cx.checkpoints());
    let log = cx.append_medley(6).await?;
    let old = store.claim_checkpoint(&mailer).await?.owner;
    store.save_checkpoint(&old, log[2].position()).await?;
    let new = store.claim_checkpoint(&mailer).await?.owner;
    let stored = store.load_checkpoint(&mailer).await?;
    for position in [Position::START].into_iter().chain(log.iter().map(|event| event.position())) {
        is_fenced(&cx, &old, &new, position).await?;
        ensure_eq!(
            store.load_checkpoint(&mailer).await?,
            stored,
            "the place after a fenced save at {position}"
        );
    }
    store.save_checkpoint(&new, log[3].position()).await?;
    Ok(())
}

async fn checkpoint_load_claims_nothing(cx: Cx) -> Verdict {
    let (mailer, fresh) = (checkpoint("mailer"), cx.fresh().await?);
    let log = cx.append_medley(5).await?;
    let owner = cx.checkpoints().claim_checkpoint(&mailer).await?.owner;
    for event in &log {
        fresh.checkpoints().load_checkpoint(&mailer).await?;
        cx.checkpoints().load_checkpoint(&mailer).await?;
        cx.checkpoints().save_checkpoint(&owner, event.position()).await?;
    }
    Ok(())
}

async fn checkpoint_reset_moves(cx: Cx) -> Verdict {
    let (mailer, store) = (checkpoint("mailer"), cx.checkpoints());
    let log = cx.append_medley(8).await?;
    // The first reset makes the checkpoint.
    for place_next in
        [log[4].position(), log[1].position(), log[6].position(), Position::START, log[3].position()]
    {
        let owner = store.reset_checkpoint(&mailer, place_next).await?;
        ensure_eq!(owner.name(), &mailer, "the name of the owner that a reset gives");
        let stored = store.load_checkpoint(&mailer).await?;
        ensure_eq!(
            stored.as_ref().map(|stored| stored.position),
            Some(place_next),
            "the place after a reset"
        );
        let before = log.iter().rev().find(|event| event.position() <= place_next).map(|event| event.id());
        ensure_eq!(stored.and_then(|stored| stored.event), before, "the event at the place after a reset");
        store.save_checkpoint(&owner, log[7].position()).await?;
        ensure_eq!(
            place(&cx, &mailer).await?,
            Some(log[7].position()),
            "the place after a save of its owner"
        );
    }
    let owner = store.reset_checkpoint(&mailer, log[2].position()).await?;
    let claim = cx.fresh().await?.checkpoints().claim_checkpoint(&mailer).await?;
    ensure_eq!(
        claim.checkpoint.map(|stored| stored.position),
        Some(log[2].position()),
        "the place in a claim"
    );
    is_fenced(&cx, &owner, &claim.owner, log[5].position()).await
}

async fn checkpoint_reset_fences(cx: Cx) -> Verdict {
    let (mailer, fresh) = (checkpoint("mailer"), cx.fresh().await?);
    let log = cx.append_medley(6).await?;
    let operators: [&Handle; 2] = [&cx, &fresh];
    for operator in operators {
        let running = cx.checkpoints().claim_checkpoint(&mailer).await?.owner;
        cx.checkpoints().save_checkpoint(&running, log[3].position()).await?;
        for back in [log[1].position(), log[4].position()] {
            let owner = operator.checkpoints().reset_checkpoint(&mailer, back).await?;
            is_fenced(&cx, &running, &owner, log[5].position()).await?;
            ensure_eq!(
                place(&cx, &mailer).await?,
                Some(back),
                "the place after the late save of a fenced owner"
            );
        }
    }
    Ok(())
}

async fn checkpoint_epochs_after_reset(cx: Cx) -> Verdict {
    let (mailer, store) = (checkpoint("mailer"), cx.checkpoints());
    let log = cx.append_medley(3).await?;
    let mut owners: Vec<Owner> = Vec::new();
    for round in 0..3 {
        for _ in 0..2 {
            owners.push(store.claim_checkpoint(&mailer).await?.owner);
        }
        owners.push(store.reset_checkpoint(&mailer, log[round % 2].position()).await?);
    }
    let epochs: Vec<_> = owners.iter().map(Owner::epoch).collect();
    ensure!(epochs.windows(2).all(|pair| pair[0] < pair[1]), "epochs over claims and resets are {epochs:?}");
    let (newest, earlier) = owners.split_last().expect("there were claims");
    for owner in earlier {
        let answer = store.save_checkpoint(owner, log[2].position()).await;
        let fenced = matches!(&answer, Err(error) if matches!(error.kind(), ErrorKind::Fenced(_)));
        ensure!(fenced, "the owner of epoch {} of {epochs:?} is not fenced: {answer:?}", owner.epoch());
    }
    store.save_checkpoint(newest, log[2].position()).await?;
    Ok(())
}
