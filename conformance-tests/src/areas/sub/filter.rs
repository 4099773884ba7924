//! Subscriptions to a part of the log.

use annalist_core::{ExpectedVersion, Position, Query, QueryItem, Subscribe};

use super::session::{Session, last};
use crate::{Cx, Verdict, checks, ensure, event, events, query_medley, stream};

checks! {
    area: "sub",
    filter_stream {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A subscription to a stream delivers that stream's events and no other's, caught up with and live.",
        likely_cause: "names are compared by their beginning",
    }
    filter_prefix {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A subscription to a prefix delivers the events of the streams that begin with it.",
        likely_cause: "the prefix is taken for a whole name",
    }
    filter_category {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A subscription to a category delivers the events of its streams: the part before the first dash, compared whole.",
        likely_cause: "a category is taken for a prefix",
    }
    filter_type {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A subscription to types delivers the events of any of these types.",
        likely_cause: "only the first of the types is looked at",
    }
    filter_tags {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A subscription to tags delivers the events that carry all of them.",
        likely_cause: "one of the tags is enough",
    }
    filter_medley {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A subscription to any query delivers the same as filtering afterwards, with every page size.",
        likely_cause: "live events go through another filter than those caught up with",
    }
    filter_literal {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "`%`, `_`, `*`, `[`, `?` and `\\` are ordinary characters in the query of a subscription.",
        likely_cause: "LIKE or a glob",
    }
    filter_sparse {
        guarantee: "S1", level: 1, kind: Deterministic,
        summary: "A match behind thousands of events that do not match arrives.",
        likely_cause: "the limit is applied before the filter, and an empty page is taken for the end",
    }
}

/// Sees to it that a subscription gives what filtering gives: caught up with, then live.
async fn filters(cx: &Cx, query: impl Into<Query>, page_size: usize) -> Verdict {
    let query = query.into();
    let begin = Position::START;
    let subscribe = Subscribe::to(query.clone()).page_size(page_size);
    let mut session = Session::begin(cx, subscribe, begin).await?;
    session.until_caught_up().await?;
    let caught_up = session.events.len();
    let log = cx.append_medley(30).await?;
    session.until(last(&log)).await?;
    session.is_of(&log, &format!("what came for {query:?}, {caught_up} of it caught up with"))?;
    let matches = log.iter().filter(|event| query.matches_recorded(event)).count();
    ensure!(0 < matches && matches < log.len(), "the check itself is wrong: {query:?} has {matches} matches");
    Ok(())
}

async fn filter_stream(cx: Cx) -> Verdict {
    cx.append_medley(30).await?;
    filters(&cx, Query::stream("Order-1"), 1_000).await?;
    filters(&cx, Query::stream("Order"), 1_000).await?;
    filters(&cx, QueryItem::new().streams(["Order-10", "Cart-2"]), 1_000).await
}

async fn filter_prefix(cx: Cx) -> Verdict {
    cx.append_medley(30).await?;
    filters(&cx, QueryItem::new().stream_prefix("Order-1"), 1_000).await?;
    filters(&cx, QueryItem::new().stream_prefix("Order-10").stream_prefix("Ca"), 1_000).await
}

async fn filter_category(cx: Cx) -> Verdict {
    for name in ["Orders-1", "Orde-1", "order-1", "Order-1-2", "OrderLine-1"] {
        cx.append_any(name, 1).await?;
    }
    cx.append_medley(30).await?;
    filters(&cx, Query::category("Order"), 1_000).await?;
    filters(&cx, QueryItem::new().category("Cart").category("Orders"), 1_000).await
}

async fn filter_type(cx: Cx) -> Verdict {
    cx.append_medley(30).await?;
    filters(&cx, Query::types(["Paid"]), 1_000).await?;
    filters(&cx, Query::types(["Placed", "Shipped"]), 1_000).await
}

async fn filter_tags(cx: Cx) -> Verdict {
    cx.append_medley(30).await?;
    filters(&cx, Query::tags(["third"]), 1_000).await?;
    filters(&cx, Query::tags(["third", "even"]), 1_000).await
}

async fn filter_medley(cx: Cx) -> Verdict {
    cx.append_medley(17).await?;
    for (name, query) in query_medley() {
        for page_size in [1, 4, 1_000] {
            let subscribe = Subscribe::to(query.clone()).page_size(page_size);
            let mut session = Session::begin(&cx, subscribe, Position::START).await?;
            session.until_caught_up().await?;
            let log = cx.append_medley(3).await?;
            session.until(last(&log)).await?;
            session.is_of(&log, &format!("{name}, with pages of {page_size}"))?;
        }
    }
    Ok(())
}

async fn filter_literal(cx: Cx) -> Verdict {
    let names =
        ["a%c-1", "abc-1", "a_c-1", "a*c-1", "a?c-1", "a[b]c-1", "a\\c-1", "ac-1", "a\\%c-1", "A%C-1"];
    for name in names {
        let (category, tag) = (stream(name).category().to_owned(), name.to_owned());
        let made = event(&category, "{}").with_tags([tag])?;
        cx.append_to(&stream(name), ExpectedVersion::Any, [made]).await?;
    }
    let log = cx.read_log().await?;
    for name in names {
        let category = stream(name).category().to_owned();
        let queries: [(&str, Query); 5] = [
            ("stream", Query::stream(name)),
            ("prefix", QueryItem::new().stream_prefix(category.clone()).into()),
            ("category", Query::category(&category)),
            ("type", Query::types([&category])),
            ("tag", Query::tags([name])),
        ];
        for (part, query) in queries {
            let mut session = Session::after(&cx, &query, Position::START).await?;
            session.until(last(&log)).await?;
            session.is_of(&log, &format!("what came for the {part} of {name:?}"))?;
            ensure!(session.events.len() == 1, "the check itself is wrong: {name:?} has more than one match");
        }
    }
    Ok(())
}

async fn filter_sparse(cx: Cx) -> Verdict {
    let chaff = stream("Chaff-1");
    let between = cx.scale(12);
    for round in 0..2 {
        for _ in 0..between {
            cx.append_to(&chaff, ExpectedVersion::Any, events(500)).await?;
        }
        cx.append_any("Order-1", 1).await?;
        let subscribe = Subscribe::to(Query::stream("Order-1")).page_size(10);
        let mut session = Session::begin(&cx, subscribe, Position::START).await?;
        session.until_events(round + 1).await?;
    }
    let mut session = Session::after(&cx, &Query::stream("Order-1"), Position::START).await?;
    let log = cx.read_log().await?;
    session.until(last(&log)).await?;
    session.is_of(&log, "the matches behind what does not match")
}
