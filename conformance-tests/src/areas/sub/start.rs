//! Where a subscription begins, and where it must not.

use annalist_core::{Error, Query, QueryItem, Subscribe};

use super::past;
use super::session::{Session, last, last_of};
use crate::{Cx, Failure, Tail, Verdict, checks, ensure, expect};

checks! {
    area: "sub",
    from_now {
        guarantee: "S3", level: 1, kind: Deterministic,
        summary: "\"From now\" is fixed when `subscribe` returns: what was there before does not come, what is appended before the first look does.",
        likely_cause: "the head is asked for when the first event is asked for",
    }
    from_now_other_handle {
        guarantee: "S3", level: 1, kind: Deterministic,
        summary: "\"From now\" means the head of the log, not of what this handle has seen.",
        likely_cause: "a head that is kept per handle",
    }
    before_first_look {
        guarantee: "S1", level: 1, kind: Deterministic,
        summary: "Events appended between `subscribe` and the first look come once.",
        likely_cause: "what is caught up with and what is live overlap",
    }
    past_head {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "A subscription after a position past the head is refused as a wrong history.",
        likely_cause: "a watch in the future that gives old events, or waits for ever",
    }
    other_log {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "A subscription after a position of another log is refused as a wrong history.",
        likely_cause: "positions are bare numbers",
    }
    invalid_query {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A subscription to a query without items, or with an empty item, is invalid.",
        likely_cause: "no condition is taken for every event",
    }
}

async fn from_now(cx: Cx) -> Verdict {
    for round in 0..3 {
        // The first round begins on an empty log.
        let head = cx.head().await?;
        let mut session = Session::begin(&cx, Subscribe::to(Query::all()).from_now(), head).await?;
        let marker = cx.append_any("Order-2", 2).await?;
        session.until(last_of(&marker)).await?;
        session.is_of(&cx.read_log().await?, &format!("what came from now on, round {round}"))?;
    }
    Ok(())
}

async fn from_now_other_handle(cx: Cx) -> Verdict {
    let fresh = cx.fresh().await?;
    for round in 0..3 {
        fresh.append_any("Order-1", 3).await?;
        let head = fresh.head().await?;
        let mut session = Session::begin(&cx, Subscribe::to(Query::all()).from_now(), head).await?;
        let marker = fresh.append_any("Order-2", 1).await?;
        session.until(last_of(&marker)).await?;
        session.is_of(&cx.read_log().await?, &format!("what came from now on, round {round}"))?;
    }
    Ok(())
}

async fn before_first_look(cx: Cx) -> Verdict {
    for page_size in [1, 3, 1_000] {
        let log = cx.append_medley(7).await?;
        let subscribe = Subscribe::to(Query::all()).after(log[2].position()).page_size(page_size);
        let mut session = Session::begin(&cx, subscribe, log[2].position()).await?;
        let marker = cx.append_any("Order-9", 5).await?;
        session.until(last_of(&marker)).await?;
        let marker = cx.append_any("Order-9", 1).await?;
        session.until(last_of(&marker)).await?;
        session.is_of(&cx.read_log().await?, &format!("what came with pages of {page_size}"))?;
    }
    Ok(())
}

/// The error with which a subscription is refused: by `subscribe`, or by its first answer.
async fn refusal(cx: &Cx, subscribe: Subscribe) -> Verdict<Error> {
    let mut subscription = match cx.store().subscribe(subscribe).await {
        Ok(subscription) => Tail::new(subscription, cx.patience()),
        Err(error) => return Ok(error),
    };
    match subscription.answer().await? {
        Some(Err(error)) => {
            let after = subscription.answer().await?;
            ensure!(after.is_none(), "after its error the subscription gave {after:?}");
            Ok(error)
        }
        answer => Err(Failure::violation(format!("it must be refused, but gave {answer:?}"))),
    }
}

async fn past_head(cx: Cx) -> Verdict {
    let log = cx.append_medley(5).await?;
    for after in [past(last(&log)), super::with_numbers(last(&log), u64::MAX, u32::MAX)] {
        let refused = refusal(&cx, Subscribe::to(Query::all()).after(after)).await?;
        expect::wrong_history::<()>(Err(refused))?;
        let filtered = refusal(&cx, Subscribe::to(Query::stream("Order-1")).after(after)).await?;
        expect::wrong_history::<()>(Err(filtered))?;
    }
    cx.log_is(&log, &[], "after refused subscriptions").await
}

async fn other_log(cx: Cx) -> Verdict {
    let log = cx.append_medley(5).await?;
    let other = cx.other_namespace("b").await?;
    for event in other.append_medley(7).await? {
        let refused = refusal(&cx, Subscribe::to(Query::all()).after(event.position())).await?;
        expect::wrong_history::<()>(Err(refused))?;
    }
    cx.log_is(&log, &[], "after refused subscriptions").await
}

async fn invalid_query(cx: Cx) -> Verdict {
    let log = cx.append_medley(3).await?;
    for query in [Query::any_of([]), QueryItem::new().into(), QueryItem::new().stream("").into()] {
        let refused = refusal(&cx, Subscribe::to(query)).await?;
        expect::invalid::<()>(Err(refused))?;
    }
    cx.log_is(&log, &[], "after refused subscriptions").await
}
