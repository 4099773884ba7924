//! Consumers that stop and go on from their checkpoint.

use annalist_core::{Position, Query, Subscribe};

use super::session::{Session, last};
use crate::{Cx, Verdict, checkpoint, checks, ensure_eq};

checks! {
    area: "sub",
    checkpoint_over_filtered {
        guarantee: "S4", level: 1, kind: Deterministic,
        summary: "A filtered consumer's checkpoint moves over what does not match, and a resumed one begins there.",
        likely_cause: "only positions of matching events are accepted",
    }
    resume_at_every_index {
        guarantee: "S5", level: 1, kind: Deterministic,
        summary: "Stopped at any place and resumed by a new claim, a consumer misses nothing and handles again only what stands above its checkpoint.",
        likely_cause: "the checkpoint is that of the page, or of the head, not of the handled event",
    }
}

async fn checkpoint_over_filtered(cx: Cx) -> Verdict {
    let (mailer, store, query) = (checkpoint("mailer"), cx.checkpoints(), Query::stream("Order-1"));
    let subscribe = |after| Subscribe::to(query.clone()).after(after).page_size(10);
    let mut after = Position::START;
    for round in 1..=3 {
        let claim = store.claim_checkpoint(&mailer).await?;
        let resumed = claim.checkpoint.map_or(Position::START, |stored| stored.position);
        ensure_eq!(resumed, after, "where round {round} resumes");
        let mut session = Session::begin(&cx, subscribe(resumed), resumed).await?;
        session.until_caught_up().await?;
        cx.append_any("Order-1", 1).await?;
        for _ in 0..25 {
            cx.append_any("Cart-1", 1).await?;
        }
        let log = cx.read_log().await?;
        session.until(last(&log)).await?;
        session.is_of(&log, &format!("what came in round {round}"))?;
        ensure_eq!(session.events.len(), 1, "matches handled in round {round}");
        store.save_checkpoint(&claim.owner, session.reached).await?;
        after = session.reached;
    }
    Ok(())
}

async fn resume_at_every_index(cx: Cx) -> Verdict {
    let log = cx.append_medley(20).await?;
    for stop in 0..=log.len() {
        let name = checkpoint(&format!("consumer {stop}"));
        let mut handled = Vec::new();
        // It saves after each event, but for the last one that it handles: there it stops between the two.
        for part in [stop, log.len()] {
            let claim = cx.checkpoints().claim_checkpoint(&name).await?;
            let after = claim.checkpoint.map_or(Position::START, |stored| stored.position);
            let subscribe = Subscribe::to(Query::all()).after(after).page_size(6);
            let mut session = Session::begin(&cx, subscribe, after).await?;
            let ahead = log.iter().filter(|event| event.position() > after).count();
            for n in 1..=part.min(ahead) {
                session.until_events(n).await?;
                handled.push(session.events[n - 1].clone());
                if n < part || part == log.len() {
                    cx.checkpoints().save_checkpoint(&claim.owner, session.events[n - 1].position()).await?;
                }
            }
            session.is_of(&log, "one run of the consumer")?;
        }
        // The event at which it stopped is handled twice, the others once.
        let mut expected = log.clone();
        if (1..log.len()).contains(&stop) {
            expected.insert(stop, log[stop - 1].clone());
        }
        crate::same_events(&handled, &expected, &format!("what was handled, stopped at event {stop}"))?;
    }
    Ok(())
}
