//! What becomes of an append whose caller drops its future.

use std::time::Duration;

use annalist_engine::group_commit::Mates;

use crate::bench::{Bench, advance, answer, cancel, config, write};

#[tokio::test(start_paused = true)]
async fn one_that_is_in_no_batch_is_withdrawn() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let [gone, stays] = [bench.start(&write("Gone")).await, bench.start(&write("Stays")).await];
    cancel(gone).await;
    busy.commit();
    let call = bench.call().await;
    assert_eq!(call.streams(), ["Stays"]);
    call.commit();
    answer(stays).await.expect("committed");
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn one_in_flight_completes_in_the_background() {
    let mut bench = Bench::apart();
    let gone = bench.start(&write("Gone")).await;
    let call = bench.call().await;
    let next = bench.start(&write("Next")).await;
    cancel(gone).await;
    bench.quiet().await; // Its batch is in flight still.
    call.commit();
    bench.call().await.commit();
    answer(next).await.expect("committed");
}

#[tokio::test(start_paused = true)]
async fn one_that_may_have_landed_is_completed_until_its_deadline() {
    let mut bench = Bench::apart();
    let append = write("Gone").timeout(Duration::from_millis(25));
    let gone = bench.start(&append).await;
    let call = bench.call().await;
    cancel(gone).await;
    call.lose_reply(); // At 0 ms; sent again at 10 ms.
    let call = bench.call().await;
    assert!(call.has(&append));
    call.lose_reply(); // Would be sent again at 30 ms.
    advance(100).await;
    bench.quiet().await;
    bench.close().await;
}

#[tokio::test(start_paused = true)]
async fn one_whose_attempt_was_not_sent_is_withdrawn() {
    let mut bench = Bench::apart();
    let gone = bench.start(&write("Gone")).await;
    let call = bench.call().await;
    cancel(gone).await;
    call.not_sent();
    advance(1_000).await;
    bench.quiet().await;

    let pausing = bench.start(&write("Pausing")).await;
    bench.call().await.not_sent();
    cancel(pausing).await;
    advance(1_000).await;
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_a_place_is_withdrawn_and_gives_way() {
    let mut config = config(Mates::Apart);
    config.queue_appends_max = 1;
    let mut bench = Bench::new(config);
    let busy = bench.busy().await;
    let [queued, gone, next] = [
        bench.start(&write("Queued")).await,
        bench.start(&write("Gone")).await,
        bench.start(&write("Next")).await,
    ];
    cancel(gone).await;
    // The place of one that is withdrawn from the queue is given on at once.
    cancel(queued).await;
    busy.commit();
    let call = bench.call().await;
    assert_eq!(call.streams(), ["Next"]);
    call.commit();
    answer(next).await.expect("committed");
}

#[tokio::test(start_paused = true)]
async fn what_was_passed_over_for_a_withdrawn_one_goes_at_once() {
    let mut bench = Bench::apart();
    let blocker = bench
        .start(&write("S").check(&crate::bench::stream("T"), annalist_core::ExpectedVersion::Exists))
        .await;
    bench.call().await.not_sent();
    let behind = bench.start(&write("T")).await;
    bench.quiet().await; // It touches one that pauses.
    cancel(blocker).await;
    let call = bench.call().await;
    assert_eq!(call.streams(), ["T"]);
    call.commit();
    answer(behind).await.expect("committed");
}
