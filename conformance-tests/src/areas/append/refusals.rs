//! Refusals: nothing is left of them, and they say what did not hold.

use annalist_core::{Append, Conflict, ExpectedVersion, Position, Query, Version};

use super::expectations;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, exact, expect, stream, tagged};

checks! {
    area: "append",
    conflict_writes_nothing {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "A refused append of many events leaves none of them: not in its streams, the log or a subscription.",
        likely_cause: "events inserted before the version is checked",
    }
    conflict_reports_actual {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "A conflict tells the version that the stream really has, also when another handle moved it.",
        likely_cause: "the expected version echoed, or one from a cache",
    }
    conflict_repeatable {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "The same append conflicts again as long as its expectation does not hold.",
        likely_cause: "a cache that the failure refreshes, so that the second attempt goes through",
    }
    refusal_names_stream_expected_actual {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "A conflict names the stream, what was expected of it and the version that it has, for every kind of expectation.",
        likely_cause: "a unique violation passed on without looking what it was",
    }
    refusal_leaves_ids_free {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "The ids of a refused append can be used afterwards, in the same append and in another one.",
        likely_cause: "ids put into the index before the version is checked",
    }
    refusal_uses_no_version {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "A refused append uses up no version: the next events continue where the stream was.",
        likely_cause: "the stream's counter raised before the condition is checked",
    }
    any_with_condition_can {
        guarantee: "A6", level: 1, kind: Deterministic,
        summary: "An append that expects nothing of its stream can still conflict by its condition, and writes nothing then.",
        likely_cause: "the way of unconditional appends taken wherever no version is expected",
    }
}

async fn conflict_writes_nothing(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    cx.append_any("Order-1", 3).await?;
    cx.append_any("Cart-1", 2).await?;
    let before = cx.read_log().await?;
    for (expected, holds) in expectations(3).into_iter().filter(|(_, holds)| !holds) {
        ensure!(!holds, "only what does not hold is tried");
        expect::conflict(cx.append_to(&order, expected, events(5)).await)?;
    }
    cx.log_is(&before, &[&order], "after conflicts").await?;
    // What follows shows that no conflict left anything half done.
    cx.append_to(&order, exact(3), events(1)).await?;
    let log = cx.fresh().await?.read_log().await?;
    ensure_eq!(log.len(), before.len() + 1, "events after the next append");
    Ok(())
}

async fn conflict_reports_actual(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let fresh = cx.fresh().await?;
    for version in 1..=10 {
        // The handle that is refused is not the one that moved the stream.
        let (mover, other) = if version % 2 == 0 { (&*cx, &fresh) } else { (&fresh, &*cx) };
        mover.append_any("Order-1", 1).await?;
        let answer = other.append_to(&order, exact(version - 1), events(1)).await;
        expect::version_conflict(answer, &order, exact(version - 1), version)?;
        let answer = other.append_to(&order, exact(50), events(1)).await;
        expect::version_conflict(answer, &order, exact(50), version)?;
    }
    Ok(())
}

async fn conflict_repeatable(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    cx.append_any("Order-1", 3).await?;
    let before = cx.read_log().await?;
    let stale = Append::to(&order, exact(1), events(2));
    for _ in 0..3 {
        expect::version_conflict(cx.append(stale.clone()).await, &order, exact(1), 3)?;
    }
    let condition =
        Append::to(&order, ExpectedVersion::Any, events(2)).condition(Query::all(), Position::START);
    for _ in 0..3 {
        let wanted = Conflict::Condition { index: 0, matched: before[0].position() };
        ensure_eq!(expect::conflict(cx.append(condition.clone()).await)?, wanted, "what the conflict tells");
    }
    cx.log_is(&before, &[&order], "after the same conflicts three times").await
}

async fn refusal_names_stream_expected_actual(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 3).await?;
    let before = cx.read_log().await?;
    for (name, version) in [("Order-1", 3), ("Order-2", 0)] {
        let stream = stream(name);
        for (expected, _) in expectations(version).into_iter().filter(|(_, holds)| !holds) {
            let answer = cx.append_to(&stream, expected, events(1)).await;
            expect::version_conflict(answer, &stream, expected, version)?;
            let answer = cx.append(Append::new().check(&stream, expected)).await;
            expect::version_conflict(answer, &stream, expected, version)?;
        }
    }
    cx.log_is(&before, &[&stream("Order-2")], "after conflicts of every kind").await
}

async fn refusal_leaves_ids_free(cx: Cx) -> Verdict {
    let (order, made) = (stream("Order-1"), events(3));
    cx.append_any("Order-1", 2).await?;
    let stale = Append::to(&order, exact(1), made.clone());
    expect::conflict(cx.append(stale).await)?;
    let matched = Append::to(&order, exact(2), made.clone()).condition(Query::all(), Position::START);
    expect::conflict(cx.append(matched).await)?;

    // One of the events by itself, then the others in another order: three free ids have no history.
    let receipt = cx.append_to(&order, exact(2), [made[1].clone()]).await?;
    ensure!(!receipt.already_committed(), "an event that was refused is told to have been committed");
    let rest = [made[2].clone(), made[0].clone()];
    let receipt = cx.fresh().await?.append_to(&order, exact(3), rest).await?;
    ensure!(!receipt.already_committed(), "events that were refused are told to have been committed");
    let ids: Vec<_> = cx.read_stream(&order).await?.iter().skip(2).map(|event| event.id()).collect();
    ensure_eq!(ids, vec![made[1].id(), made[2].id(), made[0].id()], "the ids of the events appended at last");
    Ok(())
}

async fn refusal_uses_no_version(cx: Cx) -> Verdict {
    let (order, new) = (stream("Order-1"), stream("Order-2"));
    cx.append_any("Order-1", 2).await?;
    for _ in 0..3 {
        expect::conflict(cx.append_to(&order, exact(1), events(4)).await)?;
        expect::conflict(cx.append_to(&new, ExpectedVersion::Exists, events(4)).await)?;
    }
    for (stream, version) in [(&order, 3), (&new, 1)] {
        ensure_eq!(cx.version(stream).await?, Version::new(version - 1), "the version after conflicts");
        let receipt = cx.append_to(stream, ExpectedVersion::Any, events(1)).await?;
        ensure_eq!(receipt.version_of(stream), Some(Version::new(version)), "the version of the next event");
    }
    Ok(())
}

async fn any_with_condition_can(cx: Cx) -> Verdict {
    let (order, email) = (stream("Order-1"), Query::tags(["email:ada"]));
    let taken =
        cx.append_to(&stream("User-1"), ExpectedVersion::Any, [tagged("Joined", &["email:ada"])]).await?;
    let before = cx.read_log().await?;
    let append =
        Append::to(&order, ExpectedVersion::Any, events(2)).condition(email.clone(), Position::START);
    let conflict = expect::conflict(cx.append(append).await)?;
    let matched = taken.position().unwrap_or(Position::START);
    ensure_eq!(conflict, Conflict::Condition { index: 0, matched }, "what the conflict tells");
    cx.log_is(&before, &[&order], "after the condition did not hold").await?;
    cx.append(Append::to(&order, ExpectedVersion::Any, events(2)).condition(email, matched)).await?;
    ensure_eq!(cx.fresh().await?.read_stream(&order).await?.len(), 2, "events once the condition holds");
    Ok(())
}
