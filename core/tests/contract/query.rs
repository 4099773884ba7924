//! Queries: which events they mean, and which queries are none.

use annalist_core::{Limits, NewEvent, Query, QueryItem, StreamId};

use crate::invalid;

fn matches(query: impl Into<Query>, stream: &str, event_type: &str, tags: &[&str]) -> bool {
    let event = NewEvent::new(event_type, "{}").and_then(|event| event.with_tags(tags.iter().copied()));
    let stream = StreamId::new(stream).expect("a name");
    query.into().matches(&stream, &event.expect("an event"))
}

#[test]
fn all_means_all() {
    assert!(matches(Query::all(), "Order-1", "Placed", &[]));
    assert!(Query::all().is_all() && Query::all().items().is_empty());
    assert!(!Query::types(["Placed"]).is_all());
    Limits::FLOOR.check_query(&Query::all()).expect("explicitly all");
}

#[test]
fn streams_prefixes_categories_and_types_are_one_of() {
    let either = || QueryItem::new();
    assert!(matches(either().streams(["Order-1", "Order-2"]), "Order-2", "Placed", &[]));
    assert!(!matches(either().streams(["Order-1", "Order-2"]), "Order-22", "Placed", &[]));
    assert!(matches(either().stream_prefix("Cart").stream_prefix("Ord"), "Order-2", "Placed", &[]));
    assert!(!matches(either().stream_prefix("Order-2"), "Order-1", "Placed", &[]));
    assert!(matches(either().category("Cart").category("Order"), "Order-2-x", "Placed", &[]));
    assert!(!matches(either().category("Ord"), "Order-2", "Placed", &[]));
    assert!(matches(either().types(["Paid", "Placed"]), "Order-2", "Placed", &[]));
    assert!(!matches(either().types(["Paid", "placed"]), "Order-2", "Placed", &[]));
}

#[test]
fn tags_are_all_of() {
    assert!(matches(Query::tags(["a", "b"]), "Order-1", "Placed", &["c", "b", "a"]));
    assert!(!matches(Query::tags(["a", "b"]), "Order-1", "Placed", &["a"]));
    assert!(!matches(Query::tags(["a"]), "Order-1", "Placed", &[]));
    assert!(matches(Query::tags(["a", "a"]), "Order-1", "Placed", &["a"]));
}

#[test]
fn the_parts_of_an_item_must_all_hold_and_any_item_is_enough() {
    let item = || QueryItem::new().category("Order").types(["Placed"]).tags(["vip"]);
    assert!(matches(item(), "Order-1", "Placed", &["vip"]));
    assert!(!matches(item(), "Cart-1", "Placed", &["vip"]));
    assert!(!matches(item(), "Order-1", "Paid", &["vip"]));
    assert!(!matches(item(), "Order-1", "Placed", &[]));
    let either = Query::any_of([item(), QueryItem::new().types(["Paid"])]);
    assert!(matches(either.clone(), "Cart-1", "Paid", &[]));
    assert!(!matches(either, "Cart-1", "Placed", &[]));
}

#[test]
fn no_character_is_special() {
    for special in ["%", "_", "*", "\\", "?", ".", "Order-%"] {
        assert!(!matches(QueryItem::new().stream_prefix(special), "Order-1", "Placed", &[]), "{special}");
        assert!(!matches(Query::stream(special), "Order-1", "Placed", &[]), "{special}");
        assert!(!matches(Query::types([special]), "Order-1", "Placed", &[]), "{special}");
        assert!(!matches(Query::tags([special]), "Order-1", "Placed", &["tag"]), "{special}");
        let stream = format!("{special}-1");
        assert!(matches(QueryItem::new().stream_prefix(special), &stream, "Placed", &[]), "{special}");
    }
}

#[test]
fn what_could_never_match_is_refused() {
    let refused = |query: Query| invalid(Limits::FLOOR.check_query(&query));
    assert_eq!(refused(Query::any_of([])).value, "0 items");
    assert_eq!(refused(QueryItem::new().into()).value, "0 parts");
    assert_eq!(refused(Query::any_of([QueryItem::new().tags(["a"]), QueryItem::new()])).value, "0 parts");
    assert_eq!(refused(QueryItem::new().stream_prefix("").into()).what, "stream id");
    assert_eq!(refused(Query::category("Order-7")).what, "category");
    Limits::FLOOR.check_query(&Query::category("")).expect("the category of `-x`");
    assert_eq!(refused(Query::stream("$all")).what, "stream id");
    assert_eq!(refused(Query::types([""])).what, "event type");
    assert_eq!(refused(Query::tags(["a\n"])).what, "tag");
    assert_eq!(refused(Query::tags(["t".repeat(256)])).limit, Some(255));
}
