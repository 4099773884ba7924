//! Limits in bytes, at their value and one beyond.

use annalist_core::{ContentType, ExpectedVersion, Metadata, NewEvent, Snapshot, Version};

use super::declared;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, event, expect, same_as_appended, schema, stream};

checks! {
    area: "limits",
    bytes_per_event {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "An event of exactly as many bytes as declared is taken and kept; one more byte is refused, whether of type, data, metadata or tags.",
        likely_cause: "only the data are counted, or an envelope or a compressed size",
    }
    bytes_per_append {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "An append of exactly as many bytes as declared is taken, in few events or in many; one more byte is refused.",
        likely_cause: "a limit on the request as it travels, which counts keys and encoding too",
    }
    bytes_per_snapshot {
        guarantee: "L1", level: 1, kind: Deterministic,
        summary: "A snapshot of exactly as many bytes as declared is saved and loaded; one more byte is refused, of data or of metadata, and the old one stays.",
        likely_cause: "only the data are counted, or the snapshot is cut",
    }
}

/// Metadata of exactly this many bytes, at least 9.
fn metadata(bytes: usize) -> Metadata {
    let json = format!("{{\"k\":\"{}\"}}", "m".repeat(bytes - 8));
    Metadata::new(json).expect("the check uses valid metadata")
}

/// An event whose parts have these sizes; a tag's size is that of one of two tags.
fn sized(type_bytes: usize, data_bytes: usize, metadata_bytes: usize, tag_bytes: usize) -> NewEvent {
    let tags = ["a".repeat(10), "b".repeat(tag_bytes)];
    event(&"T".repeat(type_bytes), vec![b'd'; data_bytes])
        .with_metadata(metadata(metadata_bytes))
        .with_tags(tags.iter().map(String::as_str))
        .expect("the check uses valid tags")
}

async fn bytes_per_event(cx: Cx) -> Verdict {
    let limit = declared(&cx, "bytes per event")?;
    let order = stream(&format!("Order-{}", "x".repeat(200)));
    let data = limit - 20 - 100 - 10 - 30;
    let over = [
        ("type", sized(21, data, 100, 30)),
        ("data", sized(20, data + 1, 100, 30)),
        ("metadata", sized(20, data, 101, 30)),
        ("tags", sized(20, data, 100, 31)),
    ];
    for (part, over) in over {
        ensure_eq!(over.size(), limit + 1, "the size of an event with one more byte of {part}");
        let answer = cx.append_to(&order, ExpectedVersion::Any, [event("E", ""), over]).await;
        let verdict = expect::over_limit(answer, "bytes per event", limit, limit + 1);
        cx.collect(verdict, &format!("one more byte of {part}"))?;
    }
    cx.log_is(&[], &[&order], "after events of too many bytes").await?;

    // Neither the name of the stream nor the content type nor the id is counted.
    let content_type = ContentType::new("c".repeat(255)).expect("the check uses valid names");
    let whole = [sized(20, data, 100, 30).with_content_type(content_type), event("E", vec![b'd'; limit - 1])];
    for whole in whole {
        ensure_eq!(whole.size(), limit, "the size of an event at the limit");
        let receipt = cx.append_to(&order, ExpectedVersion::Any, [whole.clone()]).await?;
        let read = annalist_core::Read::stream(&order).from(receipt.written()[0].first_version());
        let found = cx.fresh().await?.drain(read).await?.events;
        same_as_appended(&found, &[whole], "an event of as many bytes as declared")?;
    }
    Ok(())
}

/// Events of this many bytes together: `small` of one byte, and then as few as can be.
fn filled(cx: &Cx, bytes: usize, small: usize) -> Vec<NewEvent> {
    let per_event = cx.capabilities().limits().bytes_per_event;
    let mut events = super::small(small);
    let mut left = bytes - small;
    // An event has a type, of one byte here: what is left must never be 0 bytes of the last one.
    while left > 0 {
        let size = per_event.min(left);
        events.push(event("E", vec![b'd'; size - 1]));
        left -= size;
    }
    events
}

async fn bytes_per_append(cx: Cx) -> Verdict {
    let limit = declared(&cx, "bytes per append")?;
    let events_max = cx.capabilities().limits().events_per_append;
    let order = stream("Order-1");
    let many = (events_max / 2).min(500);
    for small in [0, many] {
        let over = filled(&cx, limit + 1, small);
        let count = over.len();
        let answer = cx.append_to(&order, ExpectedVersion::Any, over).await;
        let verdict = expect::over_limit(answer, "bytes per append", limit, limit + 1);
        cx.collect(verdict, &format!("one byte too many in {count} events"))?;
    }
    cx.log_is(&[], &[&order], "after appends of too many bytes").await?;

    let mut version = 0;
    for small in [0, many] {
        let whole = filled(&cx, limit, small);
        let count = whole.len();
        ensure!(count <= events_max, "{count} events of the largest size are more than one append takes");
        cx.append_to(&order, crate::exact(version), whole.clone()).await?;
        let read = annalist_core::Read::stream(&order).from(Version::new(version + 1));
        let found = cx.fresh().await?.drain(read).await?.events;
        same_as_appended(&found, &whole, &format!("as many bytes as declared in {count} events"))?;
        version += count as u64;
    }
    Ok(())
}

async fn bytes_per_snapshot(cx: Cx) -> Verdict {
    let limit = declared(&cx, "bytes per snapshot")?;
    let (order, schema) = (stream("Order-1"), schema("order/1"));
    let snapshot = |data: usize, metadata_bytes: usize| {
        Snapshot::new(&order, &schema, Version::new(3), vec![b's'; data])
            .with_metadata(metadata(metadata_bytes))
    };
    let old = snapshot(10, 20);
    cx.snapshots().save_snapshot(old.clone()).await?;
    for (part, over) in [("data", snapshot(limit - 99, 100)), ("metadata", snapshot(limit - 100, 101))] {
        let answer = cx.snapshots().save_snapshot(over).await;
        let verdict = expect::over_limit(answer, "bytes per snapshot", limit, limit + 1);
        cx.collect(verdict, &format!("one more byte of {part}"))?;
        let found = cx.fresh().await?.snapshots().load_snapshot(&order, &schema, Version::MAX).await?;
        ensure!(
            found.as_ref() == Some(&old),
            "after one more byte of {part} the snapshot is {found:?}, not the old one"
        );
    }
    let alone = Snapshot::new(&order, &schema, Version::new(4), vec![b's'; limit]);
    for whole in [snapshot(limit - 100, 100), alone] {
        cx.snapshots().save_snapshot(whole.clone()).await?;
        let found = cx.fresh().await?.snapshots().load_snapshot(&order, &schema, whole.version).await?;
        ensure!(
            found.as_ref() == Some(&whole),
            "of as many bytes as declared, it loads as {found:?}, saved was {whole:?}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_they_say() {
        assert_eq!(metadata(9).len(), 9);
        assert_eq!(metadata(100).len(), 100);
        assert_eq!(sized(20, 5, 100, 30).size(), 20 + 5 + 100 + 10 + 30);
    }
}
