//! Checkpoints: what is kept, and for whom.

use annalist_core::{Checkpoint, CheckpointName, ExpectedVersion, Position, Query};

use super::session::{Session, last};
use super::{between, past};
use crate::{Cx, Failure, Handle, Verdict, checkpoint, checks, ensure, ensure_eq, event, expect, stream};

checks! {
    area: "sub",
    checkpoint_missing {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "A checkpoint of which nothing was saved has no place, before and after a claim.",
        likely_cause: "a claim stores the start of the log",
    }
    checkpoint_roundtrip {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "Loading and claiming give the position that was saved, the log's id and the id of the event there.",
        likely_cause: "only the position is stored",
    }
    checkpoint_at_start {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "A checkpoint can stand at the start of the log, with no event before it, and differs from none at all.",
        likely_cause: "the start is stored as NULL, or looked up as an event",
    }
    checkpoint_non_event_position {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "A checkpoint can stand at a position that holds no event; it keeps the event before it.",
        likely_cause: "the event is looked up by equality",
    }
    checkpoint_below_is_noop {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "Saving at or below the stored position succeeds and changes nothing.",
        likely_cause: "last write wins, or an update that meets no row is an error",
    }
    checkpoint_isolated {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "Checkpoints of different names have their own places, claims and epochs.",
        likely_cause: "one row for all, or a key that folds names",
    }
    checkpoint_namespaces {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "The same name in two namespaces is two checkpoints.",
        likely_cause: "the namespace is missing from the key",
    }
    checkpoint_fresh_sees {
        guarantee: "R3", level: 1, kind: Deterministic,
        summary: "Every save is seen at once through another handle.",
        likely_cause: "a cache per handle, or a flush now and then",
    }
    checkpoint_survives {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "A checkpoint and its fencing outlive the handle that made them.",
        likely_cause: "claims are kept in the handle",
    }
    checkpoint_no_event {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "Claims, saves and resets are no events: no read, version or subscription shows them.",
        likely_cause: "checkpoints are stored as a stream of the log",
    }
    checkpoint_refuses_other_history {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "A position past the head or of another log is refused as a wrong history when it is saved or reset to, and changes nothing.",
        likely_cause: "the position is stored as it comes",
    }
}

/// Where a checkpoint stands, as this handle sees it.
pub(super) async fn place(handle: &Handle, name: &CheckpointName) -> Verdict<Option<Position>> {
    Ok(handle.checkpoints().load_checkpoint(name).await?.map(|stored| stored.position))
}

async fn checkpoint_missing(cx: Cx) -> Verdict {
    let (mailer, store) = (checkpoint("mailer"), cx.checkpoints());
    cx.append_medley(3).await?;
    ensure_eq!(store.load_checkpoint(&mailer).await?, None, "a checkpoint that nobody claimed");
    for _ in 0..2 {
        let claim = store.claim_checkpoint(&mailer).await?;
        ensure_eq!(claim.checkpoint, None, "the place in a claim before any save");
        ensure_eq!(claim.owner.name(), &mailer, "the name in a claim");
        ensure_eq!(store.load_checkpoint(&mailer).await?, None, "a checkpoint that was claimed only");
    }
    ensure_eq!(place(&cx.fresh().await?, &mailer).await?, None, "the same through another handle");
    Ok(())
}

async fn checkpoint_roundtrip(cx: Cx) -> Verdict {
    let (mailer, store) = (checkpoint("mailer"), cx.checkpoints());
    let log = cx.append_medley(6).await?;
    let owner = store.claim_checkpoint(&mailer).await?.owner;
    let mut logs = Vec::new();
    for event in &log {
        store.save_checkpoint(&owner, event.position()).await?;
        let stored = store.load_checkpoint(&mailer).await?;
        let Some(Checkpoint { position, log, event: kept, .. }) = stored.clone() else {
            return Err(Failure::violation("nothing is stored after a save"));
        };
        ensure_eq!(position, event.position(), "the position that was saved");
        ensure_eq!(kept, Some(event.id()), "the event at the position that was saved");
        logs.push(log);
        let fresh = cx.fresh().await?;
        ensure_eq!(
            fresh.checkpoints().load_checkpoint(&mailer).await?,
            stored,
            "the same through another handle"
        );
    }
    logs.dedup();
    ensure_eq!(logs.len(), 1, "ids of the one log");
    let claim = cx.fresh().await?.checkpoints().claim_checkpoint(&mailer).await?;
    ensure_eq!(claim.checkpoint, store.load_checkpoint(&mailer).await?, "the place in a claim");
    ensure_eq!(
        claim.checkpoint.map(|stored| stored.position),
        Some(last(&log)),
        "the place that was saved last"
    );
    Ok(())
}

async fn checkpoint_at_start(cx: Cx) -> Verdict {
    let store = cx.checkpoints();
    for (i, name) in ["of an empty log", "of a log"].into_iter().enumerate() {
        let name = checkpoint(name);
        let owner = store.claim_checkpoint(&name).await?.owner;
        store.save_checkpoint(&owner, Position::START).await?;
        // What is appended afterwards does not stand before the start.
        let log = cx.append_medley(4).await?;
        let claim = store.claim_checkpoint(&name).await?;
        let Some(stored) = claim.checkpoint else {
            return Err(Failure::violation(format!("{name:?}: nothing is stored after a save at the start")));
        };
        ensure_eq!(stored.position, Position::START, "the position of {name:?}");
        ensure_eq!(stored.event, None, "the event before the start, for {name:?}");
        let mut session = Session::after(&cx, &Query::all(), stored.position).await?;
        session.until_events(4 * (i + 1)).await?;
        session.is_of(&log, "what came after the start")?;
        store.save_checkpoint(&claim.owner, last(&log)).await?;
        ensure_eq!(place(&cx, &name).await?, Some(last(&log)), "the next place of {name:?}");
    }
    Ok(())
}

async fn checkpoint_non_event_position(cx: Cx) -> Verdict {
    let (mailer, store) = (checkpoint("mailer"), cx.checkpoints());
    let log = cx.append_medley(5).await?;
    let owner = store.claim_checkpoint(&mailer).await?.owner;
    let pairs = log.windows(2).map(|pair| (between(pair[0].position(), pair[1].position()), pair[0].id()));
    let gaps: Vec<_> = pairs.filter_map(|(gap, before)| gap.map(|gap| (gap, before))).collect();
    if gaps.is_empty() {
        return Err(Failure::NotApplicable("no two events leave a position between them".to_owned()));
    }
    for (gap, before) in gaps {
        store.save_checkpoint(&owner, gap).await?;
        let stored = store.load_checkpoint(&mailer).await?;
        let told = stored.map(|stored| (stored.position, stored.event));
        ensure_eq!(told, Some((gap, Some(before))), "the place between two events");
        let mut session = Session::after(&cx, &Query::all(), gap).await?;
        session.until(last(&log)).await?;
        session.is_of(&log, "what came after the place between two events")?;
    }
    let claimed = store.claim_checkpoint(&mailer).await?.checkpoint;
    ensure_eq!(claimed, store.load_checkpoint(&mailer).await?, "the place in a claim");
    Ok(())
}

async fn checkpoint_below_is_noop(cx: Cx) -> Verdict {
    let (mailer, store) = (checkpoint("mailer"), cx.checkpoints());
    let log = cx.append_medley(6).await?;
    let owner = store.claim_checkpoint(&mailer).await?.owner;
    store.save_checkpoint(&owner, log[3].position()).await?;
    let stored = store.load_checkpoint(&mailer).await?;
    let below = log[..4].iter().map(|event| event.position());
    for position in below.chain([Position::START]) {
        store.save_checkpoint(&owner, position).await?;
        ensure_eq!(store.load_checkpoint(&mailer).await?, stored, "the place after a save at {position}");
    }
    // A later owner is bound by the same.
    let next = store.claim_checkpoint(&mailer).await?.owner;
    store.save_checkpoint(&next, log[1].position()).await?;
    ensure_eq!(
        store.load_checkpoint(&mailer).await?,
        stored,
        "the place after a late save of the next owner"
    );
    store.save_checkpoint(&next, log[4].position()).await?;
    ensure_eq!(place(&cx, &mailer).await?, Some(log[4].position()), "the place after a save above");
    Ok(())
}

async fn checkpoint_isolated(cx: Cx) -> Verdict {
    let store = cx.checkpoints();
    let log = cx.append_medley(9).await?;
    let names =
        ["mailer", "mailer2", "Mailer", "mailer ", "mail%", "mailer/1", "m", "ü", "$mailer"].map(checkpoint);
    let mut owners = Vec::new();
    for (name, event) in names.iter().zip(&log) {
        let claim = store.claim_checkpoint(name).await?;
        ensure_eq!(claim.checkpoint, None, "the place of {name:?} before its first save");
        store.save_checkpoint(&claim.owner, event.position()).await?;
        owners.push(claim.owner);
    }
    for (name, event) in names.iter().zip(&log) {
        ensure_eq!(place(&cx, name).await?, Some(event.position()), "the place of {name:?}");
    }
    // Claims and resets of one leave the owners of the others what they are.
    store.claim_checkpoint(&names[0]).await?;
    store.reset_checkpoint(&names[2], Position::START).await?;
    for (i, owner) in owners.iter().enumerate() {
        let answer = store.save_checkpoint(owner, last(&log)).await;
        if i == 0 || i == 2 {
            expect::fenced(answer)?;
        } else {
            answer?;
        }
    }
    ensure_eq!(
        place(&cx, &names[0]).await?,
        Some(log[0].position()),
        "the place of the one that was claimed again"
    );
    Ok(())
}

async fn checkpoint_namespaces(cx: Cx) -> Verdict {
    let (mailer, other) = (checkpoint("mailer"), cx.other_namespace("b").await?);
    let (here, there) = (cx.append_medley(3).await?, other.append_medley(5).await?);
    let mine = cx.checkpoints().claim_checkpoint(&mailer).await?.owner;
    cx.checkpoints().save_checkpoint(&mine, last(&here)).await?;
    ensure_eq!(place(&other, &mailer).await?, None, "the place in the other namespace");
    let theirs = other.checkpoints().claim_checkpoint(&mailer).await?.owner;
    other.checkpoints().claim_checkpoint(&mailer).await?;
    expect::fenced(other.checkpoints().save_checkpoint(&theirs, last(&there)).await)?;
    other.checkpoints().reset_checkpoint(&mailer, there[1].position()).await?;
    cx.checkpoints().save_checkpoint(&mine, last(&here)).await?;
    ensure_eq!(place(&cx, &mailer).await?, Some(last(&here)), "the place in this namespace");
    ensure_eq!(place(&other, &mailer).await?, Some(there[1].position()), "the place in the other namespace");
    Ok(())
}

async fn checkpoint_fresh_sees(cx: Cx) -> Verdict {
    let (mailer, fresh) = (checkpoint("mailer"), cx.fresh().await?);
    let log = cx.append_medley(20).await?;
    let owner = cx.checkpoints().claim_checkpoint(&mailer).await?.owner;
    ensure_eq!(place(&fresh, &mailer).await?, None, "the place before any save");
    for event in &log {
        cx.checkpoints().save_checkpoint(&owner, event.position()).await?;
        ensure_eq!(place(&fresh, &mailer).await?, Some(event.position()), "the place through another handle");
    }
    cx.checkpoints().reset_checkpoint(&mailer, log[2].position()).await?;
    ensure_eq!(place(&fresh, &mailer).await?, Some(log[2].position()), "the place after a reset");
    Ok(())
}

async fn checkpoint_survives(cx: Cx) -> Verdict {
    let (mailer, log) = (checkpoint("mailer"), cx.append_medley(4).await?);
    let gone = cx.fresh().await?;
    let first = gone.checkpoints().claim_checkpoint(&mailer).await?.owner;
    let second = gone.checkpoints().claim_checkpoint(&mailer).await?.owner;
    gone.checkpoints().save_checkpoint(&second, log[1].position()).await?;
    gone.close().await?;
    cx.let_go(gone);

    let fresh = cx.fresh().await?;
    ensure_eq!(
        place(&fresh, &mailer).await?,
        Some(log[1].position()),
        "the place after its handle was closed"
    );
    expect::fenced(fresh.checkpoints().save_checkpoint(&first, log[2].position()).await)?;
    fresh.checkpoints().save_checkpoint(&second, log[2].position()).await?;
    let next = fresh.checkpoints().claim_checkpoint(&mailer).await?;
    ensure!(
        next.owner.epoch() > second.epoch(),
        "epoch {} after {}, which another handle gave",
        next.owner.epoch(),
        second.epoch()
    );
    ensure_eq!(
        next.checkpoint.map(|stored| stored.position),
        Some(log[2].position()),
        "the place in a claim"
    );
    Ok(())
}

async fn checkpoint_no_event(cx: Cx) -> Verdict {
    let (mailer, store) = (checkpoint("mailer"), cx.checkpoints());
    let log = cx.append_medley(4).await?;
    let mut session = Session::after(&cx, &Query::all(), Position::START).await?;
    session.until(last(&log)).await?;
    let owner = store.claim_checkpoint(&mailer).await?.owner;
    store.save_checkpoint(&owner, log[2].position()).await?;
    store.reset_checkpoint(&mailer, log[0].position()).await?;
    cx.log_is(&log, &[&stream("mailer")], "after a claim, a save and a reset").await?;
    // Versions go on where they were, too.
    cx.append_to(&stream("mailer"), ExpectedVersion::NoStream, [event("Happened", "{}")]).await?;
    cx.append_to(log[3].stream(), log[3].version(), [event("Happened", "{}")]).await?;
    session.until_events(6).await?;
    session.is_of(&cx.read_log().await?, "what came around a claim, a save and a reset")
}

async fn checkpoint_refuses_other_history(cx: Cx) -> Verdict {
    let (mailer, store) = (checkpoint("mailer"), cx.checkpoints());
    let (log, other) = (cx.append_medley(4).await?, cx.other_namespace("b").await?);
    let owner = store.claim_checkpoint(&mailer).await?.owner;
    store.save_checkpoint(&owner, log[1].position()).await?;
    let stored = store.load_checkpoint(&mailer).await?;
    let others = other.append_medley(2).await?;
    for wrong in [past(last(&log)), others[0].position(), others[1].position()] {
        expect::wrong_history(store.save_checkpoint(&owner, wrong).await)?;
        expect::wrong_history(store.reset_checkpoint(&mailer, wrong).await)?;
        ensure_eq!(store.load_checkpoint(&mailer).await?, stored, "the place after {wrong} was refused");
    }
    // A refused reset has fenced nobody.
    store.save_checkpoint(&owner, log[2].position()).await?;
    ensure_eq!(place(&cx, &mailer).await?, Some(log[2].position()), "the place after a right save");
    Ok(())
}
