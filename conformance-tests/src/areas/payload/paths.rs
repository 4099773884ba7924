//! An event is the same on every path on which it can be read.

use annalist_core::{
    Append, ContentType, ExpectedVersion, Metadata, NewEvent, Query, Read, RecordedEvent, Subscribe,
};

use crate::{Cx, Handle, Verdict, checks, event, same_events, stream};

checks! {
    area: "payload",
    all_paths_equal {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "A stream read, a log read and a filtered one, forward and backward, give the same event in every field, through every handle.",
        likely_cause: "a second place where rows become events, which forgot a column",
    }
    subscription_equal {
        guarantee: "S1", level: 1, kind: Deterministic,
        summary: "A subscription gives the events that a read gives, in every field, from the log and live.",
        likely_cause: "a notification with its own encoding, or one that is cut",
    }
    small_pages_equal {
        guarantee: "R4", level: 1, kind: Deterministic,
        summary: "Events are the same in every field whatever the size of the page that they come in.",
        likely_cause: "a first page that is built in another place than the following ones",
    }
    multi_stream_equal {
        guarantee: "A1", level: 1, kind: Deterministic,
        summary: "Events of an append over several streams are whole in each of its streams.",
        likely_cause: "several streams written by another statement than one",
    }
    retry_changes_nothing {
        guarantee: "I1", level: 1, kind: Deterministic,
        summary: "An append that is sent again changes no field of what is stored.",
        likely_cause: "an upsert, which writes time or metadata of the retry",
    }
}

/// One event with everything, and others that lack one thing each.
fn corpus() -> Vec<NewEvent> {
    let metadata = Metadata::new(r#"{ "correlation_id": "order 7", "n": 1.0 }"#).expect("it is an object");
    let protobuf = ContentType::new("application/x-protobuf").expect("it is a name");
    let tagged = |event: NewEvent| event.with_tags(["z", "a", "even"]).expect("they are distinct");
    vec![
        tagged(
            event("Whole", b"\x00\xff{}".to_vec())
                .with_metadata(metadata.clone())
                .with_content_type(protobuf.clone()),
        ),
        tagged(event("NoData", "").with_metadata(metadata.clone()).with_content_type(protobuf.clone())),
        tagged(event("NoMetadata", "{ \"b\":1, \"a\":2 }").with_content_type(protobuf.clone())),
        tagged(event("NoContentType", "[1.0]").with_metadata(metadata.clone())),
        event("NoTags", "\"é\"").with_metadata(metadata).with_content_type(protobuf),
        event("Bare", "{}"),
        event("EmptyMetadata", "{}").with_metadata(Metadata::new("{}").expect("it is an object")),
    ]
}

async fn appended(cx: &Cx) -> Verdict<Vec<RecordedEvent>> {
    let whole = stream("Whole-1");
    cx.append_to(&whole, ExpectedVersion::NoStream, corpus()).await?;
    for event in corpus() {
        cx.append_to(&whole, ExpectedVersion::Any, [event]).await?;
    }
    let found = cx.read_stream(&whole).await?;
    let given: Vec<_> = found.iter().map(|event| event.event().clone()).collect();
    crate::ensure_eq!(given.len(), 2 * corpus().len(), "events of the stream");
    Ok(found)
}

async fn all_paths_equal(cx: Cx) -> Verdict {
    let expected = appended(&cx).await?;
    for handle in cx.handles(2).await? {
        paths(&cx, &handle, &expected).await?;
    }
    Ok(())
}

async fn paths(cx: &Cx, handle: &Handle, expected: &[RecordedEvent]) -> Verdict {
    let whole = stream("Whole-1");
    let reads = [
        ("the stream", Read::stream(&whole)),
        ("the log", Read::log(Query::all())),
        ("the log through a stream", Read::log(Query::stream("Whole-1"))),
        ("the log through a category", Read::log(Query::category("Whole"))),
    ];
    for (what, read) in reads {
        let forward = handle.drain(read.clone()).await?.events;
        cx.collect(same_events(&forward, expected, what), "forward")?;
        let mut backward = handle.drain(read.backward()).await?.events;
        backward.reverse();
        cx.collect(same_events(&backward, expected, what), "backward")?;
    }
    let even: Vec<_> = expected.iter().filter(|event| event.tags().len() == 3).cloned().collect();
    let found = handle.drain(Read::log(Query::tags(["even", "a"]))).await?.events;
    cx.collect(same_events(&found, &even, "the log through tags"), "forward")?;
    Ok(())
}

async fn subscription_equal(cx: Cx) -> Verdict {
    let fresh = cx.fresh().await?;
    let mut live = fresh.tail(Subscribe::to(Query::all())).await?;
    live.until_caught_up().await?;
    let expected = appended(&cx).await?;
    same_events(&live.take(expected.len()).await?, &expected, "what a subscription gives live")?;
    let (found, _) = fresh.tail(Subscribe::to(Query::all())).await?.until_caught_up().await?;
    same_events(&found, &expected, "what a subscription gives from the log")
}

async fn small_pages_equal(cx: Cx) -> Verdict {
    let expected = appended(&cx).await?;
    for size in [1, 2, 5] {
        for read in [Read::stream(&stream("Whole-1")), Read::log(Query::all())] {
            let found = cx.drain(read.page_size(size)).await?.events;
            same_events(&found, &expected, &format!("pages of {size}"))?;
        }
    }
    Ok(())
}

async fn multi_stream_equal(cx: Cx) -> Verdict {
    let names = ["Whole-1", "Whole-2", "Other"];
    let mut append = Append::new();
    let mut given = Vec::new();
    for name in names {
        let events = corpus();
        given.push(events.clone());
        append = append.write(&stream(name), ExpectedVersion::NoStream, events);
    }
    cx.append(append).await?;
    let fresh = cx.fresh().await?;
    for (name, given) in names.iter().zip(&given) {
        crate::same_as_appended(&fresh.read_stream(&stream(name)).await?, given, name)?;
    }
    crate::same_as_appended(&fresh.read_log().await?, &given.concat(), "the log")
}

async fn retry_changes_nothing(cx: Cx) -> Verdict {
    let append = Append::to(&stream("Whole-1"), ExpectedVersion::NoStream, corpus());
    cx.append(append.clone()).await?;
    let before = cx.read_log().await?;
    for _ in 0..3 {
        cx.append(append.clone()).await?;
        cx.fresh().await?.append(append.clone()).await?;
    }
    cx.log_is(&before, &[], "after the same append was sent again").await
}
