//! Every kind of name has the same rules, at the same boundaries.

use annalist_core::{
    CheckpointName, ContentType, Error, EventType, Invalid, NAME_BYTES_MAX, SnapshotSchema, StreamId, Tag,
};

use crate::invalid;

type Parse = fn(&str) -> Result<String, Error>;

/// Each kind: what it is called in errors, how it is made, and whether it may begin with `$`.
const KINDS: [(&str, Parse, bool); 6] = [
    ("stream id", |name| StreamId::new(name).map(String::from), false),
    ("event type", |name| EventType::new(name).map(String::from), false),
    ("tag", |name| Tag::new(name).map(String::from), true),
    ("checkpoint name", |name| CheckpointName::new(name).map(String::from), true),
    ("snapshot schema", |name| SnapshotSchema::new(name).map(String::from), true),
    ("content type", |name| ContentType::new(name).map(String::from), true),
];

#[test]
fn names_have_1_to_255_bytes() {
    for (what, parse, _) in KINDS {
        assert_eq!(invalid(parse("")), Invalid::new(what, "must not be empty", "\"\""));
        for len in [1, 2, NAME_BYTES_MAX - 1, NAME_BYTES_MAX] {
            let name = "n".repeat(len);
            assert_eq!(parse(&name).expect("within the limit"), name);
        }
        let refused = invalid(parse(&"n".repeat(NAME_BYTES_MAX + 1)));
        assert_eq!(refused, Invalid::over(what, "bytes", 255, 256));
    }
}

#[test]
fn the_limit_counts_bytes_and_not_characters() {
    for (what, parse, _) in KINDS {
        // 2 bytes each: 127 of them and one more byte make 255.
        let longest = format!("{}a", "ä".repeat(127));
        assert_eq!(parse(&longest).expect("255 bytes"), longest);
        assert_eq!(invalid(parse(&"ä".repeat(128))), Invalid::over(what, "bytes", 255, 256));
    }
}

#[test]
fn control_characters_are_refused_wherever_they_stand() {
    for (what, parse, _) in KINDS {
        for control in (0..=0x1f).chain(0x7f..=0x9f).filter_map(char::from_u32) {
            for name in [format!("{control}ab"), format!("a{control}b"), format!("ab{control}")] {
                let refused = invalid(parse(&name));
                assert_eq!((refused.what, refused.rule), (what, "must not hold control characters"));
                assert_eq!(refused.value, format!("{control:?}"));
            }
        }
    }
}

#[test]
fn a_leading_dollar_is_reserved_for_streams_and_types_alone() {
    for (what, parse, allowed) in KINDS {
        if allowed {
            assert_eq!(parse("$all").expect("only streams and types reserve it"), "$all");
        } else {
            let refused = invalid(parse("$all"));
            assert_eq!((refused.what, refused.value.as_str()), (what, "\"$all\""));
        }
        assert_eq!(parse("a$").expect("only in front it is reserved"), "a$");
    }
}

#[test]
fn case_spaces_and_unicode_forms_are_kept_and_significant() {
    for (_, parse, _) in KINDS {
        for name in ["A", "a", " a", "a ", "e\u{301}", "\u{e9}", "\u{200b}", "a%_*\\", "日本", "🦀"] {
            assert_eq!(parse(name).expect("an ordinary name"), name);
        }
    }
    let composed = StreamId::new("\u{e9}").expect("a name");
    let decomposed = StreamId::new("e\u{301}").expect("a name");
    assert_ne!(composed, decomposed);
}

#[test]
fn the_category_ends_at_the_first_dash() {
    let category = |name: &str| StreamId::new(name).expect("a name").category().to_owned();
    assert_eq!(category("Order-7f3-x"), "Order");
    assert_eq!(category("Order"), "Order");
    assert_eq!(category("Order-"), "Order");
    assert_eq!(category("-7"), "");
    assert_eq!(category("日本-1"), "日本");
}

#[test]
fn every_way_to_make_a_name_checks_it() {
    assert!("$x".parse::<StreamId>().is_err());
    assert!(StreamId::try_from("$x").is_err());
    assert!(StreamId::try_from("$x".to_owned()).is_err());
    assert!(serde_json::from_str::<StreamId>("\"$x\"").is_err());
    let order: StreamId = serde_json::from_str("\"Order-7\"").expect("a name");
    assert_eq!(serde_json::to_string(&order).expect("a text"), "\"Order-7\"");
}
