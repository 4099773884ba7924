//! A query gives the same as filtering afterwards (R6).

use annalist_core::{ExpectedVersion, NewEvent, Query, QueryItem, Read, RecordedEvent};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};

use super::reversed;
use crate::{
    Cx, Handle, Verdict, checks, ensure_eq, event, events, expect, query_medley, same_events, stream, tagged,
};

checks! {
    area: "read",
    query_medley_equals_filter {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A query of any shape gives the same as filtering afterwards, forward, backward, in pages and under a limit.",
        likely_cause: "an index that one of the parts is not in",
    }
    query_random_equals_filter {
        guarantee: "R6", level: 1, kind: Model,
        summary: "Any query gives the same as filtering afterwards.",
        likely_cause: "parts and items joined without brackets: AND binds closer than OR",
    }
    query_literal {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "`%`, `_`, `*`, `\\`, quotes and brackets are ordinary characters, in every part of a query.",
        likely_cause: "LIKE or a glob without escapes, or text pasted into SQL",
    }
    query_case {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "Upper and lower case differ in every part of a query.",
        likely_cause: "ILIKE, or a collation that ignores case",
    }
    query_limit_after_filter {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A limit counts matching events, also where they are few among many.",
        likely_cause: "DynamoDB's Limit: it counts what is looked at, before the filter",
    }
    query_sparse {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A query that matches little or nothing among many events still comes to its end and finds all.",
        likely_cause: "an empty page taken for the end",
    }
    query_invalid {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A query without items and an item without parts are refused as invalid: neither \"all\" nor \"nothing\" is guessed.",
        likely_cause: "an empty list of conditions, which is true of everything",
    }
}

/// Sees to it that a query gives the same as filtering the log afterwards.
async fn agrees(handle: &Handle, log: &[RecordedEvent], query: &Query, what: &str) -> Verdict {
    let expected: Vec<_> = log.iter().filter(|event| query.matches_recorded(event)).cloned().collect();
    let read = || Read::log(query.clone());
    same_events(&handle.drain(read()).await?.events, &expected, what)?;
    let paged = handle.drain(read().page_size(3)).await?.events;
    same_events(&paged, &expected, &format!("{what}, in pages of 3"))?;
    let backward = handle.drain(read().backward().page_size(4)).await?.events;
    same_events(&reversed(backward), &expected, &format!("{what}, backward in pages of 4"))?;
    let two = handle.drain(read().limit(2)).await?.events;
    same_events(&two, super::first(&expected, 2), &format!("{what}, at most 2"))
}

async fn query_medley_equals_filter(cx: Cx) -> Verdict {
    let log = cx.append_medley(60).await?;
    for (name, query) in query_medley() {
        agrees(&cx, &log, &query, name).await?;
    }
    Ok(())
}

const NAMES: [&str; 12] =
    ["a", "a-1", "a-12", "a-1-2", "ab-1", "A-1", "-a", "a%", "a_1", "b*-1", "b\\-1", "ä-1"];

fn random_event(rng: &mut StdRng) -> NewEvent {
    let count = rng.random_range(0..=3);
    let tags = NAMES.iter().copied().choose_multiple(rng, count);
    tagged(NAMES.choose(rng).copied().unwrap_or("a"), &tags)
}

fn random_item(rng: &mut StdRng) -> QueryItem {
    let few = |rng: &mut StdRng| -> Vec<&str> {
        let count = if rng.random_bool(0.6) { 0 } else { rng.random_range(1..=3) };
        NAMES.iter().copied().choose_multiple(rng, count)
    };
    let item = QueryItem::new().streams(few(rng)).types(few(rng)).tags(few(rng).iter().take(2));
    let item = few(rng).into_iter().fold(item, |item, name| {
        let end = name.char_indices().map(|(at, c)| at + c.len_utf8()).choose(rng).unwrap_or(name.len());
        item.stream_prefix(&name[..end])
    });
    let item = few(rng).into_iter().fold(item, |item, name| item.category(stream(name).category()));
    if item.name_count() == 0 { item.types(["a", "a-1"]) } else { item }
}

async fn query_random_equals_filter(cx: Cx) -> Verdict {
    let (mut rng, queries) = (cx.rng(), cx.scale(150));
    cx.minimum_ops(queries);
    for _ in 0..8 {
        for name in NAMES {
            let made: Vec<_> = (0..2).map(|_| random_event(&mut rng)).collect();
            cx.append_to(&stream(name), ExpectedVersion::Any, made).await?;
        }
    }
    let log = cx.read_log().await?;
    for _ in 0..queries {
        let items = rng.random_range(1..=4);
        let query = Query::any_of((0..items).map(|_| random_item(&mut rng)));
        agrees(&cx, &log, &query, &format!("{query:?} (seed {})", cx.seed())).await?;
        cx.count_op();
    }
    Ok(())
}

async fn query_literal(cx: Cx) -> Verdict {
    let names = [
        "a%",
        "a_",
        "a*",
        "a\\",
        "a?",
        "a[b]",
        "a'",
        "a\"",
        "a.",
        "a.*",
        "a%%",
        "ab",
        "abc",
        "a",
        "a\\%",
        "%",
        "a' OR '1'='1",
    ];
    for name in names {
        let made = tagged(name, &[name]);
        cx.append_to(&stream(name), ExpectedVersion::Any, [made]).await?;
    }
    let log = cx.read_log().await?;
    ensure_eq!(log.len(), names.len(), "events in the log");
    for name in names {
        let parts = [
            QueryItem::new().stream(name),
            QueryItem::new().stream_prefix(name),
            QueryItem::new().category(name),
            QueryItem::new().types([name]),
            QueryItem::new().tags([name]),
        ];
        for part in parts {
            let query = Query::from(part);
            agrees(&cx, &log, &query, &format!("{query:?}")).await?;
        }
    }
    Ok(())
}

async fn query_case(cx: Cx) -> Verdict {
    for name in ["Order-1", "order-1", "ORDER-1", "Ärger-1", "ärger-1"] {
        cx.append_to(&stream(name), ExpectedVersion::Any, [tagged(name, &[name])]).await?;
    }
    let log = cx.read_log().await?;
    for name in ["Order", "order", "ORDER", "Ärger", "ärger"] {
        let whole = format!("{name}-1");
        let parts = [
            QueryItem::new().stream(&whole),
            QueryItem::new().stream_prefix(name),
            QueryItem::new().category(name),
            QueryItem::new().types([&whole]),
            QueryItem::new().tags([&whole]),
        ];
        for part in parts {
            let found = cx.drain(Read::log(part.clone())).await?.events;
            let names: Vec<_> = found.iter().map(|event| event.stream().as_str()).collect();
            ensure_eq!(names, [whole.as_str()], "streams of the events that {part:?} finds");
        }
    }
    same_events(&cx.read_log().await?, &log, "the log")
}

async fn query_limit_after_filter(cx: Cx) -> Verdict {
    for turn in 0..6 {
        cx.append_any("Cart-1", 20).await?;
        cx.append_any("Order-1", 1 + turn % 2).await?;
    }
    let log = cx.read_log().await?;
    let orders: Vec<_> = log.iter().filter(|event| event.stream().category() == "Order").cloned().collect();
    ensure_eq!(orders.len(), 9, "events of the category in the log");
    for limit in 1..=10 {
        for page_size in [1, 4, 1_000] {
            let read = Read::log(Query::category("Order")).limit(limit).page_size(page_size);
            let what = format!("at most {limit} of 9 among 129, in pages of {page_size}");
            same_events(&cx.drain(read.clone()).await?.events, super::first(&orders, limit), &what)?;
            let newest_first = reversed(orders.clone());
            let backward = cx.drain(read.backward()).await?.events;
            same_events(&backward, super::first(&newest_first, limit), &format!("{what}, backward"))?;
        }
    }
    Ok(())
}

async fn query_sparse(cx: Cx) -> Verdict {
    let rare = |n: usize| event("Rare", n.to_string());
    cx.append_to(&stream("Order-1"), ExpectedVersion::Any, [rare(0)]).await?;
    for turn in 1..=12 {
        cx.append_to(&stream("Cart-1"), ExpectedVersion::Any, events(1_000)).await?;
        if turn == 1 {
            cx.append_to(&stream("Order-1"), ExpectedVersion::Any, [rare(1)]).await?;
        }
    }
    cx.append_to(&stream("Order-1"), ExpectedVersion::Any, [rare(2)]).await?;
    let expected = cx.read_stream(&stream("Order-1")).await?;
    ensure_eq!(expected.len(), 3, "events of the stream");
    for query in [Query::types(["Rare"]), Query::stream("Order-1"), Query::category("Order")] {
        for page_size in [1, 2, 1_000] {
            let (read, what) =
                (Read::log(query.clone()).page_size(page_size), format!("in pages of {page_size}"));
            let forward = cx.drain(read.clone()).await?.events;
            same_events(&forward, &expected, &format!("{query:?} among 12,000 others, {what}"))?;
            let backward = reversed(cx.drain(read.backward()).await?.events);
            same_events(&backward, &expected, &format!("{query:?} backward among 12,000 others, {what}"))?;
        }
    }
    let none = cx.drain(Read::log(Query::types(["Never"]))).await?.events;
    ensure_eq!(none.len(), 0, "events that match what is nowhere among 12,000");
    Ok(())
}

async fn query_invalid(cx: Cx) -> Verdict {
    cx.append_medley(5).await?;
    let no_items = || Query::any_of([]);
    let no_parts = || Query::any_of([QueryItem::new().types(["Placed"]), QueryItem::new()]);
    let no_name = || Query::from(QueryItem::new().types([""]));
    for query in [no_items(), no_parts(), no_name()] {
        expect::invalid(cx.read(Read::log(query.clone())).await)?;
        expect::invalid(cx.read(Read::log(query.clone()).limit(0)).await)?;
        expect::invalid(cx.read(Read::log(query).backward().page_size(1)).await)?;
    }
    Ok(())
}
