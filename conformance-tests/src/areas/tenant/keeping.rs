//! What a namespace keeps beside its log: snapshots and checkpoints.

use annalist_core::{Position, Snapshot, Version};

use crate::{Cx, Verdict, checkpoint, checks, ensure, ensure_eq, schema, stream};

checks! {
    area: "tenant",
    snapshots {
        guarantee: "N1", level: 1, kind: Deterministic,
        summary: "Snapshots of the same stream, schema and version in two namespaces are kept, replaced and pruned apart.",
        likely_cause: "a table of snapshots, or a cache, without the namespace in its key",
    }
    checkpoints {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "Checkpoints of the same name in two namespaces are claimed, saved and reset apart, and fence nobody in the other.",
        likely_cause: "a table of checkpoints without the namespace in its key",
    }
}

async fn snapshots(cx: Cx) -> Verdict {
    let other = cx.other_namespace("_other").await?;
    let (order, state) = (stream("Order-1"), schema("state"));
    let at = |version, data: &str| Snapshot::new(&order, &state, Version::new(version), data.to_owned());
    for version in 1..=3 {
        cx.snapshots().save_snapshot(at(version, "mine")).await?;
    }
    let none = other.snapshots().load_snapshot(&order, &state, Version::MAX).await?;
    ensure_eq!(none, None, "a snapshot in a namespace that has none");

    other.snapshots().save_snapshot(at(2, "other")).await?;
    let mine = cx.snapshots().load_snapshot(&order, &state, Version::new(2)).await?;
    ensure_eq!(mine, Some(at(2, "mine")), "the snapshot, after the other namespace saved the same key");
    other.snapshots().prune_snapshots(&order, &state, 0).await?;
    for version in 1..=3 {
        let mine = cx.snapshots().load_snapshot(&order, &state, Version::new(version)).await?;
        ensure_eq!(mine, Some(at(version, "mine")), "the snapshot, after the other namespace was pruned");
    }
    let none = other.snapshots().load_snapshot(&order, &state, Version::MAX).await?;
    ensure_eq!(none, None, "a snapshot in a namespace that was pruned");
    Ok(())
}

async fn checkpoints(cx: Cx) -> Verdict {
    let (other, name) = (cx.other_namespace("_other").await?, checkpoint("mailer"));
    cx.append_any("Order-1", 2).await?;
    other.append_any("Order-1", 2).await?;
    let (my_log, other_log) = (cx.read_log().await?, other.read_log().await?);
    let mine = cx.checkpoints().claim_checkpoint(&name).await?.owner;
    cx.checkpoints().save_checkpoint(&mine, my_log[0].position()).await?;
    ensure_eq!(
        other.checkpoints().load_checkpoint(&name).await?,
        None,
        "the checkpoint of the other namespace"
    );

    let first = other.checkpoints().claim_checkpoint(&name).await?;
    ensure!(first.checkpoint.is_none(), "a first claim in the other namespace gives {:?}", first.checkpoint);
    let second = other.checkpoints().claim_checkpoint(&name).await?.owner;
    other.checkpoints().save_checkpoint(&second, other_log[1].position()).await?;
    other.checkpoints().reset_checkpoint(&name, Position::START).await?;

    // None of that fenced or moved anything here.
    cx.checkpoints().save_checkpoint(&mine, my_log[1].position()).await?;
    let saved = cx.checkpoints().load_checkpoint(&name).await?.map(|checkpoint| checkpoint.position);
    ensure_eq!(saved, Some(my_log[1].position()), "the place of the checkpoint");
    let of_other = other.checkpoints().load_checkpoint(&name).await?.map(|checkpoint| checkpoint.position);
    ensure_eq!(of_other, Some(Position::START), "the place of the other namespace's checkpoint");
    Ok(())
}
