//! Versions, expectations, and what is compared of two events.

use annalist_core::{Append, Capabilities, Capability, ExpectedVersion, Limits, Metadata, NewEvent, Version};

const VERSIONS: [u64; 4] = [0, 1, 5, u64::MAX];

#[test]
fn which_expectations_hold() {
    // For each expectation: does it hold at version 0, 1, 5 and the highest?
    let exact = |version| ExpectedVersion::Exact(Version::new(version));
    let table = [
        (ExpectedVersion::Any, [true; 4]),
        (ExpectedVersion::NoStream, [true, false, false, false]),
        (ExpectedVersion::Exists, [false, true, true, true]),
        (exact(0), [true, false, false, false]),
        (exact(1), [false, true, false, false]),
        (exact(5), [false, false, true, false]),
        (exact(u64::MAX), [false, false, false, true]),
    ];
    for (expected, holds) in table {
        assert_eq!(VERSIONS.map(|version| expected.holds(Version::new(version))), holds, "{expected:?}");
    }
}

#[test]
fn which_refusals_are_for_good() {
    // Versions only grow: behind the stream it is refused for good, ahead of it the stream may still come there.
    let exact = |version| ExpectedVersion::Exact(Version::new(version));
    let table = [
        (ExpectedVersion::Any, [false; 4]),
        (ExpectedVersion::Exists, [false; 4]),
        (ExpectedVersion::NoStream, [false, true, true, true]),
        (exact(0), [false, true, true, true]),
        (exact(3), [false, false, true, true]),
        (exact(5), [false, false, false, true]),
    ];
    for (expected, for_good) in table {
        let refused = VERSIONS.map(|version| expected.refused_for_good(Version::new(version)));
        assert_eq!(refused, for_good, "{expected:?}");
    }
}

#[test]
fn versions_end_at_the_highest() {
    assert_eq!(Version::MAX.next(), Version::MAX);
    assert_eq!(Version::NONE.next(), Version::FIRST);
    assert_eq!(ExpectedVersion::from(Version::new(7)), ExpectedVersion::Exact(Version::new(7)));
}

#[test]
fn the_content_of_an_event_is_type_data_and_tags() {
    let event =
        NewEvent::new("Placed", "{}").and_then(|event| event.with_tags(["a", "b"])).expect("an event");
    let metadata = Metadata::new("{}").expect("an object");
    let retry = event.clone().with_metadata(metadata).with_id(annalist_core::EventId::new());
    assert!(event.same_content(&event.clone()) && event.same_content(&retry));
    let tagged = |tags: &[&str]| event.clone().with_tags(tags.iter().copied()).expect("tags");
    assert!(!event.same_content(&tagged(&["a"])));
    assert!(!event.same_content(&tagged(&["b", "a"])));
    let made = |event_type: &str, data: &'static str| {
        NewEvent::new(event_type, data).and_then(|event| event.with_tags(["a", "b"])).expect("an event")
    };
    assert!(event.same_content(&made("Placed", "{}")));
    assert!(!event.same_content(&made("Paid", "{}")));
    assert!(!event.same_content(&made("Placed", "{ }")));
}

#[test]
fn an_append_without_events_counts_none() {
    assert_eq!((Append::new().event_count(), Append::new().size()), (0, 0));
    assert!(Append::new().events().next().is_none());
}

#[test]
fn capabilities_promise_all_that_is_not_taken_back() {
    let full = Capabilities::full(Limits::FLOOR);
    assert!(
        Capability::ALL.iter().all(|capability| full.has(*capability) && full.require(*capability).is_ok())
    );
    let less = full.without(Capability::LocalReads, "first").without(Capability::LocalReads, "second");
    assert_eq!(less.reason_against(Capability::LocalReads), Some("second"));
    let refused = less.require(Capability::LocalReads).expect_err("taken back");
    assert_eq!(refused.to_string(), "unsupported: local reads: second");
    assert!(less.has(Capability::Durability));
}
