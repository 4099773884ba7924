//! Every operation of the three traits, for checks that put each of them to the same test.

use std::time::Duration;

use annalist_core::{
    Append, Error, ExpectedVersion, Owner, Position, Query, Read, Snapshot, StreamId, Subscribe, Version,
};
use futures::future::BoxFuture;
use rand::Rng as _;

use crate::{Cx, Handle, Verdict, checkpoint, event, schema, stream};

/// What the operations work on.
#[derive(Clone)]
pub(super) struct Set {
    order: StreamId,
    owner: Owner,
    head: Position,
    /// What every payload has in it.
    pub(super) marker: String,
}

type Run = Box<dyn Fn(Handle, Duration) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// One operation; sent again it is the same one.
pub(super) struct Operation {
    pub(super) name: &'static str,
    run: Run,
}

impl Operation {
    /// A log with an event, a snapshot and a checkpoint, made through the main handle.
    pub(super) async fn prepare(cx: &Cx) -> Verdict<Set> {
        let (order, marker) =
            (stream("Order-1"), format!("4929 {:08}", cx.rng().random_range(0..100_000_000_u32)));
        cx.append_to(&order, ExpectedVersion::Any, [event("Placed", marker.clone())]).await?;
        let (head, name) = (cx.head().await?, checkpoint("mailer"));
        let owner = cx.checkpoints().claim_checkpoint(&name).await?.owner;
        cx.checkpoints().save_checkpoint(&owner, head).await?;
        let snapshot = Snapshot::new(&order, &schema("order/1"), Version::FIRST, marker.clone());
        cx.snapshots().save_snapshot(snapshot).await?;
        Ok(Set { order, owner, head, marker })
    }

    /// Runs it, with this deadline where it can be given one.
    pub(super) fn run(&self, handle: Handle, timeout: Duration) -> BoxFuture<'static, Result<(), Error>> {
        (self.run)(handle, timeout)
    }
}

fn operation<F>(name: &'static str, run: impl Fn(Handle, Duration) -> F + Send + Sync + 'static) -> Operation
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    Operation { name, run: Box::new(move |handle, timeout| Box::pin(run(handle, timeout))) }
}

/// All of them. Each round has an append, a snapshot and a claim of its own.
pub(super) fn every_operation(set: &Set, round: usize) -> Vec<Operation> {
    let (appended, snapped, owned, set) = (set.clone(), set.clone(), set.owner.clone(), set.clone());
    let new = event("Paid", appended.marker.clone());
    let append = Append::to(&stream(&format!("Paid-{round}")), ExpectedVersion::Any, [new]);
    let claimed = checkpoint(&format!("claimed-{round}"));
    let (loaded, pruned, head) = (snapped.clone(), snapped.clone(), set.head);
    vec![
        operation("append", move |handle, timeout| {
            let append = append.clone().timeout(timeout);
            async move { handle.append(append).await.map(drop) }
        }),
        operation("read of a stream", move |handle, timeout| {
            let read = Read::stream(&appended.order).timeout(timeout);
            async move { handle.read(read).await.map(drop) }
        }),
        operation("read of the log", |handle, timeout| async move {
            handle.read(Read::log(Query::all()).timeout(timeout)).await.map(drop)
        }),
        operation("subscribe", |handle, _| async move {
            handle.store().subscribe(Subscribe::to(Query::all())).await.map(drop)
        }),
        operation("save_snapshot", move |handle, _| {
            let version = Version::new(2 + round as u64);
            let snapshot = Snapshot::new(&snapped.order, &schema("order/1"), version, snapped.marker.clone());
            async move { handle.snapshots().save_snapshot(snapshot).await }
        }),
        operation("load_snapshot", move |handle, _| {
            let order = loaded.order.clone();
            async move {
                handle.snapshots().load_snapshot(&order, &schema("order/1"), Version::MAX).await.map(drop)
            }
        }),
        operation("prune_snapshots", move |handle, _| {
            let order = pruned.order.clone();
            async move { handle.snapshots().prune_snapshots(&order, &schema("order/1"), 2).await }
        }),
        operation("claim_checkpoint", move |handle, _| {
            let name = claimed.clone();
            async move { handle.checkpoints().claim_checkpoint(&name).await.map(drop) }
        }),
        operation("save_checkpoint", move |handle, _| {
            let owner = owned.clone();
            async move { handle.checkpoints().save_checkpoint(&owner, head).await }
        }),
        operation("load_checkpoint", |handle, _| async move {
            handle.checkpoints().load_checkpoint(&checkpoint("mailer")).await.map(drop)
        }),
        operation("reset_checkpoint", move |handle, _| {
            let name = checkpoint(&format!("reset-{round}"));
            async move { handle.checkpoints().reset_checkpoint(&name, head).await.map(drop) }
        }),
    ]
}
