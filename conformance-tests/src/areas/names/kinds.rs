//! The same names for everything else that has one: types, tags, checkpoints, schemas.

use annalist_core::{ExpectedVersion, Query, Read, Snapshot, Version};

use super::lists;
use crate::{Cx, Verdict, checkpoint, checks, ensure_eq, same_as_appended, schema, stream, tagged};

checks! {
    area: "names",
    event_types {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "Types of events are kept as they are, and a query for one finds only it.",
        likely_cause: "types interned in a table with a collation, or cut to its width",
    }
    tags {
        guarantee: "R6", level: 1, kind: Deterministic,
        summary: "Tags are kept as they are, and a query for one finds only it.",
        likely_cause: "tags joined into one text, or folded for an index",
    }
    checkpoints {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "Checkpoints whose names differ in any way are different checkpoints.",
        likely_cause: "a collation, a cut or a normalisation in the key of the table",
    }
    schemas {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "Snapshots whose schemas or streams differ in any way are kept apart.",
        likely_cause: "stream and schema joined into one key",
    }
}

/// All the lists and the longest names, those with a leading `$` not among them.
fn names() -> Vec<String> {
    lists::all().into_iter().map(str::to_owned).chain(lists::longest()).collect()
}

async fn event_types(cx: Cx) -> Verdict {
    let (order, names) = (stream("Order-1"), names());
    let appended: Vec<_> = names.iter().map(|name| tagged(name, &[])).collect();
    for batch in appended.chunks(50) {
        cx.append_to(&order, ExpectedVersion::Any, batch.to_vec()).await?;
    }
    let fresh = cx.fresh().await?;
    same_as_appended(
        &fresh.read_stream(&order).await?,
        &appended,
        "events of types with all kinds of names",
    )?;
    for (name, appended) in names.iter().zip(&appended) {
        let found = fresh.drain(Read::log(Query::types([name]))).await?.events;
        same_as_appended(&found, std::slice::from_ref(appended), &format!("events of the type {name:?}"))?;
    }
    Ok(())
}

async fn tags(cx: Cx) -> Verdict {
    let (order, names) = (stream("Order-1"), names());
    let appended: Vec<_> = names.iter().map(|name| tagged("Happened", &["other", name])).collect();
    for batch in appended.chunks(50) {
        cx.append_to(&order, ExpectedVersion::Any, batch.to_vec()).await?;
    }
    let fresh = cx.fresh().await?;
    same_as_appended(&fresh.read_stream(&order).await?, &appended, "events with tags of all kinds of names")?;
    for (name, appended) in names.iter().zip(&appended) {
        let found = fresh.drain(Read::log(Query::tags([name.as_str(), "other"]))).await?.events;
        same_as_appended(&found, std::slice::from_ref(appended), &format!("events with the tag {name:?}"))?;
    }
    Ok(())
}

async fn checkpoints(cx: Cx) -> Verdict {
    let names = names();
    cx.append_any("Order-1", names.len()).await?;
    let log = cx.read_log().await?;
    for (name, event) in names.iter().zip(&log) {
        let owner = cx.checkpoints().claim_checkpoint(&checkpoint(name)).await?.owner;
        ensure_eq!(owner.name().as_str(), name.as_str(), "the name of the checkpoint that was claimed");
        cx.checkpoints().save_checkpoint(&owner, event.position()).await?;
    }
    let fresh = cx.fresh().await?;
    for (name, event) in names.iter().zip(&log) {
        let found = fresh.checkpoints().load_checkpoint(&checkpoint(name)).await?;
        let found = found.map(|checkpoint| checkpoint.position);
        ensure_eq!(found, Some(event.position()), "the place of the checkpoint {name:?}");
    }
    Ok(())
}

async fn schemas(cx: Cx) -> Verdict {
    let names = names();
    let of_schema =
        |name: &str| Snapshot::new(&stream("Order-1"), &schema(name), Version::new(1), name.to_owned());
    let of_stream =
        |name: &str| Snapshot::new(&stream(name), &schema("state"), Version::new(1), name.to_owned());
    for name in &names {
        cx.snapshots().save_snapshot(of_schema(name)).await?;
        cx.snapshots().save_snapshot(of_stream(name)).await?;
    }
    let fresh = cx.fresh().await?;
    for expected in names.iter().flat_map(|name| [of_schema(name), of_stream(name)]) {
        let found = fresh.snapshots().load_snapshot(&expected.stream, &expected.schema, Version::MAX).await?;
        let (stream, schema) = (&expected.stream, &expected.schema);
        ensure_eq!(found.as_ref(), Some(&expected), "the snapshot of {stream:?} under {schema:?}");
    }
    Ok(())
}
