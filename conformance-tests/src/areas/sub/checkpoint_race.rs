//! Checkpoints that several move, or want to move, at once.

use std::sync::Arc;

use annalist_core::{ErrorKind, Owner, Position, RecordedEvent};
use rand::seq::SliceRandom;

use super::checkpoint::place;
use super::session::{last, yields};
use crate::{Cx, Handle, Verdict, checkpoint, checks, ensure, ensure_eq};

checks! {
    area: "sub",
    checkpoint_monotone {
        guarantee: "S5", level: 2, kind: Stochastic,
        summary: "Of saves that one owner sends at once in any order, the highest stays, and no load sees the place go back.",
        likely_cause: "compares with what was read before the write",
    }
    checkpoint_one_owner {
        guarantee: "S5", level: 2, kind: Stochastic,
        summary: "Of claims that are sent at once all have different epochs, and exactly the highest can save afterwards.",
        likely_cause: "reads the epoch, adds one and writes it back",
    }
    checkpoint_no_save_after_claim {
        guarantee: "S5", level: 2, kind: Stochastic,
        summary: "Once a claim has answered, no save of an earlier owner moves the checkpoint any more, and none that was acknowledged is missing in it.",
        likely_cause: "the owner is compared first, and the place written afterwards",
    }
}

async fn checkpoint_monotone(cx: Cx) -> Verdict {
    const ROUNDS: usize = 10;
    const SAVES: usize = 8;
    let handles = cx.handles(4).await?;
    let log = cx.append_medley(SAVES).await?;
    let (rounds, mut rng) = (cx.scale(ROUNDS), cx.rng());
    cx.minimum_ops(rounds * SAVES);
    for round in 0..rounds {
        let name = checkpoint(&format!("mailer {round}"));
        let owner = cx.checkpoints().claim_checkpoint(&name).await?.owner;
        let mut positions: Vec<Position> = log.iter().map(|event| event.position()).collect();
        positions.shuffle(&mut rng);
        let saves = cx.at_once(SAVES, |i| {
            let (handle, owner, position) = (handles[i % 4].clone(), owner.clone(), positions[i]);
            async move {
                handle.checkpoints().save_checkpoint(&owner, position).await?;
                let seen = place(&handle, owner.name()).await?;
                ensure!(seen >= Some(position), "the place is {seen:?} after a save at {position}");
                Verdict::Ok(())
            }
        });
        for saved in saves.await? {
            saved?;
            cx.count_op();
        }
        ensure_eq!(
            place(&cx, &name).await?,
            Some(last(&log)),
            "the place after saves in the order {positions:?}"
        );
    }
    Ok(())
}

async fn checkpoint_one_owner(cx: Cx) -> Verdict {
    const ROUNDS: usize = 10;
    const CLAIMS: usize = 8;
    let handles = cx.handles(4).await?;
    let log = cx.append_medley(3).await?;
    let rounds = cx.scale(ROUNDS);
    cx.minimum_ops(rounds * CLAIMS);
    for round in 0..rounds {
        let name = Arc::new(checkpoint(&format!("mailer {}", round / 2)));
        let claims = cx.at_once(CLAIMS, |i| {
            let (handle, name) = (handles[i % 4].clone(), name.clone());
            async move { handle.checkpoints().claim_checkpoint(&name).await }
        });
        let mut owners = Vec::new();
        for claim in claims.await? {
            owners.push(claim?.owner);
            cx.count_op();
        }
        owners.sort_by_key(Owner::epoch);
        let epochs: Vec<_> = owners.iter().map(Owner::epoch).collect();
        ensure!(
            epochs.windows(2).all(|pair| pair[0] < pair[1]),
            "claims at once were given the epochs {epochs:?}"
        );
        for (i, owner) in owners.iter().enumerate() {
            let answer = handles[i % 4].checkpoints().save_checkpoint(owner, last(&log)).await;
            let fenced = matches!(&answer, Err(error) if matches!(error.kind(), ErrorKind::Fenced(_)));
            let newest = i + 1 == owners.len();
            ensure!(
                if newest { answer.is_ok() } else { fenced },
                "the owner of epoch {} of {epochs:?} is answered {answer:?}",
                owner.epoch()
            );
        }
    }
    Ok(())
}

/// Saves one position after the other until it is fenced; the highest that was acknowledged.
async fn save_until_fenced(
    handle: Handle,
    owner: Owner,
    log: Arc<Vec<RecordedEvent>>,
    turns: usize,
) -> Verdict<Option<Position>> {
    let mut acknowledged = None;
    for event in log.iter() {
        match handle.checkpoints().save_checkpoint(&owner, event.position()).await {
            Ok(()) => acknowledged = Some(event.position()),
            Err(error) if matches!(error.kind(), ErrorKind::Fenced(_)) => break,
            Err(error) => return Err(error.into()),
        }
        yields(turns).await;
    }
    Ok(acknowledged)
}

async fn checkpoint_no_save_after_claim(cx: Cx) -> Verdict {
    const ROUNDS: usize = 30;
    const SAVERS: usize = 4;
    let (old, new) = (cx.fresh().await?, cx.fresh().await?);
    let log = Arc::new(cx.append_medley(30).await?);
    let rounds = cx.scale(ROUNDS);
    cx.minimum_ops(rounds);
    for round in 0..rounds {
        let name = checkpoint(&format!("mailer {round}"));
        let owner = old.checkpoints().claim_checkpoint(&name).await?.owner;
        // Out of step with one another, so that at any moment one of them is in the middle of a save.
        let saving: Vec<_> = (1..=SAVERS)
            .map(|i| cx.spawn(save_until_fenced(old.clone(), owner.clone(), log.clone(), i)))
            .collect();
        // Somewhere in the middle of the saves: not only just after one, which is when it is noticed.
        let noticed = async {
            while place(&new, &name).await? < Some(log[round % 5].position()) {
                yields(1).await;
            }
            Verdict::Ok(())
        };
        cx.within("seeing the saves of another handle", noticed).await??;
        yields(round % 4).await;
        let claimed = new.checkpoints().claim_checkpoint(&name).await?.checkpoint;
        let resumed = claimed.map(|stored| stored.position);
        let mut acknowledged = None;
        for saver in saving {
            acknowledged = acknowledged.max(saver.join().await??);
        }
        ensure!(
            acknowledged <= resumed,
            "a save at {acknowledged:?} was acknowledged, but the new owner resumes at {resumed:?}"
        );
        ensure_eq!(place(&cx, &name).await?, resumed, "the place after the claim, which nobody moved since");
        cx.count_op();
    }
    Ok(())
}
