//! A writer that breaks its contract, or is taken away, keeps nobody waiting.

use std::error::Error as _;
use std::sync::Arc;

use annalist_core::{Append, Error, Receipt};
use annalist_engine::group_commit::{BatchError, BatchWriter, Config, GroupCommit};

use crate::bench::{Bench, answer, is_indeterminate, is_unavailable, receipt, refusal, settle, write};

#[tokio::test(start_paused = true)]
async fn a_panic_is_indeterminate_for_its_batch_and_the_next_goes_on() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let tasks = [bench.start(&write("A")).await, bench.start(&write("B")).await];
    busy.commit();
    let call = bench.call().await;
    let next = bench.start(&write("Next")).await;
    call.panic();
    for task in tasks {
        let error = refusal(task).await;
        assert!(is_indeterminate(&error));
        assert!(error.source().expect("a cause").to_string().contains("panicked"));
    }
    let call = bench.call().await;
    assert_eq!(call.streams(), ["Next"], "nothing is known, and nothing sent again");
    call.commit();
    answer(next).await.expect("committed");
    bench.close().await;
}

/// Panics when it is called, before there is a future.
struct PanicsAtOnce;

impl BatchWriter for PanicsAtOnce {
    fn write<'a, 'b, 'f>(
        &'a self,
        batch: &'b [Append],
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<Result<Receipt, Error>>, BatchError>> + Send + 'f>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        panic!("{} appends are too many", batch.len())
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_the_first_await_is_caught_too() {
    let commits = GroupCommit::new(Arc::new(PanicsAtOnce), Config::default());
    for _ in 0..2 {
        assert!(is_indeterminate(&commits.append(write("S")).await.expect_err("a panic")));
    }
    commits.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_number_of_answers_is_indeterminate_for_the_whole_batch() {
    for answers in [0, 1, 3] {
        let mut bench = Bench::apart();
        let busy = bench.busy().await;
        let appends = [write("A"), write("B")];
        let tasks = [bench.start(&appends[0]).await, bench.start(&appends[1]).await];
        busy.commit();
        let given = appends.iter().cycle().take(answers).map(|append| Ok(receipt(append))).collect();
        bench.call().await.reply(Ok(given));
        for task in tasks {
            let error = refusal(task).await;
            assert!(is_indeterminate(&error));
            let cause = error.source().expect("a cause").to_string();
            assert!(cause.contains(&format!("{answers} answers to 2 appends")), "{cause}");
        }
        let next = bench.start(&write("Next")).await;
        bench.call().await.commit();
        answer(next).await.expect("committed");
    }
}

#[test]
fn when_a_runtime_ends_callers_on_another_are_answered_and_the_next_append_starts_anew() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime")
    };
    let (doomed, other) = (runtime(), runtime());
    let mut bench = Bench::apart();
    let (in_flight, call) = doomed.block_on(async {
        let append = write("First");
        drop(bench.start(&append).await);
        (append, bench.call().await)
    });
    let (twin, queued) =
        other.block_on(async { (bench.start(&in_flight).await, bench.start(&write("Queued")).await) });
    drop(doomed);
    other.block_on(async {
        settle().await;
        assert!(twin.is_finished() && queued.is_finished(), "they wait for a task that is gone");
        assert!(is_indeterminate(&refusal(twin).await));
        assert!(is_unavailable(&refusal(queued).await));
        drop(call);
        let next = bench.start(&write("Next")).await;
        bench.call().await.commit();
        answer(next).await.expect("committed");
        bench.close().await;
    });
}
