//! Appends of several processes that exclude one another, or are the same.

use annalist_core::{Append, EventId, ExpectedVersion, Position, Query};

use super::{PROCESSES, race};
use crate::history::Answer;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, exact, stream, tagged};

checks! {
    area: "proc",
    one_winner {
        guarantee: "A3", level: 3, kind: Stochastic,
        needs: [Processes], hooks: [Agent],
        summary: "Of appends that several processes send at once and that exclude one another, by version, by new stream, by checks or by conditions, exactly one commits.",
        likely_cause: "a lock or a cache of versions in the process",
    }
    twins {
        guarantee: "I4", level: 3, kind: Stochastic,
        needs: [Processes], hooks: [Agent],
        summary: "Several processes that send one append at once all get the same receipt, and one copy exists.",
        likely_cause: "twins joined in the memory of the process, or the loser told that it conflicts",
    }
}

/// How appends exclude one another: of each kind one for each process, and only one of them can commit.
type Kind = fn(round: usize, process: usize) -> Append;

const KINDS: [(&str, Kind); 4] = [
    ("at the same version", |round, _| Append::to(&stream("Order-1"), exact(round as u64), events(1))),
    ("to the same new stream", |round, process| {
        let expected = [ExpectedVersion::NoStream, exact(0)][process % 2];
        Append::to(&stream(&format!("Cart-{round}")), expected, events(2))
    }),
    ("that check the streams of the others", |round, process| {
        let name = |process| stream(&format!("Seat-{round}-{process}"));
        let others = (0..PROCESSES).filter(|other| *other != process);
        let append = Append::to(&name(process), ExpectedVersion::Any, events(1));
        others.fold(append, |append, other| append.check(&name(other), ExpectedVersion::NoStream))
    }),
    ("whose conditions exclude one another", |round, process| {
        let name = format!("email:{round}");
        let user = stream(&format!("User-{round}-{process}"));
        let append = Append::to(&user, ExpectedVersion::NoStream, [tagged("Registered", &[&name])]);
        append.condition(Query::tags([&name]), Position::START)
    }),
];

fn ids(append: &Append) -> impl Iterator<Item = EventId> {
    append.events().map(|(_, event)| event.id())
}

async fn one_winner(cx: Cx) -> Verdict {
    let rounds = cx.scale(20);
    cx.minimum_ops(rounds * KINDS.len() * PROCESSES);
    let mut agents = cx.agents(PROCESSES).await?;
    let mut written: Vec<EventId> = Vec::new();
    for round in 0..rounds {
        for (kind, append) in KINDS {
            let appends: Vec<Append> = (0..PROCESSES).map(|process| append(round, process)).collect();
            let answers = race(&mut agents, &appends).await?;
            let won = |answer: &Answer| matches!(answer, Answer::Committed { already: false, .. });
            let lost = |answer: &Answer| matches!(answer, Answer::Version { .. } | Answer::Condition { .. });
            let winners: Vec<_> = (0..PROCESSES).filter(|process| won(&answers[*process])).collect();
            ensure!(
                winners.len() == 1 && answers.iter().all(|answer| won(answer) || lost(answer)),
                "in round {round} {PROCESSES} appends {kind} were answered {answers:?}"
            );
            written.extend(ids(&appends[winners[0]]));
            cx.count_ops(PROCESSES);
        }
    }
    let found: Vec<_> = cx.read_log().await?.iter().map(|event| event.id()).collect();
    ensure_eq!(found, written, "the events of the log, against those of the winners, round by round");
    Ok(())
}

async fn twins(cx: Cx) -> Verdict {
    let rounds = cx.scale(12);
    cx.minimum_ops(rounds * PROCESSES);
    let mut agents = cx.agents(PROCESSES).await?;
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    let mut written: Vec<EventId> = Vec::new();
    for round in 0..rounds {
        let append = match round % 3 {
            0 => Append::to(&order, ExpectedVersion::Any, events(3)),
            1 => Append::to(&order, exact(cx.version(&order).await?.get()), events(2)),
            _ => Append::to(&order, ExpectedVersion::Exists, events(1)).write(
                &cart,
                ExpectedVersion::Any,
                events(2),
            ),
        };
        let answers = race(&mut agents, &vec![append.clone(); PROCESSES]).await?;
        let receipt = |answer: &Answer| match answer {
            Answer::Committed { written, .. } => Some(written.clone()),
            _ => None,
        };
        let receipts: Vec<_> = answers.iter().map(receipt).collect();
        ensure!(
            receipts[0].is_some() && receipts.iter().all(|receipt| *receipt == receipts[0]),
            "in round {round} twins were answered {answers:?}"
        );
        written.extend(ids(&append));
        cx.count_ops(PROCESSES);
    }
    let found: Vec<_> = cx.read_log().await?.iter().map(|event| event.id()).collect();
    ensure_eq!(found, written, "the events of the log, one copy of each");
    Ok(())
}
