//! Limits of queries, wherever one is used: reads, subscriptions and conditions.

use annalist_core::{Append, ExpectedVersion, Query, QueryItem, Read, Subscribe};

use super::{declared, small};
use crate::{Cx, Verdict, checks, expect, same_events, stream, tagged};

checks! {
    area: "limits",
    items_per_query {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "A query of exactly as many items as declared is taken in reads, subscriptions and conditions, and each item counts; one more is refused in all three.",
        likely_cause: "a bound on the size of a statement, met only in one of the three",
    }
    names_per_item {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "An item that names exactly as many streams, prefixes, categories, types and tags as declared, together, is taken in reads, subscriptions and conditions; one more is refused.",
        likely_cause: "each part counted by itself, or only where it is read",
    }
}

/// Sees to it that a query is refused wherever it is used, for this limit.
async fn refused(cx: &Cx, query: &Query, limit: (&str, usize), part: &str) -> Verdict {
    let (name, value) = limit;
    let read = cx.read(Read::log(query.clone())).await;
    cx.collect(expect::over_limit(read, name, value, value + 1), &format!("{part}, a read"))?;
    let subscription = cx.store().subscribe(Subscribe::to(query.clone())).await.map(drop);
    cx.collect(expect::over_limit(subscription, name, value, value + 1), &format!("{part}, a subscription"))?;
    let append = Append::to(&stream("Order-9"), ExpectedVersion::Any, small(1));
    let append = append.condition(query.clone(), annalist_core::Position::START);
    let condition = cx.append(append).await;
    cx.collect(expect::over_limit(condition, name, value, value + 1), &format!("{part}, a condition"))?;
    Ok(())
}

/// Sees to it that a query is taken wherever it is used, and finds the one event that it means.
async fn taken(cx: &Cx, query: &Query, part: &str) -> Verdict {
    let log = cx.read_log().await?;
    let meant: Vec<_> = log.iter().filter(|event| query.matches_recorded(event)).cloned().collect();
    crate::ensure_eq!(meant.len(), 1, "events that the check means by a query of {part}");
    let found = cx.drain(Read::log(query.clone())).await?.events;
    cx.collect(same_events(&found, &meant, "a read"), part)?;
    let (found, _) = cx.tail(Subscribe::to(query.clone())).await?.until_caught_up().await?;
    cx.collect(same_events(&found, &meant, "a subscription"), part)?;
    let append = Append::to(&stream("Order-9"), ExpectedVersion::Any, small(1));
    let append = append.condition(query.clone(), annalist_core::Position::START);
    let conflict = expect::conflict(cx.append(append).await)?;
    let wanted = annalist_core::Conflict::Condition { index: 0, matched: meant[0].position() };
    crate::ensure_eq!(conflict, wanted, "the conflict of a condition of {part}");
    Ok(())
}

async fn one_of_each(cx: &Cx) -> Verdict {
    cx.append_to(&stream("Cart-1"), ExpectedVersion::Any, [tagged("Added", &[])]).await?;
    cx.append_to(&stream("Order-1"), ExpectedVersion::Any, [tagged("Placed", &["meant"])]).await?;
    Ok(())
}

async fn items_per_query(cx: Cx) -> Verdict {
    let limit = declared(&cx, "items per query")?;
    one_of_each(&cx).await?;
    let with_last = |count: usize, last: QueryItem| {
        let others = (1..count).map(|n| QueryItem::new().types([format!("Never{n}")]));
        Query::any_of(others.chain([last]))
    };
    let last = QueryItem::new().tags(["meant"]);
    refused(&cx, &with_last(limit + 1, last.clone()), ("items per query", limit), "one item too many")
        .await?;
    taken(&cx, &with_last(limit, last), "as many items as declared").await
}

async fn names_per_item(cx: Cx) -> Verdict {
    let limit = declared(&cx, "names per item")?;
    one_of_each(&cx).await?;
    let never = |n: usize| (1..n).map(|n| format!("Never{n}"));
    let parts = |count: usize| {
        let prefixes = never(count).chain(["Order".into()]).fold(QueryItem::new(), QueryItem::stream_prefix);
        let categories = never(count).chain(["Order".into()]).fold(QueryItem::new(), QueryItem::category);
        let mixed = QueryItem::new().category("Order").stream_prefix("Ord").stream("Order-1").tags(["meant"]);
        vec![
            ("streams", QueryItem::new().streams(never(count).chain(["Order-1".into()]))),
            ("prefixes", prefixes),
            ("categories", categories),
            ("types", QueryItem::new().types(never(count).chain(["Placed".into()]))),
            ("all parts", mixed.types(never(count - 4).chain(["Placed".into()]))),
        ]
    };
    for (part, item) in parts(limit + 1) {
        refused(&cx, &item.into(), ("names per item", limit), part).await?;
    }
    let tags = QueryItem::new().tags(never(limit + 2));
    refused(&cx, &tags.into(), ("names per item", limit), "tags").await?;
    for (part, item) in parts(limit) {
        taken(&cx, &item.into(), part).await?;
    }
    Ok(())
}
