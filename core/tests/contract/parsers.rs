//! The parsers on arbitrary input: none panics, and what they take comes back as it was.

use annalist_core::{
    CheckpointName, ContentType, EventId, EventType, LogId, Metadata, Position, SnapshotSchema, StreamId,
    Tag, backend,
};
use proptest::prelude::*;
use uuid::Uuid;

/// Nearly a position: the right alphabet and about the right shape.
fn like_a_position() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-fA-F]{7,9}-[0-9a-fA-F]{15,17}-[0-9a-fA-F]{7,9}",
        "[0-9a-f-]{30,40}",
        "[0-9a-f]{8}.[0-9a-f]{16}.[0-9a-f]{8}",
        "0{8}-[01]{16}-0{8}",
    ]
}

fn like_an_id() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-fA-F]{32}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{11,13}",
        "\\{?[0-9a-f-]{30,40}\\}?",
        "urn:uuid:[0-9a-f-]{36}",
    ]
}

fn like_json() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\{\"[a-z]{1,3}\": ?\"[^\"\\\\]{0,8}\"\\}",
        "[ \\t]?\\{(\"a\":[0-9]{1,3}(,\"b\":(null|true|\\[\\]|\\{\\}))?)?\\}[ \\n]?",
        "[\\[\\]{}\":,0-9a-z\\\\ ]{0,30}",
    ]
}

fn log_of_tag(tag: u32) -> LogId {
    LogId::from_uuid(Uuid::from_u128(u128::from(tag)))
}

fn position() -> impl Strategy<Value = Position> {
    (any::<u32>(), any::<u64>(), any::<u32>())
        .prop_map(|(tag, major, minor)| backend::position(log_of_tag(tag), major, minor))
}

fn name_comes_back(text: &str) {
    macro_rules! check {
        ($($type:ty)*) => {$(
            if let Ok(name) = text.parse::<$type>() {
                assert_eq!(name.to_string(), text);
                assert_eq!(name.as_str(), text);
            }
        )*};
    }
    check!(StreamId EventType Tag CheckpointName SnapshotSchema ContentType);
}

proptest! {
    #[test]
    fn names_never_panic_and_come_back(text in any::<String>()) {
        name_comes_back(&text);
    }

    #[test]
    fn positions_never_panic_and_come_back(text in prop_oneof![any::<String>(), like_a_position()]) {
        if let Ok(position) = text.parse::<Position>() {
            prop_assert_eq!(position.to_string(), text);
        }
    }

    #[test]
    fn a_position_is_told_and_parsed(position in position()) {
        let text = position.to_string();
        prop_assert_eq!(text.parse::<Position>().expect("its own text"), position);
        let json = serde_json::to_string(&position).expect("a text");
        prop_assert_eq!(serde_json::from_str::<Position>(&json).expect("its own JSON"), position);
    }

    #[test]
    fn the_text_of_positions_sorts_as_they_do(a in position(), b in position()) {
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn positions_of_one_log_sort_by_their_numbers(
        tag in any::<u32>(), a in any::<(u64, u32)>(), b in any::<(u64, u32)>(),
    ) {
        let at = |(major, minor)| backend::position(log_of_tag(tag), major, minor);
        prop_assert_eq!(at(a).cmp(&at(b)), a.cmp(&b));
        prop_assert_eq!(backend::numbers(at(a)), a);
        prop_assert!(Position::START < at(a));
    }

    #[test]
    fn ids_never_panic_and_come_back(text in prop_oneof![any::<String>(), like_an_id()]) {
        if let Ok(id) = text.parse::<EventId>() {
            prop_assert_eq!(id.to_string().parse::<EventId>().expect("its own text"), id);
        }
        prop_assert_eq!(text.parse::<LogId>().is_ok(), text.parse::<EventId>().is_ok());
    }

    #[test]
    fn every_uuid_is_an_id(bits in any::<u128>()) {
        let id = EventId::from_uuid(Uuid::from_u128(bits));
        prop_assert_eq!(id.to_string().parse::<EventId>().expect("its own text"), id);
        prop_assert_ne!(log_of_tag(bits as u32).tag(), 0);
    }

    #[test]
    fn derived_ids_depend_on_the_key_and_the_number_alone(key in any::<String>(), n in any::<u32>()) {
        prop_assert_eq!(EventId::derived(&key, n), EventId::derived(&key, n));
        prop_assert_ne!(EventId::derived(&key, n), EventId::derived(&key, n.wrapping_add(1)));
        prop_assert_ne!(EventId::derived(&key, n), EventId::derived(&format!("{key}."), n));
    }

    #[test]
    fn metadata_never_panics_and_is_kept_as_written(text in prop_oneof![any::<String>(), like_json()]) {
        let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).is_ok();
        match Metadata::new(text.as_str()) {
            Ok(metadata) => {
                prop_assert!(is_object || text.is_empty());
                prop_assert_eq!(metadata.as_str(), text.as_str());
                prop_assert_eq!(metadata.len(), text.len());
            }
            Err(_) => prop_assert!(!is_object),
        }
    }

    #[test]
    fn a_text_that_was_added_is_read_back(json in like_json(), key in any::<String>(), value in any::<String>()) {
        let Ok(metadata) = Metadata::new(json) else { return Ok(()) };
        let before = metadata.text(&key);
        if let Ok(with) = metadata.with_text(&key, &value) {
            prop_assert_eq!(before, None);
            prop_assert_eq!(with.text(&key), Some(value));
            prop_assert!(Metadata::new(with.as_str()).is_ok());
        }
    }
}

#[test]
fn text_that_is_nearly_a_position_is_refused() {
    for text in [
        "",
        "0",
        "00000001-0000000000000001-0000000",
        "00000001-0000000000000001-000000000",
        "0000000A-0000000000000001-00000000",
        "+0000001-0000000000000001-00000000",
        "00000001 0000000000000001-00000000",
        "00000001-00000000-00000001-0000000",
        // No log has the tag 0, so only START begins with it.
        "00000000-0000000000000001-00000000",
    ] {
        assert!(text.parse::<Position>().is_err(), "{text:?}");
    }
}

#[test]
fn deep_json_is_no_danger() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    if let Ok(metadata) = Metadata::new(deep) {
        assert_eq!(metadata.text("a"), None);
    }
}

#[test]
fn the_name_space_of_derived_ids_is_frozen() {
    // An id that changed with a version of this crate would make a retry across versions a second event. The value was
    // computed by another implementation of RFC 9562.
    assert_eq!(EventId::derived("payment 4711", 0).to_string(), "062f6bda-df27-586a-b06b-3df15c32d095");
}
