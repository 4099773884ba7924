//! What errors tell, and what they must not.

use std::error::Error as StdError;

use annalist_core::{ExpectedVersion, Metadata, Query, Read, Snapshot, Subscribe, Version};

use super::provoked;
use crate::{Cx, Verdict, checks, ensure, event, note, schema, stream};

checks! {
    area: "errors",
    shape {
        guarantee: "E2", level: 1, kind: Deterministic,
        summary: "An error tells its own message in one line, and its cause by `source` alone, once.",
        likely_cause: "the cause written into the message as well, so that a log has it twice",
    }
    no_payload {
        guarantee: "E2", level: 1, kind: Deterministic,
        summary: "No error tells data, metadata or tags, neither by itself nor by its causes.",
        likely_cause: "a server's message passed on, which quotes the row; a request printed into an error",
    }
    no_payload_in_debug {
        guarantee: "E2", level: 1, kind: Deterministic,
        summary: "The debug text of stores, pages, receipts and signals has no payload in it.",
        likely_cause: "a derived `Debug` over a cache or a queue",
    }
}

/// An error and all its causes, as `Display` and as `Debug` tell them.
pub(super) fn texts(error: &annalist_core::Error) -> Vec<String> {
    let mut texts = vec![error.to_string(), format!("{error:?}"), format!("{error:#?}")];
    let mut cause = error.source();
    while let Some(source) = cause {
        texts.extend([source.to_string(), format!("{source:?}")]);
        cause = source.source();
    }
    texts
}

async fn shape(cx: Cx) -> Verdict {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    for (cause, error) in provoked(&cx, "plain").await? {
        shared(&error);
        let own = error.to_string();
        note!(cx, !own.trim().is_empty(), "{cause}: the error has no message");
        note!(cx, !own.contains('\n'), "{cause}: the message has several lines: {own}");
        let mut source = error.source();
        while let Some(deeper) = source {
            let told = deeper.to_string();
            note!(
                cx,
                !told.is_empty() && !own.contains(&told),
                "{cause}: `{own}` tells its cause `{told}` itself"
            );
            source = deeper.source();
        }
        note!(cx, error.clone().to_string() == own, "{cause}: a clone tells something else");
    }
    Ok(())
}

async fn no_payload(cx: Cx) -> Verdict {
    const MARKER: &str = "4929 1234";
    for (cause, error) in provoked(&cx, MARKER).await? {
        let telling = texts(&error).into_iter().find(|text| text.contains(MARKER));
        if let Some(text) = telling {
            // Not the text itself: this message goes into logs too.
            let place = text.find(MARKER).unwrap_or_default();
            cx.violation(format!("{cause}: the error tells the payload, at byte {place} of {}", text.len()));
        }
    }
    Ok(())
}

async fn no_payload_in_debug(cx: Cx) -> Verdict {
    const MARKER: &str = "4929 5678";
    let order = stream("Order-1");
    let metadata = Metadata::NONE.with_text("secret", MARKER)?;
    let secret = event("Secret", MARKER).with_metadata(metadata.clone()).with_tags([MARKER])?;
    let receipt = cx.append_to(&order, ExpectedVersion::NoStream, [secret]).await?;
    let snapshot = Snapshot::new(&order, &schema("order/1"), Version::FIRST, MARKER).with_metadata(metadata);
    cx.snapshots().save_snapshot(snapshot).await?;
    let page = cx.read(Read::stream(&order)).await?;
    let snapshot = cx.snapshots().load_snapshot(&order, &schema("order/1"), Version::MAX).await?;
    let signal = cx.tail(Subscribe::to(Query::all())).await?.signal().await?;
    let texts = [
        ("the receipt", format!("{receipt:?}")),
        ("the page", format!("{page:?}")),
        ("the snapshot", format!("{snapshot:?}")),
        ("the signal", format!("{signal:?}")),
        ("the event store", format!("{:?}", cx.store())),
        ("the snapshot store", format!("{:?}", cx.snapshots())),
        ("the checkpoint store", format!("{:?}", cx.checkpoints())),
    ];
    for (what, text) in texts {
        ensure!(
            !text.contains(MARKER),
            "the debug text of {what}, {} bytes, has a payload in it",
            text.len()
        );
    }
    Ok(())
}
