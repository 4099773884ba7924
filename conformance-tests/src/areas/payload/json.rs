//! JSON is kept as it was written, as data and within metadata.

use std::fmt::Write as _;

use annalist_core::{Metadata, NewEvent};

use super::kept;
use crate::{Cx, Verdict, checks, event};

checks! {
    area: "payload",
    deep {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "JSON that is a thousand levels deep is kept, as data and as metadata.",
        likely_cause: "a parser's bound on recursion: 128 in `serde_json`, 32 in a DynamoDB map",
    }
    wide {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "A JSON object with ten thousand keys is kept, in their order.",
        likely_cause: "a column or attribute for each key; a map that sorts or hashes",
    }
    big_integers {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Integers beyond 2^53, beyond 64 bits and beyond 38 digits are kept digit by digit.",
        likely_cause: "numbers parsed as `f64`, or stored as a database's number",
    }
    floats {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Fractions keep every digit, their sign and their exponent.",
        likely_cause: "numbers parsed and printed again: -0.0, 5e-324 and 0.1 come out differently",
    }
    number_text {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "`1`, `1.0`, `1e0` and `1E+0` are four texts, and each is kept.",
        likely_cause: "`jsonb`, which keeps the value of a number and not its text",
    }
    key_order_dups {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "The order of keys, keys that occur twice, and white space are kept.",
        likely_cause: "`jsonb`, or a map in between",
    }
    odd_keys {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Keys that are empty, long, or mean something to a database are kept.",
        likely_cause: "attribute paths, operators beginning with `$`, or columns named by keys",
    }
}

/// Each JSON text as data, and as a value within metadata.
fn both(texts: &[&str]) -> Vec<(String, NewEvent)> {
    let mut labelled = Vec::new();
    for text in texts {
        let label: String = text.chars().take(40).collect();
        labelled.push((format!("as data, {label}"), event("Kept", (*text).to_owned())));
        let metadata = Metadata::new(format!("{{\"value\": {text} }}")).expect("the check uses valid JSON");
        labelled.push((format!("as metadata, {label}"), event("Kept", "{}").with_metadata(metadata)));
    }
    labelled
}

async fn deep(cx: Cx) -> Verdict {
    let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let objects = |levels| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    kept(&cx, both(&[&nested(100), &nested(1_000), &objects(100), &objects(1_000)])).await
}

async fn wide(cx: Cx) -> Verdict {
    let mut object = "{".to_owned();
    for n in (0..10_000).rev() {
        let _ = write!(object, "\"k{n}\":{n},");
    }
    object.push_str("\"z\":0}");
    kept(&cx, both(&[&object])).await
}

async fn big_integers(cx: Cx) -> Verdict {
    let corpus = [
        "9007199254740991",
        "9007199254740993",
        "-9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "1000000000000000000000000000001",
        "123456789012345678901234567890123456789012345678901234567890",
    ];
    kept(&cx, both(&corpus)).await
}

async fn floats(cx: Cx) -> Verdict {
    let corpus = [
        "-0.0",
        "5e-324",
        "1.7976931348623157e308",
        "0.1",
        "0.30000000000000004",
        "2.2250738585072011e-308",
        "1.23456789012345678901234567890",
    ];
    kept(&cx, both(&corpus)).await
}

async fn number_text(cx: Cx) -> Verdict {
    kept(&cx, both(&["1", "1.0", "1.00", "1e0", "1E+0", "10e-1", "-0", "0.0", "1e2", "100"])).await
}

async fn key_order_dups(cx: Cx) -> Verdict {
    let corpus = [
        r#"{"b":1,"a":2,"c":3}"#,
        r#"{"a":1,"a":2,"a":1}"#,
        r#"{ "a" : [ 1 ,2,  3 ] , "b":{ } }"#,
        "{\n\t\"a\":\r\n 1\n}\n",
        "  {}  ",
        r#"{"a":"\u0041\/\t"}"#,
    ];
    kept(&cx, both(&corpus)).await
}

async fn odd_keys(cx: Cx) -> Verdict {
    let long = format!("{{\"{}\":1}}", "k".repeat(300));
    let corpus = [
        r#"{"":1}"#,
        r#"{"$type":"x","$ref":1,"@id":2,"comment#":3}"#,
        r#"{".":1,"a.b":2,"a[0]":3,"*":4}"#,
        r#"{"__proto__":{},"constructor":null}"#,
        r#"{"NULL":null,"true":false,"1":2}"#,
        &long,
    ];
    kept(&cx, both(&corpus)).await
}
