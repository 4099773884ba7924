//! Appends that exclude one another: exactly one of them commits.

use annalist_core::{Append, ErrorKind, ExpectedVersion, Position, Query, Read};

use super::{Answer, race};
use crate::{Cx, Handle, Verdict, checks, ensure, ensure_eq, events, exact, expect, stream, tagged};

checks! {
    area: "conc",
    one_winner {
        guarantee: "A3", level: 2, kind: Stochastic,
        summary: "Of any number of appends at once that expect the same version, exactly one commits, and the others conflict.",
        likely_cause: "`MAX(version)` read and compared before the insert, without a constraint",
    }
    one_winner_new_stream {
        guarantee: "A3", level: 2, kind: Stochastic,
        summary: "Of any number of appends at once that expect no stream, exactly one makes it.",
        likely_cause: "a race for the row of the stream",
    }
    handles {
        guarantee: "A3", level: 2, kind: Stochastic,
        summary: "Also through handles that share nothing but the log, exactly one of such appends commits.",
        likely_cause: "a lock or a cache of versions in each handle",
    }
    one_winner_condition {
        guarantee: "A3", level: 2, kind: Stochastic,
        summary: "Of appends at once to many streams whose conditions exclude one another, exactly one commits.",
        likely_cause: "conditions read before the write: a name that is taken twice",
    }
    one_winner_after_head {
        guarantee: "A3", level: 2, kind: Stochastic,
        summary: "Of appends at once that each decided on the same head, exactly one commits.",
        likely_cause: "a condition that sees what was there when the statement began",
    }
    write_skew {
        guarantee: "A3", level: 2, kind: Stochastic,
        summary: "Of two appends that each check the stream that the other writes, exactly one commits.",
        likely_cause: "snapshot isolation: both see the other's stream as it was",
    }
    progress {
        guarantee: "A5", level: 2, kind: Stochastic,
        summary: "Of appends at once to the same streams, in any order of theirs, one commits in every round.",
        likely_cause: "contenders that abort one another, or a deadlock told as a conflict",
    }
}

/// How many race at once, from the fewest that can to many.
const CALLERS: [usize; 3] = [2, 4, 16];

/// Exactly one of the answers is a receipt, and the others are conflicts. Its place is given.
fn one_winner_of(answers: Vec<Answer>, round: usize) -> Verdict<usize> {
    let callers = answers.len();
    let winners: Vec<_> = (0..callers).filter(|i| answers[*i].is_ok()).collect();
    ensure!(
        winners.len() == 1,
        "in round {round} {} of {callers} appends that exclude one another committed",
        winners.len()
    );
    for answer in answers {
        if let Err(error) = answer {
            let conflict = matches!(error.kind(), ErrorKind::Conflict(_));
            ensure!(conflict, "in round {round} one that lost is answered {error:?}");
        }
    }
    Ok(winners[0])
}

async fn same_version(cx: &Cx, handles: &[Handle], rounds: usize) -> Verdict {
    let mut version = 0;
    let order = stream("Order-1");
    for round in 0..rounds {
        let callers = CALLERS[round % CALLERS.len()];
        let appends: Vec<_> = (0..callers).map(|_| Append::to(&order, exact(version), events(1))).collect();
        let winner = one_winner_of(race(cx, handles, appends.clone()).await?, round)?;
        version += 1;
        let found = cx.read_stream(&order).await?;
        ensure_eq!(found.len() as u64, version, "events after round {round}");
        let id = appends[winner].writes()[0].events[0].id();
        ensure!(
            found.last().is_some_and(|last| last.id() == id),
            "the newest event of round {round} is not the winner's"
        );
        expect::version_conflict(
            cx.append_to(&order, exact(version - 1), events(1)).await,
            &order,
            exact(version - 1),
            version,
        )?;
    }
    Ok(())
}

async fn one_winner(cx: Cx) -> Verdict {
    let rounds = cx.scale(15);
    cx.minimum_ops(rounds * 2);
    let handles = cx.handles(1).await?;
    same_version(&cx, &handles, rounds).await
}

async fn handles(cx: Cx) -> Verdict {
    let rounds = cx.scale(15);
    cx.minimum_ops(rounds * 2);
    let handles = cx.handles(8).await?;
    same_version(&cx, &handles, rounds).await
}

async fn one_winner_new_stream(cx: Cx) -> Verdict {
    let rounds = cx.scale(15);
    cx.minimum_ops(rounds * 2);
    let handles = cx.handles(4).await?;
    for round in 0..rounds {
        let order = stream(&format!("Order-{round}"));
        let expected = [ExpectedVersion::NoStream, exact(0)];
        let append = |i: usize| Append::to(&order, expected[i % 2], events(2));
        let appends = (0..CALLERS[round % CALLERS.len()]).map(append).collect();
        one_winner_of(race(&cx, &handles, appends).await?, round)?;
        ensure_eq!(cx.read_stream(&order).await?.len(), 2, "events of the stream of round {round}");
    }
    Ok(())
}

async fn one_winner_condition(cx: Cx) -> Verdict {
    let rounds = cx.scale(15);
    cx.minimum_ops(rounds * 2);
    let handles = cx.handles(4).await?;
    for round in 0..rounds {
        let name = format!("email:{round}");
        let append = |i: usize| {
            let registered = [tagged("Registered", &[&name])];
            let append =
                Append::to(&stream(&format!("User-{round}-{i}")), ExpectedVersion::NoStream, registered);
            append.condition(Query::tags([&name]), Position::START)
        };
        let appends = (0..CALLERS[round % CALLERS.len()]).map(append).collect();
        one_winner_of(race(&cx, &handles, appends).await?, round)?;
        let found = cx.drain(Read::log(Query::tags([&name]))).await?.events;
        ensure_eq!(found.len(), 1, "events that took the name of round {round}");
    }
    Ok(())
}

async fn one_winner_after_head(cx: Cx) -> Verdict {
    let rounds = cx.scale(15);
    cx.minimum_ops(rounds * 2);
    let handles = cx.handles(4).await?;
    for round in 0..rounds {
        let head = cx.head().await?;
        let append = |i: usize| {
            let append = Append::to(&stream(&format!("Course-{i}")), ExpectedVersion::Any, events(1));
            append.condition(Query::category("Course"), head)
        };
        let appends = (0..CALLERS[round % CALLERS.len()]).map(append).collect();
        one_winner_of(race(&cx, &handles, appends).await?, round)?;
        ensure_eq!(cx.read_log().await?.len(), round + 1, "events after round {round}");
    }
    Ok(())
}

async fn write_skew(cx: Cx) -> Verdict {
    let rounds = cx.scale(60);
    cx.minimum_ops(rounds * 2);
    let handles = cx.handles(2).await?;
    for round in 0..rounds {
        let streams = ["Left", "Right"].map(|name| stream(&format!("{name}-{round}")));
        let [left, right] = &streams;
        let append = |write, check| {
            Append::to(write, ExpectedVersion::Any, events(1)).check(check, ExpectedVersion::NoStream)
        };
        let appends = vec![append(left, right), append(right, left)];
        one_winner_of(race(&cx, &handles, appends).await?, round)?;
    }
    ensure_eq!(cx.read_log().await?.len(), rounds, "events of one append in each round");
    Ok(())
}

async fn progress(cx: Cx) -> Verdict {
    let rounds = cx.scale(20);
    cx.minimum_ops(rounds * 2);
    let handles = cx.handles(4).await?;
    let streams = ["A-1", "B-1", "C-1"].map(stream);
    for round in 0..rounds {
        let append = |i: usize| {
            let write = |append: Append, n: usize| {
                append.write(&streams[(n + i) % 3], exact(round as u64), events(1))
            };
            (0..3).fold(Append::new(), write)
        };
        let appends = (0..CALLERS[round % CALLERS.len()]).map(append).collect();
        one_winner_of(race(&cx, &handles, appends).await?, round)?;
    }
    ensure_eq!(cx.read_log().await?.len(), rounds * 3, "events of one append in each round");
    Ok(())
}
