//! Many processes that set up the same new namespace.

use annalist_core::{Append, ExpectedVersion, RecordedEvent};

use crate::agent::Ask;
use crate::history::Answer;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, stream};

checks! {
    area: "crash",
    migrate_race {
        guarantee: "A3", level: 3, kind: Stochastic,
        needs: [Processes], hooks: [Agent],
        summary: "Of processes that open and set up the same new namespace at once, all succeed, and all work on one log.",
        likely_cause: "`CREATE TABLE IF NOT EXISTS` in a race, which fails for one of two",
    }
}

async fn migrate_race(cx: Cx) -> Verdict {
    const PROCESSES: usize = 8;
    let rounds = cx.scale(3);
    cx.minimum_ops(rounds * PROCESSES);
    let mut agents = cx.unopened_agents(PROCESSES).await?;
    for round in 0..rounds {
        let suffix = format!("m{round}");
        let namespace = format!("{}{suffix}", cx.namespace());
        for agent in &mut agents {
            agent.ask(&Ask::Hold(Box::new(Ask::Open { namespace: namespace.clone() }))).await?;
        }
        for agent in &mut agents {
            agent.ask(&Ask::Go).await?;
        }
        for agent in &mut agents {
            agent.opened().await?;
            cx.count_op();
        }
        let order = stream("Order-1");
        let mut written = Vec::new();
        for agent in &mut agents {
            let append = Append::to(&order, ExpectedVersion::Any, events(1));
            let answer = agent.append(&append).await?;
            ensure!(
                matches!(answer, Answer::Committed { .. }),
                "after the set-up an append was answered {answer:?}"
            );
            written.extend(append.events().map(|(_, event)| event.id()));
        }
        let found = cx.other_namespace(&suffix).await?.read_stream(&order).await?;
        let found: Vec<_> = found.iter().map(RecordedEvent::id).collect();
        ensure_eq!(found, written, "the events of {PROCESSES} processes that set up one namespace");
    }
    Ok(())
}
