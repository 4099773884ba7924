//! The same ids with other content, and what is not content.

use annalist_core::{Append, ContentType, EventType, ExpectedVersion, Metadata, NewEvent};

use super::replays;
use crate::{Cx, Verdict, checks, ensure_eq, event, expect, stream, tagged};

checks! {
    area: "idem",
    same_id_other_payload {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "The same id with other data is refused as `IdReused`, and the stored event stays as it is.",
        likely_cause: "the data never compared, or put over the stored ones",
    }
    other_type {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "The same id with another type is refused as `IdReused`.",
        likely_cause: "only data compared",
    }
    other_tags {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "The same id with other tags, more of them or fewer, is refused as `IdReused`.",
        likely_cause: "tags kept in an index beside the event, and not compared",
    }
    other_tag_order {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "The same id with the same tags in another order is refused as `IdReused`: their order is kept.",
        likely_cause: "tags compared as a set",
    }
    metadata_not_compared {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "A retry with other metadata is a retry, and the stored metadata stay.",
        likely_cause: "a digest of the whole event, or the row updated by the retry",
    }
    content_type_not_compared {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "A retry with another content type is a retry, and the stored one stays.",
        likely_cause: "a digest of the whole event",
    }
}

/// Stores an event between two others and sees to it that this one in its place is refused as `IdReused`, alone and with the others.
async fn refused_in_place_of(cx: &Cx, stored: NewEvent, changed: Vec<NewEvent>) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    let [before, after] = [event("Before", "{}"), event("After", "{}")];
    let three = |middle: NewEvent| [before.clone(), middle, after.clone()];
    let append = Append::to(&order, ExpectedVersion::NoStream, three(stored.clone()));
    let receipt = cx.append(append.clone()).await?;
    cx.append_to(&cart, ExpectedVersion::NoStream, [stored.clone()]).await?;
    let log = cx.read_log().await?;
    for event in changed {
        let event = event.with_id(stored.id());
        let reused =
            expect::id_reused(cx.append_to(&order, ExpectedVersion::NoStream, three(event.clone())).await)?;
        ensure_eq!((reused.id, reused.version.get()), (stored.id(), 2), "the id and version that are named");
        expect::id_reused(cx.append_to(&cart, ExpectedVersion::Any, [event]).await)?;
    }
    cx.log_is(&log, &[], "after the same id with other content").await?;
    replays(cx, append, &receipt, "after the same id with other content").await
}

async fn same_id_other_payload(cx: Cx) -> Verdict {
    let other = ["{ }", "", r#"{"n":1}"#, "[]", "null"].map(|data| event("Happened", data));
    refused_in_place_of(&cx, event("Happened", "{}"), other.to_vec()).await
}

async fn other_type(cx: Cx) -> Verdict {
    let other = ["happened", "Happened2", "Hap", "Happened "].map(|name| event(name, "{}"));
    refused_in_place_of(&cx, event("Happened", "{}"), other.to_vec()).await
}

async fn other_tags(cx: Cx) -> Verdict {
    let others: [&[&str]; 5] = [&[], &["a"], &["a", "c"], &["a", "b", "c"], &["A", "b"]];
    let others = others.map(|tags| tagged("Happened", tags));
    refused_in_place_of(&cx, tagged("Happened", &["a", "b"]), others.to_vec()).await
}

async fn other_tag_order(cx: Cx) -> Verdict {
    let others = [tagged("Happened", &["b", "a", "c"]), tagged("Happened", &["c", "b", "a"])];
    refused_in_place_of(&cx, tagged("Happened", &["a", "b", "c"]), others.to_vec()).await
}

/// An event, and sees to it that these are taken for the same one and change nothing.
async fn taken_for(cx: &Cx, stored: NewEvent, same: Vec<NewEvent>) -> Verdict {
    let order = stream("Order-1");
    let receipt = cx.append_to(&order, ExpectedVersion::NoStream, [stored.clone()]).await?;
    let log = cx.read_log().await?;
    ensure_eq!(log[0].event(), &stored, "the event as it is stored");
    for event in same {
        let again = Append::to(&order, ExpectedVersion::NoStream, [event.with_id(stored.id())]);
        replays(cx, again, &receipt, "with something else that is no content").await?;
    }
    cx.log_is(&log, &[], "after the retries").await
}

async fn metadata_not_compared(cx: Cx) -> Verdict {
    let with = |metadata| event("Happened", "{}").with_metadata(metadata);
    let first = Metadata::NONE.with_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")?;
    let fresh = Metadata::NONE.with_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01")?;
    let same = vec![with(fresh), with(Metadata::NONE), with(Metadata::new(r#"{"user":"ada"}"#)?)];
    taken_for(&cx, with(first), same).await
}

async fn content_type_not_compared(cx: Cx) -> Verdict {
    let made = EventType::new("Happened")?;
    let with = |name: &str| -> Verdict<NewEvent> {
        let event = NewEvent::new(made.clone(), "{}")?;
        Ok(event.with_content_type(ContentType::new(name)?))
    };
    let same = vec![with("application/json")?, with("text/plain")?];
    taken_for(&cx, with("application/octet-stream")?, same).await
}
