//! What makes a batch, and that each caller gets its own answer.

use std::sync::Arc;

use annalist_core::{Append, ErrorKind, ExpectedVersion, NewEvent};
use annalist_engine::group_commit::{Config, Mates};

use crate::bench::{Bench, answer, config, conflict, event, receipt, refusal, settle, stream, write};

#[tokio::test(start_paused = true)]
async fn the_first_append_goes_at_once_and_what_gathers_meanwhile_goes_as_one() {
    let mut bench = Bench::apart();
    let first = bench.start(&write("A")).await;
    let call = bench.call().await;
    assert_eq!(call.streams(), ["A"]);

    let others =
        [bench.start(&write("B")).await, bench.start(&write("C")).await, bench.start(&write("D")).await];
    bench.quiet().await; // One batch is in flight at a time.
    call.commit();
    answer(first).await.expect("committed");

    let call = bench.call().await;
    assert_eq!(call.streams(), ["B", "C", "D"]);
    call.commit();
    for other in others {
        answer(other).await.expect("committed");
    }
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn callers_that_come_at_once_go_as_one() {
    let mut bench = Bench::apart();
    let appends = [write("A"), write("B"), write("C")];
    let tasks = appends.map(|append| {
        let commits = Arc::clone(&bench.commits);
        tokio::spawn(async move { commits.append(append).await })
    });
    let call = bench.call().await;
    assert_eq!(call.streams(), ["A", "B", "C"]);
    call.commit();
    for task in tasks {
        answer(task).await.expect("committed");
    }
}

#[tokio::test(start_paused = true)]
async fn callers_that_were_just_answered_come_back_before_the_next_batch_is_taken() {
    let mut bench = Bench::apart();
    let commits = Arc::clone(&bench.commits);
    let returns = tokio::spawn(async move {
        commits.append(write("A")).await?;
        commits.append(write("A, again")).await
    });
    let call = bench.call().await;
    let waits = bench.start(&write("B")).await;
    call.commit();
    let call = bench.call().await;
    assert_eq!(call.streams(), ["B", "A, again"]);
    call.commit();
    answer(waits).await.expect("committed");
    answer(returns).await.expect("committed");
}

#[tokio::test(start_paused = true)]
async fn each_caller_gets_its_own_answer() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let (a, b, c) = (write("A"), write("B"), write("C"));
    let tasks = [bench.start(&a).await, bench.start(&b).await, bench.start(&c).await];
    busy.commit();

    let call = bench.call().await;
    let (to_a, to_c) = (receipt(&a), receipt(&c));
    let refused = conflict(ExpectedVersion::Exists, 0);
    call.reply(Ok(vec![Ok(to_a.clone()), Err(refused.clone()), Ok(to_c.clone())]));
    let [a, b, c] = tasks;
    assert_eq!(answer(a).await.expect("committed"), to_a);
    assert_eq!(refusal(b).await.kind(), refused.kind());
    assert_eq!(answer(c).await.expect("committed"), to_c);
}

/// The sizes of the batches in which five appends go that gathered in the queue.
async fn batch_sizes(config: Config, appends: &[Append]) -> Vec<usize> {
    let mut bench = Bench::new(config);
    let mut call = bench.busy().await;
    for append in appends {
        drop(bench.start(append).await);
    }
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < appends.len() {
        call.commit();
        call = bench.call().await;
        sizes.push(call.batch.len());
    }
    sizes
}

fn of_size(name: &str, events: usize) -> Append {
    Append::to(&stream(name), ExpectedVersion::Any, (0..events).map(|_| event()))
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_at_most_so_many_appends() {
    let mut config = config(Mates::Apart);
    config.batch_appends_max = 2;
    assert_eq!(batch_sizes(config.clone(), &["A", "B", "C", "D", "E"].map(write)).await, [2, 2, 1]);
    config.batch_appends_max = 0; // Counts as 1.
    assert_eq!(batch_sizes(config, &["A", "B"].map(write)).await, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_at_most_so_many_events() {
    let mut config = config(Mates::Apart);
    config.batch_events_max = 4;
    let appends = [of_size("A", 2), of_size("B", 2), of_size("C", 1), of_size("Over", 5), of_size("D", 4)];
    // The one that is over the bound goes alone.
    assert_eq!(batch_sizes(config.clone(), &appends).await, [2, 1, 1, 1]);
    // A smaller one that would fit does not overtake one that does not.
    assert_eq!(batch_sizes(config, &[of_size("A", 2), of_size("B", 3), of_size("C", 1)]).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_at_most_so_many_bytes() {
    let mut config = config(Mates::Apart);
    config.batch_bytes_max = 2 * event().size();
    let appends = [of_size("A", 1), of_size("B", 1), of_size("Over", 3), of_size("C", 1), of_size("D", 1)];
    assert_eq!(batch_sizes(config, &appends).await, [2, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn an_append_of_nothing_is_answered_too() {
    let mut bench = Bench::in_order();
    let empty = bench.start(&Append::new()).await;
    bench.call().await.commit();
    assert!(answer(empty).await.expect("committed").written().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_on_several_threads() {
    let mut bench = Bench::apart();
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let (commits, append) = (Arc::clone(&bench.commits), write(&format!("S-{n}")));
            tokio::spawn(async move { commits.append(append).await })
        })
        .collect();
    let mut committed = 0;
    while committed < 200 {
        let call = bench.call().await;
        committed += call.batch.len();
        call.commit();
    }
    for task in tasks {
        answer(task).await.expect("committed");
    }
}

#[test]
fn outside_a_runtime_it_is_an_error_and_no_panic() {
    let bench = Bench::apart();
    let append =
        NewEvent::new("Ticked", "{}").map(|event| Append::to(&stream("A"), ExpectedVersion::Any, [event]));
    let mut future = std::pin::pin!(bench.commits.append(append.expect("an append")));
    let waker = std::task::Waker::noop();
    let std::task::Poll::Ready(answer) = future.as_mut().poll(&mut std::task::Context::from_waker(waker))
    else {
        panic!("it waits")
    };
    assert!(matches!(answer.expect_err("no runtime").kind(), ErrorKind::Misconfigured(_)));
}

#[tokio::test(start_paused = true)]
async fn its_debug_output_says_little() {
    let bench = Bench::apart();
    settle().await;
    assert_eq!(format!("{:?}", bench.commits), "GroupCommit { timeout: 30s, .. }");
}
