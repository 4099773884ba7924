//! Clients that are killed, or stopped for longer than anybody waits.

use std::time::Duration;

use annalist_core::{Append, CheckpointName, ExpectedVersion, Position};
use rand::Rng;

use crate::agent::{Ask, Load, Told, Traffic};
use crate::areas::proc::{place, until_fenced};
use crate::history::merge::Merged;
use crate::history::{Recorder, Session};
use crate::{Cx, Failure, Verdict, checkpoint, checks, ensure, ensure_eq, events, stream};

checks! {
    area: "crash",
    client_kill {
        guarantee: "A8", level: 3, kind: Stochastic,
        needs: [Processes], hooks: [Agent],
        summary: "When a writer is killed, all that was acknowledged to it is there, all else is there wholly or not at all, and the next append is as good as any.",
        likely_cause: "acknowledged before it is sent, or sent in parts",
    }
    client_pause {
        guarantee: "S5", level: 3, kind: Stochastic,
        needs: [Processes, StoppedProcesses], hooks: [Agent],
        summary: "A writer that is stopped for long and goes on keeps nobody waiting, is told nothing false, and stays fenced if its checkpoint was claimed meanwhile.",
        likely_cause: "a process that believes in its lease, and writes after another one has taken over",
    }
    client_overdue {
        guarantee: "S5", level: 3, kind: Stochastic,
        needs: [Processes], hooks: [Agent],
        summary: "A writer that was stopped for long and goes on, with what it was about long overdue, is told nothing false, and stays fenced once its checkpoint is claimed.",
        likely_cause: "a process that believes in its lease; an answer that is told as definite because it came late",
    }
}

async fn client_kill(cx: Cx) -> Verdict {
    let (kills, mut rng) = (cx.scale(10), cx.rng());
    cx.minimum_ops(kills);
    let (recorder, mut merged) = (Recorder::through_faults(), Merged::default());
    let here = recorder.session(&cx);
    for number in 1..=kills as u32 {
        let mut agent = cx.agent().await?;
        let traffic = Traffic::of(&cx, number, Load::Plain);
        agent.ask(&Ask::Traffic(traffic)).await?;
        merged.note_all(agent.notes(rng.random_range(1..20)).await?);
        // A kill that comes with the line would always meet the beginning of an append.
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..5_000))).await;
        merged.note_all(agent.kill().await?);
        for name in [traffic.own_stream(), "Order-1".to_owned()] {
            here.append(Append::to(&stream(&name), ExpectedVersion::Any, events(2))).await?;
        }
        here.read_log().await?;
        cx.count_op();
    }
    if merged.acknowledged() == 0 || merged.unanswered() == 0 {
        return Err(Failure::Inconclusive("no writer was killed in the middle of its work".to_owned()));
    }
    recorder.add(merged.operations());
    recorder.judge(&cx, "client_kill").await
}

async fn client_pause(cx: Cx) -> Verdict {
    stopped(cx, "client_pause", Others::WhileStopped).await
}

async fn client_overdue(cx: Cx) -> Verdict {
    stopped(cx, "client_overdue", Others::Afterwards).await
}

/// When others claim and write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    WhileStopped,
    Afterwards,
}

/// Stops an owner and a writer in the middle of their work, and lets them go on.
async fn stopped(cx: Cx, check: &'static str, others: Others) -> Verdict {
    let (rounds, long) = (cx.scale(2), cx.patience() / 15);
    cx.minimum_ops(rounds);
    let (recorder, mut merged) = (Recorder::through_faults(), Merged::default());
    let here = recorder.session(&cx);
    let places = here.append(Append::to(&stream("Place-1"), ExpectedVersion::Any, events(40))).await?;
    let positions = places.written()[0].positions().to_vec();
    for number in 1..=rounds as u32 {
        let name = checkpoint(&format!("mailer {number}"));
        let mut agents = cx.agents(2).await?;
        let (Some(mut owner), Some(mut writer)) = (agents.pop(), agents.pop()) else { return Ok(()) };
        owner.claim(&name).await?;
        owner.ask(&Ask::Save { positions: positions.clone() }).await?;
        // What is under way when they are stopped is overdue when they go on.
        let traffic = Traffic { timeout: long / 2, ..Traffic::of(&cx, number, Load::Plain) };
        writer.ask(&Ask::Traffic(traffic)).await?;
        merged.note_all(writer.notes(5).await?);
        let begun = owner.told().await?;
        ensure!(matches!(begun, Told::Saved { .. }), "the first save of an owner was answered {begun:?}");
        owner.pause().await?;
        writer.pause().await?;

        let mut resumed = None;
        if others == Others::WhileStopped {
            resumed = Some(take_over(&cx, &here, &name).await?);
        }
        // The length of the fault, not a wait for anything.
        tokio::time::sleep(long).await;
        owner.resume()?;
        writer.resume()?;
        let resumed = match resumed {
            Some(resumed) => resumed,
            None => take_over(&cx, &here, &name).await?,
        };

        let (acknowledged, _) = until_fenced(&mut owner).await?;
        ensure!(
            acknowledged <= resumed,
            "a save at {acknowledged:?} was acknowledged, but the new owner resumes at {resumed:?}"
        );
        owner.ask(&Ask::Save { positions: positions.clone() }).await?;
        let (after, fenced) = until_fenced(&mut owner).await?;
        ensure!(fenced && after.is_none(), "a fenced owner that goes on saved {after:?}");
        ensure_eq!(place(&cx, &name).await?, resumed, "the place after the owner went on");
        merged.note_all(writer.notes(10).await?);
        writer.ask(&Ask::Stop).await?;
        merged.note_all(writer.until_done().await?);
        cx.count_op();
    }
    recorder.add(merged.operations());
    recorder.judge(&cx, check).await
}

/// Claims the checkpoint of an owner elsewhere, and appends beside a writer elsewhere; gives the place where the new owner goes on.
async fn take_over(cx: &Cx, here: &Session, name: &CheckpointName) -> Verdict<Option<Position>> {
    let claimed = cx.within("a claim beside another owner", cx.checkpoints().claim_checkpoint(name)).await?;
    let beside = here.append(Append::to(&stream("Order-1"), ExpectedVersion::Any, events(2)));
    cx.within("an append beside another writer", beside).await??;
    Ok(claimed?.checkpoint.map(|stored| stored.position))
}
