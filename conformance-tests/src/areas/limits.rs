//! Checks of the area `limits`: each limit is declared, is at or above the floor, and is enforced at exactly its value.

use annalist_core::{Append, ExpectedVersion, Limits, NewEvent, Query};

use crate::{
    Check, Cx, Failure, Verdict, checks, ensure, ensure_eq, event, events, exact, expect, same_as_appended,
    stream,
};

mod queries;
mod sizes;

pub(crate) const PARTS: &[&[Check]] = &[CHECKS, sizes::CHECKS, queries::CHECKS];

checks! {
    area: "limits",
    floors {
        guarantee: "L2", level: 1, kind: Deterministic,
        summary: "Every declared limit is at or above the floor of the contract.",
        likely_cause: "a limit of the technology passed on, such as 100 items of a transaction",
    }
    declared_once {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "What a store declares is the same through every handle, and stays while it is open.",
        likely_cause: "a declaration that is asked of the server, or changes with what was written",
    }
    events_per_append {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "An append of exactly as many events as declared is taken; one more is refused, also over two streams, and nothing of it is written.",
        likely_cause: "chunks: the first is written before the last is refused",
    }
    streams_per_append {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "An append to exactly as many streams as declared is taken; one more is refused, and nothing of it is written.",
        likely_cause: "a limit that counts events, or one that the server finds out half way",
    }
    checks_per_append {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "An append with exactly as many checks as declared is taken, each of them counts, and one more is refused.",
        likely_cause: "checks beyond a limit of the technology silently left out",
    }
    conditions_per_append {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "An append with exactly as many conditions as declared is taken, each of them counts, and one more is refused.",
        likely_cause: "only the first condition looked at",
    }
}

/// The value of a limit, if it is small enough to be tried.
fn declared(cx: &Cx, name: &str) -> Verdict<usize> {
    const BYTES_TRIED_MAX: usize = 64 * 1024 * 1024;
    const COUNT_TRIED_MAX: usize = 100_000;
    let tried_max = if name.starts_with("bytes") { BYTES_TRIED_MAX } else { COUNT_TRIED_MAX };
    let found = cx.capabilities().limits().each().into_iter().find(|(limit, _)| *limit == name);
    let (_, value) = found.expect("a check names a limit that there is");
    if value > tried_max {
        let told = format!("{value} {name} are more than the {tried_max} that can be tried");
        return Err(Failure::Inconclusive(told));
    }
    Ok(value)
}

/// `n` events of one byte each.
fn small(n: usize) -> Vec<NewEvent> {
    (0..n).map(|_| event("E", "")).collect()
}

async fn floors(cx: Cx) -> Verdict {
    let limits = cx.capabilities().limits();
    for ((name, value), (_, floor)) in limits.each().into_iter().zip(Limits::FLOOR.each()) {
        crate::note!(cx, value >= floor, "{name} are declared as {value}, below the floor of {floor}");
    }
    Ok(())
}

async fn declared_once(cx: Cx) -> Verdict {
    let before = cx.capabilities().clone();
    cx.append_any("Order-1", 3).await?;
    expect::conflict(cx.append_to(&stream("Order-1"), exact(1), events(1)).await)?;
    cx.read_log().await?;
    ensure_eq!(cx.capabilities(), &before, "what this handle declares after some use");
    for (n, handle) in cx.handles(3).await?.iter().enumerate() {
        ensure_eq!(handle.store().capabilities(), &before, "what handle {n} declares");
    }
    let other = cx.other_namespace("b").await?;
    ensure_eq!(other.store().capabilities(), &before, "what another namespace declares");
    Ok(())
}

async fn events_per_append(cx: Cx) -> Verdict {
    let limit = declared(&cx, "events per append")?;
    let [many, other] = [stream("Many-1"), stream("Other-1")];
    let too_many = small(limit + 1);
    let (half, rest) = too_many.split_at(limit / 2);

    let answer = cx.append_to(&many, ExpectedVersion::Any, too_many.clone()).await;
    expect::over_limit(answer, "events per append", limit, limit + 1)?;
    let over_two = Append::to(&many, ExpectedVersion::Any, half.to_vec());
    let over_two = over_two.write(&other, ExpectedVersion::Any, rest.to_vec());
    expect::over_limit(cx.append(over_two).await, "events per append", limit, limit + 1)?;
    cx.log_is(&[], &[&many, &other], "after two appends of too many events").await?;

    cx.append_to(&many, ExpectedVersion::NoStream, too_many[..limit].to_vec()).await?;
    let found = cx.fresh().await?.read_stream(&many).await?;
    same_as_appended(&found, &too_many[..limit], "an append of as many events as declared")
}

async fn streams_per_append(cx: Cx) -> Verdict {
    let limit = declared(&cx, "streams per append")?;
    let to = |count: usize| {
        let written = |append: Append, n| {
            append.write(&stream(&format!("Many-{n}")), ExpectedVersion::NoStream, small(1))
        };
        (0..count).fold(Append::new(), written)
    };
    expect::over_limit(cx.append(to(limit + 1)).await, "streams per append", limit, limit + 1)?;
    cx.log_is(&[], &[&stream("Many-0")], "after an append to too many streams").await?;

    let receipt = cx.append(to(limit)).await?;
    ensure_eq!(receipt.written().len(), limit, "streams of the receipt");
    let found = cx.fresh().await?.read_log().await?;
    ensure_eq!(found.len(), limit, "events of an append to as many streams as declared");
    for (n, event) in found.iter().enumerate() {
        ensure!(event.stream() == &stream(&format!("Many-{n}")), "event {n} is in {:?}", event.stream());
    }
    Ok(())
}

async fn checks_per_append(cx: Cx) -> Verdict {
    let limit = declared(&cx, "checks per append")?;
    cx.append_any("Taken-1", 1).await?;
    let (before, order) = (cx.read_log().await?, stream("Order-1"));
    let with = |count: usize| {
        let checked =
            |append: Append, n| append.check(&stream(&format!("Free-{n}")), ExpectedVersion::NoStream);
        (0..count).fold(Append::to(&order, ExpectedVersion::Any, small(1)), checked)
    };
    let answer = cx.append(with(limit + 1)).await;
    expect::over_limit(answer, "checks per append", limit, limit + 1)?;
    // The last of as many as declared is the one that does not hold.
    let failing = with(limit - 1).check(&stream("Taken-1"), ExpectedVersion::NoStream);
    let answer = cx.append(failing).await;
    expect::version_conflict(answer, &stream("Taken-1"), ExpectedVersion::NoStream, 1)?;
    cx.log_is(&before, &[&order], "after an append with too many checks, and one whose last did not hold")
        .await?;

    cx.append(with(limit)).await?;
    ensure_eq!(
        cx.fresh().await?.read_stream(&order).await?.len(),
        1,
        "events after as many checks as declared"
    );
    Ok(())
}

async fn conditions_per_append(cx: Cx) -> Verdict {
    let limit = declared(&cx, "conditions per append")?;
    cx.append_to(&stream("Taken-1"), ExpectedVersion::Any, [event("Taken", "{}")]).await?;
    let (before, order) = (cx.read_log().await?, stream("Order-1"));
    let start = annalist_core::Position::START;
    let with = |count: usize| {
        let free = |append: Append, n| append.condition(Query::tags([format!("free {n}")]), start);
        (0..count).fold(Append::to(&order, ExpectedVersion::Any, small(1)), free)
    };
    let answer = cx.append(with(limit + 1)).await;
    expect::over_limit(answer, "conditions per append", limit, limit + 1)?;
    let failing = with(limit - 1).condition(Query::types(["Taken"]), start);
    let conflict = expect::conflict(cx.append(failing).await)?;
    let matched = before[0].position();
    let wanted = annalist_core::Conflict::Condition { index: limit - 1, matched };
    ensure_eq!(conflict, wanted, "the conflict of the last condition");
    cx.log_is(
        &before,
        &[&order],
        "after an append with too many conditions, and one whose last did not hold",
    )
    .await?;

    cx.append(with(limit)).await?;
    ensure_eq!(
        cx.fresh().await?.read_stream(&order).await?.len(),
        1,
        "events after as many conditions as declared"
    );
    Ok(())
}
