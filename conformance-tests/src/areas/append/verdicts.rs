//! The order of verdicts: invalid, known, then what does not hold.

use annalist_core::{Append, ExpectedVersion, NewEvent, Position, Query};

use super::past_head;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, exact, expect, stream};

checks! {
    area: "append",
    wrong_history_past_head {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "A condition after a position past the head is refused as `WrongHistory`, and nothing is written.",
        likely_cause: "nothing stands after such a position, so that the condition seems to hold",
    }
    wrong_history_other_log {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "A condition after a position of another log is refused as `WrongHistory`, and nothing is written.",
        likely_cause: "only the number of the position is looked at",
    }
    wrong_history_in_request_order {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "A wrong history and a conflict are told in request order: whichever comes first.",
        likely_cause: "all positions checked before everything else",
    }
    wrong_history_after_replay {
        guarantee: "I1", level: 1, kind: Deterministic,
        summary: "A retry succeeds even if the position of its condition is of another history by now.",
        likely_cause: "positions checked before ids",
    }
    replay_before_conflict {
        guarantee: "I1", level: 1, kind: Deterministic,
        summary: "An append that was committed before is told so, and not that its expectations do not hold any more.",
        likely_cause: "versions compared before ids are looked up",
    }
    reused_before_conflict {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "An id that was used before is told before a check or condition that does not hold.",
        likely_cause: "ids left to a unique constraint, which strikes last",
    }
    invalid_before_everything {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "An invalid append is told to be invalid, also where it would be a retry or a conflict.",
        likely_cause: "rules checked on the way, after the first look at the log",
    }
}

async fn wrong_history_past_head(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    cx.append_any("Order-1", 3).await?;
    let (before, head) = (cx.read_log().await?, cx.head().await?);
    for past in past_head(head) {
        for query in [Query::all(), Query::types(["Never"])] {
            let write = Append::to(&order, ExpectedVersion::Any, events(1)).condition(query.clone(), past);
            expect::wrong_history(cx.append(write).await)?;
            expect::wrong_history(cx.append(Append::new().condition(query, past)).await)?;
        }
    }
    cx.log_is(&before, &[], "after conditions past the head").await?;
    cx.append(Append::to(&order, exact(3), events(1)).condition(Query::all(), head)).await?;
    Ok(())
}

/// A position of another log; its numbers are those of an event that both logs hold.
async fn foreign(cx: &Cx) -> Verdict<Position> {
    let receipt = cx.other_namespace("b").await?.append_any("Order-1", 1).await?;
    Ok(receipt.position().unwrap_or(Position::START))
}

async fn wrong_history_other_log(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    cx.append_any("Order-1", 3).await?;
    let (before, foreign) = (cx.read_log().await?, foreign(&cx).await?);
    for query in [Query::all(), Query::types(["Never"])] {
        let write = Append::to(&order, ExpectedVersion::Any, events(1)).condition(query.clone(), foreign);
        expect::wrong_history(cx.append(write).await)?;
        expect::wrong_history(cx.append(Append::new().condition(query, foreign)).await)?;
    }
    cx.log_is(&before, &[], "after conditions of another log").await
}

async fn wrong_history_in_request_order(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    cx.append_any("Order-1", 3).await?;
    let (before, foreign) = (cx.read_log().await?, foreign(&cx).await?);
    let wrong_and = |expected| Append::to(&cart, expected, events(1)).condition(Query::all(), foreign);
    expect::version_conflict(cx.append(wrong_and(exact(5))).await, &cart, exact(5), 0)?;
    let checked = wrong_and(exact(0)).check(&order, ExpectedVersion::NoStream);
    expect::version_conflict(cx.append(checked).await, &order, ExpectedVersion::NoStream, 3)?;

    let matching_first =
        Append::new().condition(Query::all(), Position::START).condition(Query::all(), foreign);
    expect::conflict(cx.append(matching_first).await)?;
    let wrong_first = Append::new().condition(Query::all(), foreign).condition(Query::all(), Position::START);
    expect::wrong_history(cx.append(wrong_first).await)?;
    cx.log_is(&before, &[&cart], "after refusals").await
}

async fn wrong_history_after_replay(cx: Cx) -> Verdict {
    let (order, made) = (stream("Order-1"), events(2));
    let receipt = cx.append_to(&order, exact(0), made.clone()).await?;
    let mut positions = past_head(cx.head().await?);
    positions.push(foreign(&cx).await?);
    let before = cx.read_log().await?;
    for position in positions {
        let again = Append::to(&order, exact(0), made.clone()).condition(Query::all(), position);
        let retried = cx.append(again).await?;
        ensure!(retried.already_committed(), "a retry is told to be new: {retried:?}");
        ensure_eq!(retried.written(), receipt.written(), "the receipt of the retry");
    }
    cx.log_is(&before, &[], "after retries").await
}

async fn replay_before_conflict(cx: Cx) -> Verdict {
    let (order, made) = (stream("Order-1"), events(2));
    let append = Append::to(&order, ExpectedVersion::NoStream, made)
        .check(&stream("Cart-1"), ExpectedVersion::NoStream)
        .condition(Query::category("Order"), Position::START);
    let receipt = cx.append(append.clone()).await?;
    cx.append_any("Cart-1", 1).await?;
    cx.append_any("Order-1", 1).await?;
    let before = cx.read_log().await?;
    let retried = cx.append(append).await?;
    ensure!(retried.already_committed(), "a retry is told to be new: {retried:?}");
    ensure_eq!(retried.written(), receipt.written(), "the receipt of the retry");
    cx.log_is(&before, &[], "after the retry").await
}

async fn reused_before_conflict(cx: Cx) -> Verdict {
    let (order, made) = (stream("Order-1"), events(2));
    cx.append_to(&order, exact(0), made.clone()).await?;
    let before = cx.read_log().await?;
    let mixed = || events(1).into_iter().chain([made[1].clone()]);
    let refused = [
        Append::to(&order, exact(7), mixed()),
        Append::to(&order, ExpectedVersion::NoStream, mixed()),
        Append::to(&order, exact(2), mixed()).check(&stream("Cart-1"), ExpectedVersion::Exists),
        Append::to(&order, exact(2), mixed()).condition(Query::all(), Position::START),
        Append::to(&order, exact(2), mixed()).condition(Query::all(), foreign(&cx).await?),
    ];
    for append in refused {
        let reused = expect::id_reused(cx.append(append).await)?;
        ensure_eq!(reused.id, made[1].id(), "the id that is named");
    }
    cx.log_is(&before, &[&stream("Cart-1")], "after reused ids").await
}

async fn invalid_before_everything(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    let made = events(2);
    cx.append_to(&order, exact(0), made.clone()).await?;
    let before = cx.read_log().await?;
    let twice: Vec<NewEvent> = events(1).into_iter().cycle().take(2).collect();
    let invalid = [
        // Each would be a retry, a conflict or a wrong history but for what is invalid, which comes last in it.
        Append::to(&order, exact(0), made.clone()).condition(Query::any_of([]), Position::START),
        Append::to(&order, exact(0), made.clone()).check(&order, ExpectedVersion::Any),
        Append::to(&order, exact(9), events(1)).write(&cart, exact(0), twice.clone()),
        Append::to(&order, exact(9), events(1)).condition(Query::any_of([]), Position::START),
        Append::new().condition(Query::all(), Position::START).condition(Query::any_of([]), Position::START),
        Append::new()
            .condition(Query::all(), foreign(&cx).await?)
            .condition(Query::any_of([]), Position::START),
        Append::to(&order, exact(2), [made[0].clone()]).write(&cart, exact(0), twice),
    ];
    for append in invalid {
        expect::invalid(cx.append(append).await)?;
    }
    cx.log_is(&before, &[&cart], "after invalid appends").await
}
