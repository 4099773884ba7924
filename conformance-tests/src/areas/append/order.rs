//! Which of several failed checks a refusal names: the first in request order.

use annalist_core::{Append, Conflict, ExpectedVersion, Position, Query};

use crate::{Cx, Verdict, checks, ensure_eq, events, exact, expect, stream};

checks! {
    area: "append",
    first_failed_write {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "Of several writes whose expectations do not hold, the refusal names the first in request order.",
        likely_cause: "streams sorted before they are locked and checked",
    }
    first_failed_check {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "Of several checks that do not hold, the refusal names the first in request order.",
        likely_cause: "all checks in one statement, whose first row is reported",
    }
    first_failed_condition {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "Of several conditions that do not hold, the refusal names the first in request order, by its place among all conditions.",
        likely_cause: "the place counted among the failed ones, or the last one found",
    }
    first_failed_in_request_order {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "A refusal names writes before checks and checks before conditions, where several do not hold.",
        likely_cause: "conditions evaluated first, because they need no lock",
    }
}

/// An append whose every part can be made to fail. Streams are named so that sorting them turns their order round.
struct Parts {
    writes: [ExpectedVersion; 3],
    checks: [ExpectedVersion; 3],
    conditions: [Position; 3],
}

const WRITTEN: [&str; 3] = ["Z-1", "M-1", "A-1"];
const CHECKED: [&str; 3] = ["Y-1", "N-1", "B-1"];

impl Parts {
    /// Nothing fails: every stream has two events, and no condition looks at anything.
    fn holding(head: Position) -> Self {
        Self { writes: [exact(2); 3], checks: [exact(2); 3], conditions: [head; 3] }
    }

    fn append(&self) -> Append {
        let mut append = Append::new();
        for (name, expected) in WRITTEN.iter().zip(self.writes) {
            append = append.write(&stream(name), expected, events(1));
        }
        for (name, expected) in CHECKED.iter().zip(self.checks) {
            append = append.check(&stream(name), expected);
        }
        for after in self.conditions {
            append = append.condition(Query::all(), after);
        }
        append
    }
}

/// Two events in each stream; the head and the position of the first event.
async fn prepared(cx: &Cx) -> Verdict<(Position, Position)> {
    for name in WRITTEN.iter().chain(&CHECKED) {
        cx.append_any(name, 2).await?;
    }
    let log = cx.read_log().await?;
    Ok((cx.head().await?, log[0].position()))
}

async fn first_failed_write(cx: Cx) -> Verdict {
    let (head, _) = prepared(&cx).await?;
    let before = cx.read_log().await?;
    for failing in [vec![0, 1, 2], vec![1, 2], vec![0, 2], vec![2]] {
        let mut parts = Parts::holding(head);
        failing.iter().for_each(|i| parts.writes[*i] = exact(7));
        let answer = cx.append(parts.append()).await;
        expect::version_conflict(answer, &stream(WRITTEN[failing[0]]), exact(7), 2)?;
    }
    cx.log_is(&before, &[], "after refused writes").await?;
    cx.append(Parts::holding(head).append()).await?;
    Ok(())
}

async fn first_failed_check(cx: Cx) -> Verdict {
    let (head, _) = prepared(&cx).await?;
    let before = cx.read_log().await?;
    for failing in [vec![0, 1, 2], vec![1, 2], vec![0, 2], vec![2]] {
        let mut parts = Parts::holding(head);
        failing.iter().for_each(|i| parts.checks[*i] = ExpectedVersion::NoStream);
        let answer = cx.append(parts.append()).await;
        let first = stream(CHECKED[failing[0]]);
        expect::version_conflict(answer, &first, ExpectedVersion::NoStream, 2)?;
    }
    cx.log_is(&before, &[], "after refused checks").await
}

async fn first_failed_condition(cx: Cx) -> Verdict {
    let (head, first) = prepared(&cx).await?;
    let before = cx.read_log().await?;
    for failing in [vec![0, 1, 2], vec![1, 2], vec![0, 2], vec![2]] {
        let mut parts = Parts::holding(head);
        failing.iter().for_each(|i| parts.conditions[*i] = Position::START);
        let conflict = expect::conflict(cx.append(parts.append()).await)?;
        let wanted = Conflict::Condition { index: failing[0], matched: first };
        ensure_eq!(conflict, wanted, "what the conflict tells where the conditions {failing:?} fail");
    }
    cx.log_is(&before, &[], "after refused conditions").await
}

async fn first_failed_in_request_order(cx: Cx) -> Verdict {
    let (head, first) = prepared(&cx).await?;
    let before = cx.read_log().await?;
    let mut parts = Parts::holding(head);
    parts.conditions[1] = Position::START;
    let wanted = Conflict::Condition { index: 1, matched: first };
    ensure_eq!(expect::conflict(cx.append(parts.append()).await)?, wanted, "where one condition fails");
    parts.checks[2] = exact(9);
    let answer = cx.append(parts.append()).await;
    expect::version_conflict(answer, &stream(CHECKED[2]), exact(9), 2)?;
    parts.writes[2] = ExpectedVersion::NoStream;
    let answer = cx.append(parts.append()).await;
    expect::version_conflict(answer, &stream(WRITTEN[2]), ExpectedVersion::NoStream, 2)?;
    cx.log_is(&before, &[], "after three refusals").await
}
