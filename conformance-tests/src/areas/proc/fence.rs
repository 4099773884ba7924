//! Checkpoints that several processes claim.

use annalist_core::{CheckpointName, Position};

use crate::agent::{Agent, Ask, Told, unexpected};
use crate::{Cx, Verdict, checkpoint, checks, ensure, ensure_eq};

checks! {
    area: "proc",
    checkpoint_fence {
        guarantee: "S5", level: 3, kind: Stochastic,
        needs: [Processes], hooks: [Agent],
        summary: "Once a process has claimed a checkpoint, no save of an earlier owner in another process moves it, and none that was acknowledged is missing in it.",
        likely_cause: "the owner is kept in the process, or believed until a lease runs out",
    }
}

/// The highest position that was acknowledged to an agent which saves one after the other, and whether it was fenced in the end.
pub(in crate::areas) async fn until_fenced(agent: &mut Agent) -> Verdict<(Option<Position>, bool)> {
    let mut acknowledged = None;
    loop {
        match agent.told().await? {
            Told::Saved { position } => acknowledged = acknowledged.max(Some(position)),
            Told::Refused { kind, .. } if kind == "fenced" => return Ok((acknowledged, true)),
            Told::Done => return Ok((acknowledged, false)),
            other => return Err(unexpected(&other)),
        }
    }
}

/// Where a checkpoint stands.
pub(in crate::areas) async fn place(cx: &Cx, name: &CheckpointName) -> Verdict<Option<Position>> {
    Ok(cx.checkpoints().load_checkpoint(name).await?.map(|stored| stored.position))
}

async fn checkpoint_fence(cx: Cx) -> Verdict {
    let rounds = cx.scale(8);
    cx.minimum_ops(rounds);
    let positions: Vec<_> = cx.append_medley(40).await?.iter().map(|event| event.position()).collect();
    let mut agents = cx.agents(2).await?;
    let (Some(mut old), Some(mut new)) = (agents.pop(), agents.pop()) else { return Ok(()) };
    for round in 0..rounds {
        let name = checkpoint(&format!("mailer {round}"));
        let (first, _) = old.claim(&name).await?;
        old.ask(&Ask::Save { positions: positions.clone() }).await?;
        // In the middle of its saves.
        let mut seen = None;
        while seen < Some(positions[round % 5]) {
            seen = match old.told().await? {
                Told::Saved { position } => Some(position),
                other => return Err(unexpected(&other)),
            };
        }
        let (second, resumed) = new.claim(&name).await?;
        ensure!(first < second, "the claims of two processes were given the epochs {first} and {second}");
        let acknowledged = until_fenced(&mut old).await?.0.max(seen);
        ensure!(
            acknowledged <= resumed,
            "a save at {acknowledged:?} was acknowledged, but the new owner resumes at {resumed:?}"
        );
        old.ask(&Ask::Save { positions: positions.clone() }).await?;
        let (after, fenced) = until_fenced(&mut old).await?;
        ensure!(
            fenced && after.is_none(),
            "after the claim of another process a save at {after:?} was acknowledged"
        );
        ensure_eq!(place(&cx, &name).await?, resumed, "the place after the claim, which nobody moved since");
        new.ask(&Ask::Save { positions: positions.clone() }).await?;
        let (moved, fenced) = until_fenced(&mut new).await?;
        ensure!(moved.is_some() && !fenced, "the owner itself is fenced after {moved:?}");
        cx.count_op();
    }
    Ok(())
}
