//! Metadata: what is taken, what is kept, what the named accessors read and write.

use annalist_core::Metadata;

use crate::invalid;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn only_json_objects_are_taken_and_they_stay_as_written() {
    for json in [
        "{}",
        " {}",
        "{ \"b\" : 1 , \"a\" : 2 }",
        "{\"a\":1,\"a\":2}",
        "{\"n\":1.00e3}\n",
        "{\"ä\":\"\\u00e4\"}",
    ] {
        assert_eq!(Metadata::new(json).expect("an object").as_str(), json);
    }
    for json in ["[]", "1", "\"{}\"", "null", "{", "}", "{}{}", "{,}", "{\"a\"}", "{a:1}", "\u{feff}{}", " "]
    {
        let refused = invalid(Metadata::new(json));
        assert_eq!((refused.what, refused.rule), ("metadata", "must be a JSON object"));
        // A payload is told by its length alone.
        assert_eq!(refused.value, format!("{} bytes", json.len()));
    }
}

#[test]
fn absent_and_empty_are_two_things() {
    let (none, empty) = (Metadata::NONE, Metadata::new("{}").expect("an object"));
    assert_ne!(none, empty);
    assert_eq!(Metadata::new("").expect("none"), none);
    assert!(none.is_none() && none.is_empty() && none.as_str().is_empty());
    assert!(!empty.is_none() && !empty.is_empty());
    assert_eq!((none.len(), empty.len()), (0, 2));
}

#[test]
fn the_named_accessors_read_what_was_written() {
    let metadata = Metadata::NONE
        .with_correlation_id("order 7")
        .and_then(|metadata| metadata.with_causation_id("quote \" and \\ and \u{1}"))
        .and_then(|metadata| metadata.with_traceparent(TRACEPARENT))
        .expect("three new keys");
    assert_eq!(metadata.correlation_id().as_deref(), Some("order 7"));
    assert_eq!(metadata.causation_id().as_deref(), Some("quote \" and \\ and \u{1}"));
    assert_eq!(metadata.traceparent().as_deref(), Some(TRACEPARENT));
    assert_eq!(metadata.text("other"), None);
}

#[test]
fn the_accessors_read_texts_at_the_top_level_alone() {
    let json = r#"{"correlation_id":7,"in":{"causation_id":"x"},"traceparent":null}"#;
    let metadata = Metadata::new(json).expect("an object");
    assert_eq!(metadata.correlation_id(), None);
    assert_eq!(metadata.causation_id(), None);
    assert_eq!(metadata.traceparent(), None);
    assert_eq!(Metadata::NONE.correlation_id(), None);
}

#[test]
fn adding_a_text_leaves_the_rest_as_it_was_written() {
    let add = |json: &str| {
        Metadata::new(json).and_then(|metadata| metadata.with_text("k", "v")).expect("a new key")
    };
    assert_eq!(add("").as_str(), r#"{"k":"v"}"#);
    assert_eq!(add("{}").as_str(), r#"{"k":"v"}"#);
    assert_eq!(add(r#"{ "b" : 1.0 }"#).as_str(), r#"{ "b" : 1.0 ,"k":"v"}"#);
    assert_eq!(add(r#"{"a":{"k":1}}"#).as_str(), r#"{"a":{"k":1},"k":"v"}"#);
}

#[test]
fn a_key_is_not_written_twice() {
    // Also where it is written in another way.
    for json in [r#"{"k":1}"#, r#"{"\u006b":null}"#] {
        let refused = invalid(Metadata::new(json).and_then(|metadata| metadata.with_text("k", "v")));
        assert_eq!((refused.rule, refused.value.as_str()), ("must not have the key yet", "\"k\""));
    }
}
