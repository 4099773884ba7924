//! What each part of a query means (R6).

use annalist_core::{ExpectedVersion, NewEvent, Query, QueryItem, Read};

use crate::{Cx, Handle, Verdict, checks, ensure, ensure_eq, event, stream, tagged};

checks! {
    area: "read",
    query_streams {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "Streams in a query are exact names, of which one must be the event's.",
        likely_cause: "a prefix match where a whole name is meant",
    }
    query_prefixes {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A prefix in a query means every stream that begins with it, itself included.",
        likely_cause: "an exclusive bound, or the prefix taken for a category",
    }
    query_categories {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "A category in a query means the streams whose part before the first dash it is, and the one that has no dash.",
        likely_cause: "`LIKE 'Order%'`, or the last dash in place of the first",
    }
    query_category_dashes {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "The category ends at the first dash: also in names with several dashes, and in one that begins with a dash.",
        likely_cause: "the last dash, or a split that skips empty parts",
    }
    query_types {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "Types in a query are exact, and one of them must be the event's.",
        likely_cause: "only the first type of the list is looked at",
    }
    query_tags_all_of {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "All tags of an item must be on the event, in whatever order, among whatever others.",
        likely_cause: "any of the tags is enough: an overlap where containment is meant",
    }
    query_parts_all_hold {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "All parts of an item that are given must hold.",
        likely_cause: "parts joined by OR",
    }
    query_items_any_of {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "One matching item is enough, and an event that matches several comes once, at its place in the log.",
        likely_cause: "UNION ALL of one query for each item",
    }
}

/// Appends an event to each of these streams, of this type, with these tags; its data are the number of the event, from 0.
async fn lay_out(handle: &Handle, rows: &[(&str, &str, &[&str])]) -> Verdict {
    for (i, (name, event_type, tags)) in rows.iter().enumerate() {
        let event = labelled(i, event_type, tags);
        handle.append_to(&stream(name), ExpectedVersion::Any, [event]).await?;
    }
    Ok(())
}

fn labelled(label: usize, event_type: &str, tags: &[&str]) -> NewEvent {
    let with_data = event(event_type, label.to_string());
    with_data.with_tags(tagged(event_type, tags).tags().iter().cloned()).expect("a check uses valid tags")
}

/// Sees to it that a query finds exactly the events of these numbers: forward, backward and in small pages.
async fn finds(handle: &Handle, query: impl Into<Query>, expected: &[usize]) -> Verdict {
    let query = query.into();
    let read = || Read::log(query.clone());
    for (read, backward) in [(read(), false), (read().page_size(1), false), (read().backward(), true)] {
        let events = handle.drain(read).await?.events;
        let mut found: Vec<usize> = Vec::with_capacity(events.len());
        for event in &events {
            let number = std::str::from_utf8(event.data()).ok().and_then(|label| label.parse::<usize>().ok());
            ensure!(number.is_some(), "an event comes with other data than it was appended with: {event:?}");
            found.extend(number);
        }
        if backward {
            found.reverse();
        }
        ensure_eq!(found, expected, "events found by {query:?}, numbered from 0");
    }
    Ok(())
}

async fn query_streams(cx: Cx) -> Verdict {
    let names = ["Order-1", "Order-10", "Order-1-2", "Order", "xOrder-1", "order-1", "Order-1"];
    lay_out(&cx, &names.map(|name| (name, "Placed", &[][..]))).await?;
    finds(&cx, Query::stream("Order-1"), &[0, 6]).await?;
    finds(&cx, Query::stream("Order"), &[3]).await?;
    finds(&cx, Query::stream("Orde"), &[]).await?;
    finds(&cx, QueryItem::new().streams(["Order-1", "Order-10", "None"]), &[0, 1, 6]).await?;
    finds(&cx, QueryItem::new().streams(["Order-10", "Order-1", "Order-1"]), &[0, 1, 6]).await
}

async fn query_prefixes(cx: Cx) -> Verdict {
    let names = ["Order-1", "Order-10", "Order", "OrderLine-1", "xOrder-1", "order-1", "Orde", "Order-2"];
    lay_out(&cx, &names.map(|name| (name, "Placed", &[][..]))).await?;
    finds(&cx, QueryItem::new().stream_prefix("Order-1"), &[0, 1]).await?;
    finds(&cx, QueryItem::new().stream_prefix("Order"), &[0, 1, 2, 3, 7]).await?;
    finds(&cx, QueryItem::new().stream_prefix("O"), &[0, 1, 2, 3, 6, 7]).await?;
    finds(&cx, QueryItem::new().stream_prefix("Order-10x"), &[]).await?;
    finds(&cx, QueryItem::new().stream_prefix("Order-1").stream_prefix("xO"), &[0, 1, 4]).await?;
    // One prefix within the other finds nothing twice.
    finds(&cx, QueryItem::new().stream_prefix("Order-").stream_prefix("Order-1"), &[0, 1, 7]).await
}

async fn query_categories(cx: Cx) -> Verdict {
    let names = ["Order-1", "Order", "Order-10", "OrderLine-1", "Cart-Order", "order-1", "Cart-1", "Order_1"];
    lay_out(&cx, &names.map(|name| (name, "Placed", &[][..]))).await?;
    finds(&cx, Query::category("Order"), &[0, 1, 2]).await?;
    finds(&cx, Query::category("OrderLine"), &[3]).await?;
    finds(&cx, Query::category("Ord"), &[]).await?;
    finds(&cx, Query::category("Order_1"), &[7]).await?;
    finds(&cx, QueryItem::new().category("Order").category("Cart"), &[0, 1, 2, 4, 6]).await
}

async fn query_category_dashes(cx: Cx) -> Verdict {
    let names = ["Order-1-2", "Order--", "-Order", "-", "--Order", "Order-", "Order", "Order 1-2", "1-2-3-4"];
    lay_out(&cx, &names.map(|name| (name, "Placed", &[][..]))).await?;
    finds(&cx, Query::category("Order"), &[0, 1, 5, 6]).await?;
    finds(&cx, Query::category(""), &[2, 3, 4]).await?;
    finds(&cx, Query::category("Order 1"), &[7]).await?;
    finds(&cx, Query::category("1"), &[8]).await
}

async fn query_types(cx: Cx) -> Verdict {
    let types = ["Placed", "Paid", "PlacedAgain", "placed", "Placed", "Pl", "Shipped"];
    lay_out(&cx, &types.map(|event_type| ("Order-1", event_type, &[][..]))).await?;
    finds(&cx, Query::types(["Placed"]), &[0, 4]).await?;
    finds(&cx, Query::types(["Paid", "Placed"]), &[0, 1, 4]).await?;
    finds(&cx, Query::types(["Never", "Shipped"]), &[6]).await?;
    finds(&cx, Query::types(["P"]), &[]).await
}

async fn query_tags_all_of(cx: Cx) -> Verdict {
    let tags: [&[&str]; 8] =
        [&["a"], &["b"], &["a", "b"], &["b", "a"], &["x", "b", "y", "a"], &[], &["ab"], &["a,b"]];
    lay_out(&cx, &tags.map(|tags| ("Order-1", "Placed", tags))).await?;
    finds(&cx, Query::tags(["a"]), &[0, 2, 3, 4]).await?;
    finds(&cx, Query::tags(["a", "b"]), &[2, 3, 4]).await?;
    finds(&cx, Query::tags(["b", "a"]), &[2, 3, 4]).await?;
    finds(&cx, Query::tags(["a", "a"]), &[0, 2, 3, 4]).await?;
    finds(&cx, Query::tags(["a", "b", "c"]), &[]).await?;
    finds(&cx, Query::tags(["y", "x"]), &[4]).await?;
    finds(&cx, Query::tags(["a,b"]), &[7]).await
}

async fn query_parts_all_hold(cx: Cx) -> Verdict {
    let rows: [(&str, &str, &[&str]); 7] = [
        ("Order-1", "Placed", &["vip"]),
        ("Order-1", "Placed", &[]),
        ("Order-1", "Paid", &["vip"]),
        ("Cart-1", "Placed", &["vip"]),
        ("Order-2", "Placed", &["vip"]),
        ("Order-1", "Paid", &[]),
        ("Order", "Placed", &["vip"]),
    ];
    lay_out(&cx, &rows).await?;
    finds(&cx, QueryItem::new().category("Order").types(["Placed"]), &[0, 1, 4, 6]).await?;
    finds(&cx, QueryItem::new().category("Order").tags(["vip"]), &[0, 2, 4, 6]).await?;
    finds(&cx, QueryItem::new().types(["Placed"]).tags(["vip"]), &[0, 3, 4, 6]).await?;
    finds(&cx, QueryItem::new().stream("Order-1").types(["Placed", "Paid"]).tags(["vip"]), &[0, 2]).await?;
    finds(&cx, QueryItem::new().category("Order").stream_prefix("Order-").types(["Placed"]), &[0, 1, 4])
        .await?;
    finds(&cx, QueryItem::new().stream("Order-1").category("Cart"), &[]).await?;
    let every_part = QueryItem::new().stream("Order-2").stream_prefix("O").category("Order");
    finds(&cx, every_part.types(["Placed"]).tags(["vip"]), &[4]).await
}

async fn query_items_any_of(cx: Cx) -> Verdict {
    let rows: [(&str, &str, &[&str]); 6] = [
        ("Order-1", "Placed", &["vip"]),
        ("Cart-1", "Placed", &[]),
        ("Order-1", "Paid", &[]),
        ("Cart-1", "Paid", &["vip"]),
        ("Order-2", "Shipped", &[]),
        ("Order-1", "Placed", &[]),
    ];
    lay_out(&cx, &rows).await?;
    let orders = || QueryItem::new().category("Order");
    // The second item finds events between those of the first, and some that the first finds, too.
    finds(&cx, Query::any_of([orders(), QueryItem::new().types(["Placed"])]), &[0, 1, 2, 4, 5]).await?;
    finds(&cx, Query::any_of([orders(), orders()]), &[0, 2, 4, 5]).await?;
    let shipped_first = [QueryItem::new().types(["Shipped"]), QueryItem::new().tags(["vip"])];
    finds(&cx, Query::any_of(shipped_first), &[0, 3, 4]).await?;
    // Sixteen items is what every store must take.
    let many = (0..14).map(|n| QueryItem::new().stream(format!("None-{n}")));
    let many = many.chain([QueryItem::new().types(["Shipped"]), orders().tags(["vip"])]);
    finds(&cx, Query::any_of(many), &[0, 4]).await
}
