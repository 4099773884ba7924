//! A disk whose power is cut.

use annalist_core::{Position, RecordedEvent, Snapshot, Survives, Version};

use crate::{
    Cx, Failure, Handle, Verdict, checkpoint, checks, ensure, ensure_eq, same_events, schema, stream,
};

checks! {
    area: "crash",
    power_loss {
        guarantee: "A8", level: 4, kind: Stochastic,
        needs: [Durability], hooks: [Disk],
        summary: "Whatever was acknowledged, be it an append, a snapshot or a checkpoint, is there after the power was cut, where that is what the store declares to survive.",
        likely_cause: "acknowledged once it is written and before it is flushed: `synchronous = NORMAL` in WAL mode, `fsync = off`, a file whose folder is not flushed",
    }
}

async fn power_loss(cx: Cx) -> Verdict {
    let survives = cx.capabilities().survives();
    if survives < Survives::PowerLoss {
        return Err(Failure::NotApplicable(format!("declares to survive no more than {survives:?}")));
    }
    // Each kind of write is once the last one, so that nothing which comes after it flushes it too.
    let cuts = cx.scale(LAST.len()).max(LAST.len());
    cx.minimum_ops(cuts);
    let disk = cx.on_disk().await?;
    let mut handle = disk.handle().await?;
    for (cut, last) in (1..=cuts as u64).zip(LAST.into_iter().cycle()) {
        let told = Told::of(&cx, &handle, cut, last).await?;
        handle = disk.after_cut().await?;
        told.is_there(&handle, cut).await?;
        cx.count_op();
    }
    handle.works("Order-1").await.map(drop)
}

/// What comes last before a cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Last {
    Append,
    Snapshot,
    Checkpoint,
}

const LAST: [Last; 3] = [Last::Append, Last::Snapshot, Last::Checkpoint];

/// What was acknowledged before a cut.
struct Told {
    log: Vec<RecordedEvent>,
    snapshot: Snapshot,
    place: Position,
}

impl Told {
    async fn of(cx: &Cx, handle: &Handle, cut: u64, last: Last) -> Verdict<Self> {
        let log = handle.append_medley(10).await?;
        ensure!(!log.is_empty(), "nothing was written");
        let owner = handle.checkpoints().claim_checkpoint(&checkpoint("mailer")).await?.owner;
        let version = Version::new(cut);
        let mut told = Self {
            snapshot: Snapshot::new(
                &stream("Order-1"),
                &schema("order/1"),
                version,
                format!("before cut {cut}"),
            ),
            place: log[log.len() - 1].position(),
            log,
        };
        let order = [Last::Snapshot, Last::Checkpoint, Last::Append].into_iter();
        for what in order.filter(|what| *what != last).chain([last]) {
            match what {
                Last::Append => told.log = append_together(cx, handle).await?,
                Last::Snapshot => handle.snapshots().save_snapshot(told.snapshot.clone()).await?,
                Last::Checkpoint => handle.checkpoints().save_checkpoint(&owner, told.place).await?,
            }
        }
        Ok(told)
    }

    async fn is_there(&self, handle: &Handle, cut: u64) -> Verdict {
        same_events(
            &handle.read_log().await?,
            &self.log,
            &format!("the log after power cut {cut}, against the one before"),
        )?;
        let Snapshot { stream, schema, .. } = &self.snapshot;
        let found = handle.snapshots().load_snapshot(stream, schema, Version::MAX).await?;
        ensure_eq!(found.as_ref(), Some(&self.snapshot), "the newest snapshot after power cut {cut}");
        let found = handle.checkpoints().load_checkpoint(&checkpoint("mailer")).await?;
        let found = found.map(|stored| stored.position);
        ensure_eq!(found, Some(self.place), "the checkpoint after power cut {cut}");
        Ok(())
    }
}

/// Several writers at once, whose last answers come together; gives the log afterwards.
async fn append_together(cx: &Cx, handle: &Handle) -> Verdict<Vec<RecordedEvent>> {
    let written = cx.at_once(8, |writer| {
        let handle = handle.clone();
        async move { handle.append_any(&format!("Order-{writer}"), 1 + writer % 3).await }
    });
    for answer in written.await? {
        answer?;
    }
    handle.read_log().await
}
