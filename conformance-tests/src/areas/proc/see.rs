//! What one process writes, the others see.

use annalist_core::{Append, EventId, ExpectedVersion, Query, Read, RecordedEvent, Subscribe};

use crate::agent::{Agent, Ask, From, Load, Told, Traffic, unexpected};
use crate::areas::global::tail::Reader;
use crate::areas::writers::Writers;
use crate::history::Answer;
use crate::history::merge::Merged;
use crate::{Cx, Tail, Verdict, checks, ensure_eq, events, exact, stream};

checks! {
    area: "proc",
    visibility {
        guarantee: "R3", level: 3, kind: Deterministic,
        needs: [Processes], hooks: [Agent],
        summary: "What was acknowledged to one process is in the next read of any other, of the stream and of the log.",
        likely_cause: "reads answered from a cache of the process",
    }
    live {
        guarantee: "S2", level: 3, kind: Deterministic,
        needs: [Processes], hooks: [Agent],
        summary: "A subscription gets the appends of other processes by a wake-up or within the declared bound.",
        likely_cause: "subscriptions that are woken by the appends of their own process only",
    }
    tail {
        guarantee: "G2", level: 3, kind: Stochastic,
        needs: [Processes], hooks: [Agent],
        summary: "A reader in one process that reads on after what it saw misses nothing, while others append single events and batches of fifty.",
        likely_cause: "the position is taken at insert, and the event shows at commit, in another order",
    }
}

fn ids(append: &Append) -> impl Iterator<Item = EventId> {
    append.events().map(|(_, event)| event.id())
}

async fn visibility(cx: Cx) -> Verdict {
    let mut agents = cx.agents(2).await?;
    let (order, mut written) = (stream("Order-1"), Vec::<EventId>::new());
    for round in 0..cx.scale(10) {
        let append = Append::to(&order, exact(written.len() as u64), events(1 + round % 3));
        let answer = agents[round % 2].append(&append).await?;
        crate::ensure!(
            matches!(answer, Answer::Committed { .. }),
            "in round {round} an append was answered {answer:?}"
        );
        written.extend(ids(&append));
        for (what, read) in [("stream", Read::stream(&order)), ("log", Read::log(Query::all()))] {
            let found = match agents[(round + 1) % 2].read(&read).await? {
                Answer::Events { events, .. } => events.into_iter().map(|(_, _, id, _)| id).collect(),
                _ => Vec::new(),
            };
            ensure_eq!(found, written, "the {what}, read by another process in round {round}");
        }
        let found: Vec<_> = cx.read_stream(&order).await?.iter().map(RecordedEvent::id).collect();
        ensure_eq!(found, written, "the stream, read by this process in round {round}");
    }
    Ok(())
}

/// The next event that an agent's subscription gives.
async fn followed(agent: &mut Agent) -> Verdict<EventId> {
    loop {
        match agent.told().await? {
            Told::Event { id } => return Ok(id),
            Told::CaughtUp => {}
            other => return Err(unexpected(&other)),
        }
    }
}

/// Appends one by one, each only once the one before has arrived here and in another process.
async fn one_by_one(cx: &Cx, n: usize, writer: &mut Agent, follower: &mut Agent, tail: &mut Tail) -> Verdict {
    for round in 0..n {
        let append = Append::to(&stream("Order-1"), ExpectedVersion::Any, events(1));
        // Of this process only the other one has to hear of, and of the other one only this process.
        if round % 2 == 0 {
            writer.append(&append).await?;
        } else {
            cx.append(append.clone()).await?;
        }
        let sent: Vec<_> = ids(&append).collect();
        ensure_eq!(vec![tail.event().await?.id()], sent, "the event that arrived here in round {round}");
        ensure_eq!(
            vec![followed(follower).await?],
            sent,
            "the event that arrived elsewhere in round {round}"
        );
    }
    Ok(())
}

async fn live(cx: Cx) -> Verdict {
    const ROUNDS: usize = 6;
    let mut agents = cx.agents(2).await?;
    let (Some(mut writer), Some(mut follower)) = (agents.pop(), agents.pop()) else { return Ok(()) };
    let mut tail = cx.tail(Subscribe::to(Query::all()).from_now()).await?;
    follower.ask(&Ask::Follow { from: From::Now }).await?;
    crate::ensure!(
        follower.told().await? == Told::Following,
        "the subscription of another process began otherwise"
    );
    let long = cx.capabilities().wake_up_max() * ROUNDS as u32 + cx.patience();
    let arrived = one_by_one(&cx, ROUNDS, &mut writer, &mut follower, &mut tail);
    let in_time = tokio::time::timeout(long, arrived).await;
    in_time.map_err(|_| {
        crate::Failure::violation(format!(
            "{ROUNDS} events of other processes, one by one, took longer than {long:?}"
        ))
    })?
}

async fn tail(cx: Cx) -> Verdict {
    const WRITERS: usize = 3;
    let steps = cx.scale(40);
    cx.minimum_ops(WRITERS * steps);
    let mut agents = cx.agents(WRITERS).await?;
    for (agent, number) in agents.iter_mut().zip(1..) {
        let traffic = Traffic { steps: steps as u64, ..Traffic::of(&cx, number, Load::Batches) };
        agent.ask(&Ask::Traffic(traffic)).await?;
    }
    let mut agents = agents.into_iter();
    let mut writers = Writers::start(&cx, WRITERS, |_| {
        let (agent, cx) = (agents.next(), cx.clone());
        async move {
            let mut history = Merged::default();
            if let Some(mut agent) = agent {
                history.note_all(agent.until_done().await?);
            }
            cx.count_ops(history.acknowledged());
            Ok(())
        }
    });
    let handle = cx.fresh().await?;
    let mut readers = [(1_000, false), (7, false), (100, true)]
        .map(|(page_size, by_head)| Reader::new(handle.clone(), Query::all(), page_size, by_head));
    while writers.at_work().await {
        for reader in &mut readers {
            reader.catch_up().await?;
        }
    }
    writers.done().await?;
    let log = cx.fresh().await?.read_log().await?;
    for reader in &mut readers {
        reader.catch_up().await?;
        reader.compare(&log).await?;
    }
    Ok(())
}
