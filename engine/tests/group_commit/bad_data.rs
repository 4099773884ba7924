//! A batch that is refused for its data is halved until the culprit is alone.

use tokio::task::JoinHandle;
use tokio::time::Instant;

use annalist_core::ErrorKind;

use crate::bench::{Answer, Bench, answer, bad_data, is_unavailable, refusal, write};

/// Sends sixteen appends as one batch to a writer that refuses every batch with one of these in it; gives the callers
/// and how many batches it took.
async fn sixteen(bad: &[usize]) -> (Vec<JoinHandle<Answer>>, usize) {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let mut tasks = Vec::new();
    for n in 0..16 {
        tasks.push(bench.start(&write(&format!("S-{n}"))).await);
    }
    let start = Instant::now();
    busy.commit();
    let mut batches = 0;
    while tasks.iter().any(|task| !task.is_finished()) {
        let call = bench.call().await;
        batches += 1;
        assert!(batches < 1_000, "it never ends");
        let is_bad = call.streams().iter().any(|name| bad.iter().any(|n| *name == format!("S-{n}")));
        if is_bad {
            call.bad_data()
        } else {
            call.commit()
        }
        crate::bench::settle().await;
    }
    assert_eq!(start.elapsed().as_millis(), 0, "there is nothing to wait for");
    bench.quiet().await;
    (tasks, batches)
}

#[tokio::test(start_paused = true)]
async fn only_the_culprits_get_the_error() {
    for bad in [vec![], vec![0], vec![7], vec![15], vec![3, 4], vec![0, 5, 15], (0..16).collect()] {
        let (tasks, batches) = sixteen(&bad).await;
        // Each culprit costs a batch for itself, and two for each of four halvings at most.
        assert!(batches <= 1 + 8 * bad.len(), "{batches} batches for {bad:?}");
        for (n, task) in tasks.into_iter().enumerate() {
            let answer = answer(task).await;
            assert_eq!(answer.is_err(), bad.contains(&n), "{n} of {bad:?}");
            if let Err(error) = answer {
                assert_eq!(error.kind(), bad_data().kind());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn mates_of_bad_data_keep_their_own_refusals_and_failures() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let [bad, mate] =
        [bench.start(&write("Bad")).await, bench.start(&write("Mate").timeout(MILLIS_15)).await];
    busy.commit();
    bench.call().await.bad_data();
    let call = bench.call().await;
    assert_eq!(call.streams(), ["Bad"]);
    call.bad_data();
    assert!(matches!(refusal(bad).await.kind(), ErrorKind::Invalid(_)));
    // That the batch was refused has left nothing behind: this is no case of `Indeterminate`.
    bench.call().await.not_sent();
    bench.call().await.not_sent();
    assert!(is_unavailable(&refusal(mate).await));
}

const MILLIS_15: std::time::Duration = std::time::Duration::from_millis(15);
