//! Every limit is enforced at exactly its value, and its refusal names it.

use std::time::SystemTime;

use annalist_core::{
    Append, EventId, ExpectedVersion, Invalid, Limits, LogId, Metadata, NewEvent, Position, Query, QueryItem,
    Read, Snapshot, SnapshotSchema, StreamId, TAGS_MAX, Version, backend,
};

use crate::invalid;

/// Small, and each different, so that none can stand in for another.
const LIMITS: Limits = Limits {
    events_per_append: 7,
    bytes_per_append: 400,
    streams_per_append: 5,
    checks_per_append: 4,
    conditions_per_append: 3,
    items_per_query: 2,
    names_per_item: 6,
    bytes_per_event: 100,
    bytes_per_snapshot: 60,
};

fn stream(n: usize) -> StreamId {
    StreamId::new(format!("Order-{n}")).expect("a name")
}

/// An event of this size: its type has 1 byte.
fn event(size: usize) -> NewEvent {
    NewEvent::new("T", vec![b'x'; size - 1]).expect("a type")
}

fn events(count: usize, size: usize) -> Append {
    Append::to(&stream(0), ExpectedVersion::Any, (0..count).map(|_| event(size)))
}

/// The append of `max` passes, that of one more is refused by the named limit.
fn at_exactly(what: &'static str, limit: &'static str, max: usize, append: impl Fn(usize) -> Append) {
    LIMITS.check_append(&append(max)).expect("exactly the limit");
    let refused = invalid(LIMITS.check_append(&append(max + 1)));
    assert_eq!(refused, Invalid::over(what, limit, max as u64, max as u64 + 1));
}

#[test]
fn events_per_append() {
    at_exactly("append", "events per append", LIMITS.events_per_append, |n| events(n, 1));
}

#[test]
fn events_per_append_counts_over_all_streams() {
    at_exactly("append", "events per append", LIMITS.events_per_append, |n| {
        (0..n).fold(Append::new(), |append, i| match i {
            0..4 => append.write(&stream(i), ExpectedVersion::Any, [event(1)]),
            4 => append.write(&stream(i), ExpectedVersion::Any, (4..n).map(|_| event(1))),
            _ => append,
        })
    });
}

#[test]
fn bytes_per_append() {
    at_exactly("append", "bytes per append", LIMITS.bytes_per_append, |n| {
        let sizes = [100, 100, 100, n - 300 - 1, 1];
        Append::to(&stream(0), ExpectedVersion::Any, sizes.map(event))
    });
}

#[test]
fn bytes_per_event() {
    at_exactly("event", "bytes per event", LIMITS.bytes_per_event, |n| events(1, n));
}

#[test]
fn the_size_of_an_event_is_its_type_data_metadata_and_tags() {
    at_exactly("event", "bytes per event", LIMITS.bytes_per_event, |n| {
        let metadata = Metadata::new(r#"{"a":1}"#).expect("an object");
        let event = NewEvent::new("Type", vec![b'x'; n - 4 - 7 - 5]).expect("a type").with_metadata(metadata);
        let event = event.with_tags(["tag", "äö".get(..2).expect("one character")]).expect("two tags");
        Append::to(&stream(0), ExpectedVersion::Any, [event])
    });
}

#[test]
fn streams_per_append() {
    at_exactly("append", "streams per append", LIMITS.streams_per_append, |n| {
        (0..n).fold(Append::new(), |append, i| append.write(&stream(i), ExpectedVersion::Any, [event(1)]))
    });
}

#[test]
fn checks_per_append() {
    at_exactly("append", "checks per append", LIMITS.checks_per_append, |n| {
        (0..n).fold(Append::new(), |append, i| append.check(&stream(i), ExpectedVersion::Exists))
    });
}

#[test]
fn conditions_per_append() {
    at_exactly("append", "conditions per append", LIMITS.conditions_per_append, |n| {
        (0..n).fold(Append::new(), |append, _| append.condition(Query::all(), Position::START))
    });
}

fn items(count: usize) -> Query {
    Query::any_of((0..count).map(|n| QueryItem::new().tags([format!("t{n}")])))
}

#[test]
fn items_per_query_in_conditions_and_reads() {
    let max = LIMITS.items_per_query;
    at_exactly("query", "items per query", max, |n| Append::new().condition(items(n), Position::START));
    LIMITS.check_read(&Read::log(items(max))).expect("exactly the limit");
    let refused = invalid(LIMITS.check_read(&Read::log(items(max + 1))));
    assert_eq!(refused, Invalid::over("query", "items per query", 2, 3));
    assert_eq!(invalid(LIMITS.check_query(&items(max + 1))), refused);
}

#[test]
fn names_per_item_count_over_all_parts() {
    let item = |names: usize| {
        let item = QueryItem::new().stream("Order-1").stream_prefix("Or").category("Order").types(["Placed"]);
        Query::from(item.tags((4..names).map(|n| format!("t{n}"))))
    };
    at_exactly("query item", "names per item", LIMITS.names_per_item, |n| {
        Append::new().condition(item(n), Position::START)
    });
    LIMITS.check_query(&item(6)).expect("exactly the limit");
    assert_eq!(invalid(LIMITS.check_query(&item(7))), Invalid::over("query item", "names per item", 6, 7));
}

#[test]
fn a_snapshot_has_a_version_that_every_store_can_keep() {
    let schema = SnapshotSchema::new("order/1").expect("a name");
    let at = |version| LIMITS.check_snapshot(&Snapshot::new(&stream(0), &schema, Version::new(version), ""));
    let highest = i64::MAX as u64;
    at(highest).expect("the highest that fits 63 bits");
    assert_eq!(invalid(at(highest + 1)), Invalid::over("snapshot", "version", highest, highest + 1));
}

#[test]
fn bytes_per_snapshot_are_data_and_metadata() {
    let schema = SnapshotSchema::new("order/1").expect("a name");
    let metadata = Metadata::new(r#"{"a":1}"#).expect("an object");
    let snapshot = |size: usize| {
        Snapshot::new(&stream(0), &schema, Version::FIRST, vec![0; size - 7]).with_metadata(metadata.clone())
    };
    LIMITS.check_snapshot(&snapshot(60)).expect("exactly the limit");
    let refused = invalid(LIMITS.check_snapshot(&snapshot(61)));
    assert_eq!(refused, Invalid::over("snapshot", "bytes per snapshot", 60, 61));
}

#[test]
fn tags_per_event() {
    let tags = |count: usize| event(1).with_tags((0..count).map(|n| format!("t{n}")));
    assert_eq!(tags(0).expect("no tag").tags().len(), 0);
    assert_eq!(tags(TAGS_MAX).expect("exactly the limit").tags().len(), 32);
    assert_eq!(invalid(tags(TAGS_MAX + 1)), Invalid::over("tags", "tags per event", 32, 33));
    // One more than the limit, of very many: no more is looked at.
    assert_eq!(invalid(tags(1_000_000)), Invalid::over("tags", "tags per event", 32, 33));
}

#[test]
fn tags_are_distinct_and_keep_their_order() {
    assert_eq!(
        invalid(event(1).with_tags(["b", "a", "b"])),
        Invalid::new("tags", "must be distinct", "\"b\"")
    );
    let tagged = event(1).with_tags(["b", "a"]).expect("two tags");
    let tags: Vec<_> = tagged.tags().iter().map(|tag| tag.as_str()).collect();
    assert_eq!(tags, ["b", "a"]);
}

#[test]
fn a_stream_stands_only_once_in_an_append() {
    let one = |append: Append| append.write(&stream(1), ExpectedVersion::Any, [event(1)]);
    let check = |append: Append| append.check(&stream(1), ExpectedVersion::Any);
    for append in [one(one(Append::new())), check(one(Append::new())), check(check(Append::new()))] {
        let refused = invalid(LIMITS.check_append(&append));
        assert_eq!((refused.rule, refused.value.as_str()), ("must name a stream only once", "\"Order-1\""));
    }
}

#[test]
fn an_id_stands_only_once_in_a_stream() {
    let id = EventId::new();
    let twice = [event(1).with_id(id), event(1), event(2).with_id(id)];
    let refused = invalid(LIMITS.check_append(&Append::to(&stream(0), ExpectedVersion::Any, twice)));
    assert_eq!(refused.value, id.to_string());
    let apart = Append::new().write(&stream(0), ExpectedVersion::Any, [event(1).with_id(id)]).write(
        &stream(1),
        ExpectedVersion::Any,
        [event(1).with_id(id)],
    );
    LIMITS.check_append(&apart).expect("the same id in two streams is two events");
}

#[test]
fn a_read_has_only_the_bounds_of_its_kind() {
    let position = backend::position(LogId::new(), 1, 0);
    let of_stream = Read::stream(&stream(0));
    assert!(LIMITS.check_read(&of_stream.clone().from(Version::new(3)).to(Version::new(4))).is_ok());
    invalid(LIMITS.check_read(&of_stream.clone().after(position)));
    invalid(LIMITS.check_read(&of_stream.until(position)));
    let of_log = Read::log(Query::all());
    assert!(LIMITS.check_read(&of_log.clone().after(position).until(position)).is_ok());
    invalid(LIMITS.check_read(&of_log.clone().from(Version::new(3))));
    invalid(LIMITS.check_read(&of_log.to(Version::new(3))));
}

#[test]
fn the_floor_is_that_of_the_contract() {
    let Limits { events_per_append, bytes_per_append, streams_per_append, checks_per_append, .. } =
        Limits::FLOOR;
    assert_eq!((events_per_append, bytes_per_append), (1_000, 1024 * 1024));
    assert_eq!((streams_per_append, checks_per_append), (64, 16));
    let Limits { conditions_per_append, items_per_query, bytes_per_event, bytes_per_snapshot, .. } =
        Limits::FLOOR;
    assert_eq!((conditions_per_append, items_per_query), (4, 16));
    assert_eq!((bytes_per_event, bytes_per_snapshot), (256 * 1024, 256 * 1024));
    assert_eq!(Limits::FLOOR.each().len(), 9);
}

#[test]
fn a_clone_of_an_append_is_the_same_request() {
    let append = events(3, 10);
    assert!(append.same_request(&append.clone().timeout(std::time::Duration::from_secs(1))));
    assert!(!append.same_request(&events(3, 10)), "other ids are another request");
    let recorded =
        backend::recorded(event(1), stream(0), Version::FIRST, Position::START, SystemTime::UNIX_EPOCH);
    assert_eq!(recorded.event().size(), 1);
}
