//! Values for checks: names, events, appends.

use annalist_core::{
    CheckpointName, EventType, ExpectedVersion, NewEvent, Query, SnapshotSchema, StreamId, Version,
};

/// The stream of this name, which must be a valid one.
///
/// # Panics
///
/// If the name breaks the rules: the check itself is wrong then.
///
/// ```
/// assert_eq!(annalist_conformance::stream("Order-1").category(), "Order");
/// ```
#[must_use]
pub fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("a check uses valid names")
}

/// The checkpoint of this name, which must be a valid one.
///
/// # Panics
///
/// If the name breaks the rules: the check itself is wrong then.
///
/// ```
/// assert_eq!(annalist_conformance::checkpoint("mailer").as_str(), "mailer");
/// ```
#[must_use]
pub fn checkpoint(name: &str) -> CheckpointName {
    CheckpointName::new(name).expect("a check uses valid names")
}

/// The snapshot schema of this name, which must be a valid one.
///
/// # Panics
///
/// If the name breaks the rules: the check itself is wrong then.
///
/// ```
/// assert_eq!(annalist_conformance::schema("order/1").as_str(), "order/1");
/// ```
#[must_use]
pub fn schema(name: &str) -> SnapshotSchema {
    SnapshotSchema::new(name).expect("a check uses valid names")
}

/// A new event of this type with these data.
///
/// # Panics
///
/// If the type breaks the rules: the check itself is wrong then.
///
/// ```
/// assert_eq!(annalist_conformance::event("Happened", "{}").event_type().as_str(), "Happened");
/// ```
#[must_use]
pub fn event(event_type: &str, data: impl Into<bytes::Bytes>) -> NewEvent {
    let event_type = EventType::new(event_type).expect("a check uses valid names");
    NewEvent::new(event_type, data).expect("a checked type is valid")
}

/// `n` new events of type `Happened`, numbered from 1 in their data.
///
/// ```
/// assert_eq!(annalist_conformance::events(2)[1].data().as_ref(), br#"{"n":2}"#);
/// ```
#[must_use]
pub fn events(n: usize) -> Vec<NewEvent> {
    (1..=n).map(|n| event("Happened", format!(r#"{{"n":{n}}}"#))).collect()
}

/// A new event with these tags.
///
/// # Panics
///
/// If a name breaks the rules: the check itself is wrong then.
///
/// ```
/// assert_eq!(annalist_conformance::tagged("Happened", &["a", "b"]).tags().len(), 2);
/// ```
#[must_use]
pub fn tagged(event_type: &str, tags: &[&str]) -> NewEvent {
    event(event_type, "{}").with_tags(tags.iter().copied()).expect("a check uses valid tags")
}

/// `Exact(version)`.
///
/// ```
/// use annalist_core::{ExpectedVersion, Version};
///
/// assert_eq!(annalist_conformance::exact(3), ExpectedVersion::Exact(Version::new(3)));
/// ```
#[must_use]
pub fn exact(version: u64) -> ExpectedVersion {
    ExpectedVersion::Exact(Version::new(version))
}

/// Queries of every shape that meet the events of [`Handle::append_medley`](crate::Handle::append_medley), each with a name.
///
/// ```
/// assert!(annalist_conformance::query_medley().len() > 10);
/// ```
#[must_use]
pub fn query_medley() -> Vec<(&'static str, Query)> {
    use annalist_core::QueryItem;
    vec![
        ("all", Query::all()),
        ("one stream", Query::stream("Order-1")),
        ("a stream that is not there", Query::stream("Order-99")),
        ("two streams", QueryItem::new().streams(["Order-1", "Cart-2"]).into()),
        ("a category", Query::category("Order")),
        ("two categories", QueryItem::new().category("Order").category("Cart").into()),
        ("a prefix", QueryItem::new().stream_prefix("Or").into()),
        ("two prefixes", QueryItem::new().stream_prefix("Order-1").stream_prefix("C").into()),
        ("a type", Query::types(["Placed"])),
        ("two types", Query::types(["Placed", "Paid"])),
        ("a type that is not there", Query::types(["Never"])),
        ("a tag", Query::tags(["even"])),
        ("two tags", Query::tags(["even", "third"])),
        ("category and type", QueryItem::new().category("Order").types(["Paid"]).into()),
        ("category, type and tag", QueryItem::new().category("Cart").types(["Placed"]).tags(["even"]).into()),
        (
            "any of two items",
            Query::any_of([
                QueryItem::new().category("Cart").tags(["third"]),
                QueryItem::new().types(["Shipped"]),
            ]),
        ),
    ]
}
