//! Closing flushes and then refuses; after dropping nothing is left.

use std::sync::{Arc, Weak};

use annalist_core::{Append, Error, ErrorKind, Receipt};
use annalist_engine::group_commit::{BatchError, BatchWriter, Config, GroupCommit, Mates};
use async_trait::async_trait;

use crate::bench::{Bench, advance, answer, config, is_unavailable, receipt, refusal, settle, write};

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn closing_answers_all_that_came_before_and_refuses_what_comes_after() {
    let mut config = config(Mates::Apart);
    config.queue_appends_max = 1;
    let mut bench = Bench::new(config);
    let busy = bench.busy().await;
    let [queued, before_queue] = [bench.start(&write("A")).await, bench.start(&write("B")).await];
    let commits = Arc::clone(&bench.commits);
    let closing = tokio::spawn(async move { commits.close().await });
    settle().await;

    let refused = bench.start(&write("After")).await;
    assert_eq!(refusal(refused).await.kind(), &ErrorKind::Closed);
    busy.commit();
    for task in [queued, before_queue] {
        assert!(!closing.is_finished());
        bench.call().await.commit();
        answer(task).await.expect("committed");
    }
    closing.await.expect("no panic");
    bench.close().await; // A second time does nothing.
    assert_eq!(refusal(bench.start(&write("After")).await).await.kind(), &ErrorKind::Closed);
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_what_is_sent_again_until_its_deadline() {
    let mut bench = Bench::apart();
    let task = bench.start(&write("S").timeout(std::time::Duration::from_millis(5))).await;
    bench.call().await.not_sent();
    bench.close().await;
    assert!(is_unavailable(&refusal(task).await));
}

#[tokio::test(start_paused = true)]
async fn closing_what_never_worked_returns_at_once() {
    Bench::apart().close().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_closing_has_closed_it() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let commits = Arc::clone(&bench.commits);
    let closing = tokio::spawn(async move { commits.close().await });
    settle().await;
    closing.abort();
    assert_eq!(refusal(bench.start(&write("After")).await).await.kind(), &ErrorKind::Closed);
    busy.commit();
    bench.close().await;
}

#[tokio::test(start_paused = true)]
async fn no_task_runs_while_nothing_waits() {
    let mut bench = Bench::apart();
    let before = tasks();
    for _ in 0..2 {
        let task = bench.start(&write("S")).await;
        bench.call().await.commit();
        answer(task).await.expect("committed");
        settle().await;
        assert_eq!(tasks(), before);
    }
    // Nor after all who waited have left.
    let task = bench.start(&write("S")).await;
    bench.call().await.not_sent();
    crate::bench::cancel(task).await;
    assert_eq!(tasks(), before);
}

struct Commits;

#[async_trait]
impl BatchWriter for Commits {
    async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        Ok(batch.iter().map(|append| Ok(receipt(append))).collect())
    }
}

#[tokio::test(start_paused = true)]
async fn after_dropping_only_what_is_in_flight_is_finished_and_then_the_writer_is_released() {
    let writer = Arc::new(Commits);
    let released: Weak<Commits> = Arc::downgrade(&writer);
    let commits = Arc::new(GroupCommit::new(writer, Config::default()));
    let before = tasks();
    let callers = ["A", "B"].map(|name| {
        let commits = Arc::clone(&commits);
        tokio::spawn(async move { commits.append(write(name)).await })
    });
    settle().await;
    drop(commits);
    for caller in callers {
        crate::bench::cancel(caller).await;
    }
    assert!(released.upgrade().is_some(), "its batch is in flight");
    advance(50).await;
    assert!(released.upgrade().is_none());
    assert_eq!(tasks(), before);
}
