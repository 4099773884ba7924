//! Requests that break a rule.

use annalist_core::{Append, ExpectedVersion, Position, Query, QueryItem, StreamId};

use crate::{Cx, Verdict, checks, events, exact, expect, stream};

checks! {
    area: "append",
    query_without_items_invalid {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "A condition whose query has no items is invalid: neither everything nor nothing.",
        likely_cause: "an empty list of items joined to an empty WHERE clause",
    }
    item_without_parts_invalid {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "A condition whose query has an item without parts is invalid, also beside other items.",
        likely_cause: "an item without parts matches everything, and the others are never looked at",
    }
    stream_twice_invalid {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append that names a stream twice among its writes, or twice among its checks, is invalid.",
        likely_cause: "writes merged, or the second expectation compared with a version of the middle of the append",
    }
    written_and_checked_invalid {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append that both writes and checks a stream is invalid, also with a write that has no events.",
        likely_cause: "the check compared with the version before, or after, whichever comes first",
    }
    id_twice_invalid {
        guarantee: "I2", level: 1, kind: Deterministic,
        summary: "An append that has an event id twice for one stream is invalid, and none of it is written.",
        likely_cause: "the second event skipped or refused when the first is already inserted",
    }
}

/// Every one of these is invalid, and leaves nothing behind.
async fn all_invalid(cx: &Cx, appends: Vec<Append>, streams: &[&StreamId]) -> Verdict {
    let before = cx.read_log().await?;
    for append in appends {
        expect::invalid(cx.append(append).await)?;
    }
    cx.log_is(&before, streams, "after invalid appends").await
}

async fn query_without_items_invalid(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let write = || Append::to(&order, ExpectedVersion::Any, events(1));
    let none = || Query::any_of([]);
    let appends = || {
        vec![
            write().condition(none(), Position::START),
            Append::new().condition(none(), Position::START),
            write().condition(Query::types(["Never"]), Position::START).condition(none(), Position::START),
        ]
    };
    // Neither in an empty log, where nothing could match, nor in one that is not.
    all_invalid(&cx, appends(), &[&order]).await?;
    cx.append_any("Order-1", 2).await?;
    all_invalid(&cx, appends(), &[&order]).await
}

async fn item_without_parts_invalid(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let write = || Append::to(&order, ExpectedVersion::Any, events(1));
    let empty_item = || Query::any_of([QueryItem::new()]);
    let beside = || Query::any_of([QueryItem::new().types(["Never"]), QueryItem::new()]);
    let appends = || {
        vec![
            write().condition(empty_item(), Position::START),
            write().condition(beside(), Position::START),
            Append::new().condition(beside(), Position::START),
        ]
    };
    all_invalid(&cx, appends(), &[&order]).await?;
    cx.append_any("Order-1", 2).await?;
    all_invalid(&cx, appends(), &[&order]).await
}

async fn stream_twice_invalid(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    cx.append_any("Order-1", 1).await?;
    let appends = vec![
        Append::to(&order, exact(1), events(1)).write(&order, exact(2), events(1)),
        Append::to(&order, ExpectedVersion::Any, events(1))
            .write(&cart, ExpectedVersion::Any, events(1))
            .write(&order, ExpectedVersion::Any, events(1)),
        Append::to(&order, exact(1), []).write(&order, exact(1), events(1)),
        Append::new().check(&order, exact(1)).check(&order, exact(1)),
        Append::to(&cart, exact(0), events(1)).check(&order, exact(1)).check(&order, ExpectedVersion::Exists),
    ];
    all_invalid(&cx, appends, &[&order, &cart]).await
}

async fn written_and_checked_invalid(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    cx.append_any("Order-1", 1).await?;
    let appends = vec![
        Append::to(&order, exact(1), events(1)).check(&order, exact(1)),
        Append::to(&order, exact(1), events(1)).check(&order, exact(2)),
        Append::to(&order, exact(1), []).check(&order, exact(1)),
        Append::to(&cart, exact(0), events(1)).write(&order, exact(1), events(1)).check(&cart, exact(0)),
    ];
    all_invalid(&cx, appends, &[&order, &cart]).await
}

async fn id_twice_invalid(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    let made = events(3);
    let other = events(1)[0].clone().with_id(made[0].id());
    let twice = [made[0].clone(), made[1].clone(), made[0].clone()];
    let appends = vec![
        Append::to(&order, ExpectedVersion::Any, [made[0].clone(), made[0].clone()]),
        Append::to(&order, ExpectedVersion::Any, twice.clone()),
        Append::to(&order, ExpectedVersion::Any, [made[0].clone(), other]),
        Append::to(&cart, ExpectedVersion::Any, events(2)).write(&order, ExpectedVersion::Any, twice),
    ];
    all_invalid(&cx, appends, &[&order, &cart]).await?;
    cx.append_to(&order, exact(0), made).await?;
    Ok(())
}
