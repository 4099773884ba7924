//! What else must outlive a server: retries, snapshots and checkpoints.

use std::sync::Arc;

use annalist_core::{Append, ExpectedVersion, Snapshot, Version};

use super::storm::passes;
use crate::server::Served;
use crate::{Cx, Handle, Verdict, checkpoint, checks, ensure, ensure_eq, events, expect, schema, stream};

checks! {
    area: "crash",
    server_kill_retry {
        guarantee: "I1", level: 4, kind: Stochastic,
        needs: [Durability], hooks: [Server],
        summary: "After the server was killed, an append that is sent again is recognised: it is answered with its own receipt, and one copy exists.",
        likely_cause: "ids that are remembered in the memory of the server",
    }
    server_kill_snapshots {
        guarantee: "N4", level: 4, kind: Stochastic,
        needs: [Durability], hooks: [Server],
        summary: "Every snapshot whose saving was acknowledged is there after the server was killed.",
        likely_cause: "snapshots as a cache that may be lost",
    }
    server_kill_checkpoints {
        guarantee: "S5", level: 4, kind: Stochastic,
        needs: [Durability], hooks: [Server],
        summary: "Every save of a checkpoint that was acknowledged outlives the server, and so does its fence: an earlier owner stays fenced, and epochs go on.",
        likely_cause: "epochs that are counted from anew by each start of the server",
    }
}

/// Kills the server and starts it again; `witness` is a handle that worked until now.
async fn kill_and_start(cx: &Cx, served: &Served, witness: &Handle) -> Verdict {
    served.kill().await?;
    served.is_gone(witness).await?;
    served.start().await?;
    served.healed(witness).await?;
    cx.count_op();
    Ok(())
}

async fn server_kill_retry(cx: Cx) -> Verdict {
    let kills = cx.scale(3);
    cx.minimum_ops(kills);
    let served = cx.served().await?;
    let (witness, writer) = (served.handle().await?, served.handle().await?);
    let (order, mut written) = (stream("Order-1"), 0);
    for kill in 0..kills {
        let known = Append::to(&order, ExpectedVersion::Any, events(2));
        let receipt = writer.append(known.clone()).await?;
        let unknown = Append::to(&order, ExpectedVersion::Any, events(3));
        let sending = cx.spawn({
            let (writer, append) = (writer.clone(), unknown.clone());
            async move { writer.append(append).await }
        });
        kill_and_start(&cx, &served, &witness).await?;
        let sent = cx.within("an append that was under way", sending.join()).await??;
        if let Err(error) = sent {
            ensure!(
                passes(&error),
                "an append was under way when the server was killed, and ended with {error:?}"
            );
        }
        let fresh = served.handle().await?;
        let again = fresh.append(known.clone()).await?;
        ensure!(
            again.already_committed() && again.written() == receipt.written(),
            "after kill {kill} an append that was answered {receipt:?} is answered {again:?}"
        );
        let settled = fresh.append(unknown.clone()).await?;
        ensure_eq!(
            fresh.append(unknown).await?.written(),
            settled.written(),
            "the receipt of what was under way"
        );
        written += 5;
        ensure_eq!(fresh.read_stream(&order).await?.len(), written, "events after all were sent again");
        expect::id_reused(fresh.append(part_of(&known)).await)?;
    }
    Ok(())
}

/// The first event of an append alone: known ids, but no append that was ever sent.
fn part_of(append: &Append) -> Append {
    let (stream, event) = append.events().next().expect("the append has events");
    Append::to(stream, ExpectedVersion::Any, [event.clone()])
}

async fn server_kill_snapshots(cx: Cx) -> Verdict {
    let kills = cx.scale(3);
    cx.minimum_ops(kills);
    let served = cx.served().await?;
    let witness = served.handle().await?;
    let (order, schema) = (stream("Order-1"), schema("order/1"));
    for kill in 1..=kills as u64 {
        let snapshot =
            |text: &str| Snapshot::new(&order, &schema, Version::new(kill), format!("{text} {kill}"));
        witness.append_any("Order-1", 1).await?;
        witness.snapshots().save_snapshot(snapshot("first")).await?;
        witness.snapshots().save_snapshot(snapshot("second")).await?;
        kill_and_start(&cx, &served, &witness).await?;
        let fresh = served.handle().await?;
        let found = fresh.snapshots().load_snapshot(&order, &schema, Version::MAX).await?;
        ensure_eq!(found, Some(snapshot("second")), "the newest snapshot after kill {kill}");
        for version in 1..=kill {
            let found = fresh.snapshots().load_snapshot(&order, &schema, Version::new(version)).await?;
            let found = found.map(|snapshot| snapshot.version);
            ensure_eq!(
                found,
                Some(Version::new(version)),
                "the snapshot at version {version} after kill {kill}"
            );
        }
    }
    Ok(())
}

async fn server_kill_checkpoints(cx: Cx) -> Verdict {
    let kills = cx.scale(3);
    cx.minimum_ops(kills);
    let served = cx.served().await?;
    let witness = served.handle().await?;
    let log = Arc::new(witness.append_medley(2 * kills).await?);
    let name = checkpoint("mailer");
    let mut fenced = witness.checkpoints().claim_checkpoint(&name).await?.owner;
    let mut owner = witness.checkpoints().claim_checkpoint(&name).await?.owner;
    for kill in 0..kills {
        let place = log[2 * kill + 1].position();
        witness.checkpoints().save_checkpoint(&owner, log[2 * kill].position()).await?;
        witness.checkpoints().save_checkpoint(&owner, place).await?;
        kill_and_start(&cx, &served, &witness).await?;
        let fresh = served.handle().await?;
        let found = fresh.checkpoints().load_checkpoint(&name).await?.map(|stored| stored.position);
        ensure_eq!(found, Some(place), "the checkpoint after kill {kill}");
        expect::fenced(fresh.checkpoints().save_checkpoint(&fenced, place).await)?;
        fresh.checkpoints().save_checkpoint(&owner, place).await?;
        let claim = fresh.checkpoints().claim_checkpoint(&name).await?;
        ensure!(
            claim.owner.epoch() > owner.epoch(),
            "the epoch of a claim after kill {kill} is {}, the one before was {}",
            claim.owner.epoch(),
            owner.epoch()
        );
        expect::fenced(witness.checkpoints().save_checkpoint(&owner, place).await)?;
        (fenced, owner) = (owner, claim.owner);
    }
    Ok(())
}
