//! All that an event carries beside its data: id, type, metadata, content type, tags, and the time at which it was recorded.

use std::time::{Duration, SystemTime};

use annalist_core::{ContentType, EventId, Metadata, NewEvent, Read, Version};

use super::kept;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, event, events, stream, tagged};

checks! {
    area: "payload",
    metadata {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Metadata are kept as they were written; none at all and `{}` stay apart.",
        likely_cause: "absent metadata read as `{}`; metadata parsed and written again; a bounded number of headers",
    }
    metadata_cannot_override {
        guarantee: "A2", level: 1, kind: Deterministic,
        summary: "Metadata with keys such as `version`, `position` or `id` change nothing of the event itself.",
        likely_cause: "envelope and metadata put into one flat JSON object",
    }
    content_type {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "The content type is kept, with parameters, in its case, and up to 255 bytes.",
        likely_cause: "no column for it, or one that is too short",
    }
    ids {
        guarantee: "I2", level: 1, kind: Deterministic,
        summary: "Every UUID is an event id: the nil and the maximal one, of versions 4, 5 and 7, and of none.",
        likely_cause: "the nil id taken for absent; ids made anew; a check of the UUID's version",
    }
    types {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Event types of 1 to 255 bytes, in every script and with every sign, are kept.",
        likely_cause: "a short column, a header's limit, or a type split at its dots",
    }
    tags {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Tags are kept as they are, in their order.",
        likely_cause: "tags kept as a set, sorted, joined by a comma, or lower-cased",
    }
    tags_many {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Thirty-two tags are kept, and tags of 255 bytes.",
        likely_cause: "a fixed number of columns, or a key that is cut",
    }
    recorded_at_resolution {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "The time of recording is given in the declared resolution, and no finer.",
        likely_cause: "a finer time in memory than the database keeps",
    }
    recorded_at_stays {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "The time of recording is that of the append: it is the same in every later read and through every handle.",
        likely_cause: "the clock asked while reading, or the time of the newest event given to all",
    }
}

fn object(json: &str) -> Metadata {
    Metadata::new(json).expect("the check uses valid metadata")
}

async fn metadata(cx: Cx) -> Verdict {
    let many: Vec<String> = (0..64).map(|n| format!("\"key {n}\":\"value {n}\"")).collect();
    let many = format!("{{{}}}", many.join(","));
    let traced = Metadata::NONE
        .with_correlation_id("order 7")?
        .with_causation_id("e1")?
        .with_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")?;
    let corpus = [
        ("none", Metadata::NONE),
        ("empty", object("{}")),
        ("empty with a space", object("{ }")),
        ("nested", object(r#"{"a":{"b":[{"c":null}]},"d":true}"#)),
        ("64 keys", object(&many)),
        ("tracing", traced),
        ("in every script", object(r#"{"ключ":"\u00e9 é","钥匙":"🗝"}"#)),
        ("around it", object(" {\"a\": 1}\n")),
    ];
    let labelled = corpus
        .into_iter()
        .map(|(label, metadata)| (label.into(), event("Kept", "{}").with_metadata(metadata)));
    kept(&cx, labelled.collect()).await
}

async fn metadata_cannot_override(cx: Cx) -> Verdict {
    let liar = object(
        r#"{"version":99,"position":"7","id":"x","event_id":1,"type":"Other","event_type":"Other","stream":"Other-1",
        "stream_id":"Other-1","tags":["other"],"data":"other","content_type":"text/plain","recorded_at":"1970-01-01","$version":5}"#,
    );
    let order = stream("Order-1");
    let given =
        [tagged("Placed", &["a"]).with_metadata(liar.clone()), tagged("Paid", &["b"]).with_metadata(liar)];
    let receipt = cx.append_to(&order, crate::exact(0), given.clone()).await?;
    let found = cx.fresh().await?.read_log().await?;
    ensure_eq!(found.len(), 2, "events of the log");
    for (i, (found, given)) in found.iter().zip(&given).enumerate() {
        ensure!(found.event() == given, "event {i} is {found:?}, not {given:?}");
        ensure_eq!(found.stream(), &order, "the stream of event {i}");
        ensure_eq!(found.version(), Version::new(i as u64 + 1), "the version of event {i}");
        ensure_eq!(found.position(), receipt.written()[0].positions()[i], "the position of event {i}");
    }
    Ok(())
}

async fn content_type(cx: Cx) -> Verdict {
    let long = format!("application/{}", "x".repeat(243));
    let corpus = [
        "application/json",
        "application/x-protobuf",
        "text/plain; charset=UTF-8; q=\"a b\"",
        "Application/JSON",
        "application/vnd.example.order.placed.v2+cbor",
        "x",
        &long,
    ];
    let typed = |name: &&str| {
        let content_type = ContentType::new(*name).expect("the check uses valid names");
        ((*name).to_owned(), event("Kept", "{}").with_content_type(content_type))
    };
    let untyped = ("none named".to_owned(), event("Kept", "{}"));
    kept(&cx, corpus.iter().map(typed).chain([untyped]).collect()).await
}

async fn ids(cx: Cx) -> Verdict {
    let named = |text: &str| text.parse().expect("the check uses valid ids");
    let corpus: [(&str, EventId); 8] = [
        ("nil", named("00000000-0000-0000-0000-000000000000")),
        ("the maximal", named("ffffffff-ffff-ffff-ffff-ffffffffffff")),
        ("version 4", named("936da01f-9abd-4d9d-80c7-02af85c822a8")),
        ("version 7", EventId::new()),
        ("derived", EventId::derived("payment 4711", 1)),
        ("of no version", named("00000000-0000-0000-0000-000000000001")),
        ("written in capitals", named("936DA01F-9ABD-4D9D-80C7-02AF85C822A9")),
        ("version 1", named("c232ab00-9414-11ec-b3c8-9f6bdeced846")),
    ];
    let labelled = corpus.into_iter().map(|(label, id)| (label.to_owned(), event("Kept", "{}").with_id(id)));
    kept(&cx, labelled.collect()).await
}

async fn types(cx: Cx) -> Verdict {
    let (long, wide) = ("t".repeat(255), "é".repeat(127));
    let corpus = [
        "x",
        "com.example.Order.Placed",
        "order-placed v2",
        "Auftrag ausgeführt",
        "注文済み",
        "ORDER",
        "order",
        "%_*?[]\\/:#'\"",
        " leading and trailing ",
        "1",
        "01",
        "null",
        &long,
        &wide,
    ];
    kept(&cx, corpus.iter().map(|name| (format!("{name:?}"), event(name, "{}"))).collect()).await
}

async fn tags(cx: Cx) -> Verdict {
    let corpus: [&[&str]; 8] = [
        &[],
        &["b", "a", "c"],
        &["Ada", "ada", "ADA"],
        &["a,b", "a", "b", "a;b", "a|b", "{a}", "[a]", "\"a\""],
        &[" a", "a", "a ", "a b"],
        &["e\u{301}", "\u{e9}"],
        &["$all", "%", "_", "\\", "*"],
        &["email:ada@example.org", "order:1", "order:10", "null", "1"],
    ];
    kept(&cx, corpus.iter().map(|tags| (format!("{tags:?}"), tagged("Kept", tags))).collect()).await
}

async fn tags_many(cx: Cx) -> Verdict {
    let many: Vec<String> = (0..32).rev().map(|n| format!("tag {n}")).collect();
    let long: Vec<String> = (0..32).map(|n| format!("{n:02}{}", "t".repeat(253))).collect();
    let wide = format!("x{}", "é".repeat(127));
    let of = |tags: &[String]| tagged("Kept", &tags.iter().map(String::as_str).collect::<Vec<_>>());
    let labelled = vec![
        ("32 tags".to_owned(), of(&many)),
        ("32 tags of 255 bytes, equal in their last 253".to_owned(), of(&long)),
        ("a tag of 255 bytes".to_owned(), tagged("Kept", &[&wide])),
    ];
    kept(&cx, labelled).await
}

/// The time since 1970 or, where a clock is set to before, until then.
fn from_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_else(|before| before.duration())
}

async fn recorded_at_resolution(cx: Cx) -> Verdict {
    let resolution = cx.capabilities().recorded_at_precision();
    ensure!(!resolution.is_zero(), "the declared resolution is zero");
    for _ in 0..20 {
        cx.append_any("Order-1", 1).await?;
    }
    for event in cx.fresh().await?.read_log().await? {
        let time = from_1970(event.recorded_at());
        let rest = time.as_nanos() % resolution.as_nanos();
        ensure!(rest == 0, "{time:?} after 1970 is {rest} ns finer than the declared {resolution:?}");
    }
    Ok(())
}

async fn recorded_at_stays(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    cx.append_to(&order, crate::exact(0), events(3)).await?;
    let first = cx.read_log().await?;
    let times = |events: &[annalist_core::RecordedEvent]| -> Vec<_> {
        events.iter().map(|event| event.recorded_at()).collect()
    };
    for n in 0..10 {
        // What is appended and read later must not change the times of what was there.
        cx.append_to(&cart, crate::exact(n), [NewEvent::new("Later", "{}")?]).await?;
        let fresh = cx.fresh().await?;
        let again = fresh.read_stream(&order).await?;
        ensure_eq!(times(&again), times(&first), "times of recording after {} more appends", n + 1);
        let backward = cx.drain(Read::stream(&order).backward()).await?.events;
        let reversed: Vec<_> = times(&backward).into_iter().rev().collect();
        ensure_eq!(reversed, times(&first), "times of recording, read backward");
    }
    Ok(())
}
