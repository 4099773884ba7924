//! Whole histories of several processes, which one order must explain.

use annalist_core::Capability;
use futures::future::try_join_all;
use rand::Rng;

use super::PROCESSES;
use crate::agent::{Agent, Ask, Load, Traffic};
use crate::history::Recorder;
use crate::history::merge::Merged;
use crate::{Cx, Failure, Verdict, checks};

checks! {
    area: "proc",
    linearizable {
        guarantee: "A3", level: 3, kind: Stochastic,
        needs: [Processes], hooks: [Agent],
        summary: "All answers that several processes get to appends of every shape, to retries and to reads fit one order of the log and real time.",
        likely_cause: "a cache, a lock or a counter in each process",
    }
    kill_storm {
        guarantee: "A1", level: 3, kind: Stochastic,
        needs: [Processes], hooks: [Agent],
        summary: "The same while processes are killed, stopped and started again at any moment.",
        likely_cause: "an append that ends with its client half done, or holds what others need",
    }
}

/// Holds what was noted in several processes against the log.
async fn judge(cx: &Cx, recorder: Recorder, merged: Merged, name: &str) -> Verdict {
    recorder.add(merged.operations());
    recorder.judge(cx, name).await
}

async fn linearizable(cx: Cx) -> Verdict {
    let steps = cx.scale(80);
    cx.minimum_ops(PROCESSES * steps);
    let (mut agents, mut merged) = (cx.agents(PROCESSES).await?, Merged::default());
    for (agent, number) in agents.iter_mut().zip(1..) {
        let traffic = Traffic { steps: steps as u64, ..Traffic::of(&cx, number, Load::Mixed) };
        agent.ask(&Ask::Traffic(traffic)).await?;
    }
    for notes in try_join_all(agents.iter_mut().map(Agent::until_done)).await? {
        merged.note_all(notes);
    }
    cx.count_ops(merged.count());
    judge(&cx, Recorder::of_processes(), merged, "proc_linearizable").await
}

async fn kill_storm(cx: Cx) -> Verdict {
    let (kills, mut rng) = (cx.scale(12), cx.rng());
    cx.minimum_ops(kills);
    let stops = cx.capabilities().has(Capability::StoppedProcesses);
    let (mut agents, mut merged) = (cx.agents(PROCESSES).await?, Merged::default());
    let mut numbers = 1..;
    for (agent, number) in agents.iter_mut().zip(&mut numbers) {
        agent.ask(&Ask::Traffic(Traffic::of(&cx, number, Load::Mixed))).await?;
    }
    for (kill, number) in (0..kills).zip(&mut numbers) {
        // One is stopped meanwhile, where that keeps nobody waiting, and the others are at work.
        let killed = kill % PROCESSES;
        let stopped = stops.then_some((kill + 1) % PROCESSES);
        if let Some(stopped) = stopped {
            agents[stopped].pause().await?;
        }
        let at_work = agents.iter_mut().enumerate().filter(|(place, _)| Some(*place) != stopped);
        let lines = rng.random_range(10..40);
        for notes in try_join_all(at_work.map(|(_, agent)| agent.notes(lines))).await? {
            merged.note_all(notes);
        }
        let agent = std::mem::replace(&mut agents[killed], cx.agent().await?);
        merged.note_all(agent.kill().await?);
        if let Some(stopped) = stopped {
            agents[stopped].resume()?;
        }
        agents[killed].ask(&Ask::Traffic(Traffic::of(&cx, number, Load::Mixed))).await?;
        cx.count_op();
    }
    for agent in &mut agents {
        merged.note_all(agent.notes(10).await?);
        agent.ask(&Ask::Stop).await?;
    }
    for notes in try_join_all(agents.iter_mut().map(Agent::until_done)).await? {
        merged.note_all(notes);
    }
    if merged.unanswered() == 0 || merged.acknowledged() == 0 {
        return Err(Failure::Inconclusive("no append was under way when a process was killed".to_owned()));
    }
    judge(&cx, Recorder::through_faults(), merged, "proc_kill_storm").await
}
