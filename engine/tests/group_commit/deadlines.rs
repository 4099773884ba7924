//! What a caller is told at its deadline, and how places in a full queue are given.

use std::time::Duration;

use annalist_core::{Append, ExpectedVersion};
use annalist_engine::group_commit::{Config, Mates};
use tokio::time::Instant;

use crate::bench::{
    Bench, advance, answer, config, event, is_indeterminate, is_unavailable, refusal, stream, write,
};

fn full(appends: usize) -> Config {
    let mut config = config(Mates::Apart);
    config.queue_appends_max = appends;
    config
}

#[tokio::test(start_paused = true)]
async fn in_the_queue_it_is_unavailable_and_nothing_is_sent() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let late = bench.start(&write("Late").timeout(Duration::from_millis(20))).await;
    advance(19).await;
    assert!(!late.is_finished());
    advance(1).await;
    assert!(late.is_finished());
    assert!(is_unavailable(&refusal(late).await));
    busy.commit();
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn before_a_full_queue_it_is_unavailable() {
    let mut bench = Bench::new(full(1));
    let busy = bench.busy().await;
    let queued = bench.start(&write("Queued")).await;
    let late = bench.start(&write("Late").timeout(Duration::from_millis(20))).await;
    advance(20).await;
    let error = refusal(late).await;
    assert!(is_unavailable(&error));
    assert!(error.to_string().contains("full"), "{error}");
    busy.commit();
    let call = bench.call().await;
    assert_eq!(call.streams(), ["Queued"]);
    call.commit();
    answer(queued).await.expect("committed");
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn in_flight_it_is_indeterminate_and_completes_in_the_background() {
    let mut bench = Bench::apart();
    let late = bench.start(&write("Late").timeout(Duration::from_millis(20))).await;
    let mate = bench.start(&write("Patient")).await;
    let call = bench.call().await;
    advance(20).await;
    assert!(is_indeterminate(&refusal(late).await));
    call.commit();
    let call = bench.call().await;
    assert_eq!(call.streams(), ["Patient"]);
    call.commit();
    answer(mate).await.expect("committed");
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_of_its_own_it_has_the_configured_one() {
    let mut config = config(Mates::Apart);
    config.timeout = Duration::from_millis(40);
    let mut bench = Bench::new(config);
    let _busy = bench.busy().await;
    let [own, usual] =
        [bench.start(&write("Own").timeout(Duration::from_millis(60))).await, bench.start(&write("S")).await];
    advance(40).await;
    assert!(usual.is_finished() && !own.is_finished());
    advance(20).await;
    assert!(is_unavailable(&refusal(own).await));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_nothing_and_one_without_end_are_timeouts_too() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let none = bench.start(&write("None").timeout(Duration::ZERO)).await;
    let endless = bench.start(&write("Endless").timeout(Duration::MAX)).await;
    assert!(is_unavailable(&refusal(none).await));
    busy.commit();
    bench.call().await.commit();
    answer(endless).await.expect("committed");
}

#[tokio::test(start_paused = true)]
async fn places_in_a_full_queue_are_given_in_the_order_of_arrival() {
    let mut bench = Bench::new(full(2));
    let mut call = bench.busy().await;
    for name in ["A", "B", "C", "D", "E"] {
        drop(bench.start(&write(name)).await);
    }
    for batch in [vec!["A", "B"], vec!["C", "D"], vec!["E"]] {
        call.commit();
        call = bench.call().await;
        assert_eq!(call.streams(), batch);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_waits_and_does_not_refuse() {
    let mut bench = Bench::new(full(1));
    let busy = bench.busy().await;
    let waiting = [bench.start(&write("A")).await, bench.start(&write("B")).await];
    advance(1_000).await;
    busy.commit();
    bench.call().await.commit();
    bench.call().await.commit();
    for task in waiting {
        answer(task).await.expect("committed");
    }
}

#[tokio::test(start_paused = true)]
async fn the_queue_holds_at_most_so_many_bytes() {
    let mut config = config(Mates::Apart);
    config.queue_bytes_max = 3 * event().size();
    let mut bench = Bench::new(config);
    let mut call = bench.busy().await;
    let of_size =
        |name: &str, events| Append::to(&stream(name), ExpectedVersion::Any, (0..events).map(|_| event()));
    // The one that is over the bound by itself waits for an empty queue; the small one does not overtake it.
    for append in [of_size("A", 2), of_size("B", 1), of_size("C", 1), of_size("Over", 4), of_size("D", 1)] {
        drop(bench.start(&append).await);
    }
    for batch in [vec!["A", "B"], vec!["C"], vec!["Over"], vec!["D"]] {
        call.commit();
        call = bench.call().await;
        assert_eq!(call.streams(), batch);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_does_not_come_in_time_counts_as_lost() {
    let mut config = config(Mates::Apart);
    config.attempt_timeout = Duration::from_millis(100);
    let mut bench = Bench::new(config);
    let append = write("S");
    let task = bench.start(&append).await;
    let hung = bench.call().await.hang();
    advance(99).await;
    assert!(!hung.is_closed());
    advance(1).await;
    assert!(hung.is_closed(), "the writer's future is dropped");
    let call = bench.call().await;
    assert!(call.has(&append));
    call.commit();
    answer(task).await.expect("committed");
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_hangs_holds_up_later_appends_no_longer_than_the_last_deadline_of_its_batch() {
    let mut bench = Bench::apart();
    let stuck = bench.start(&write("Stuck").timeout(Duration::from_millis(20))).await;
    let _hung = bench.call().await.hang();
    let next = bench.start(&write("Next")).await;
    advance(20).await;
    assert!(is_indeterminate(&refusal(stuck).await));
    let given_up = Instant::now();
    let call = bench.call().await;
    assert_eq!((call.streams(), given_up.elapsed()), (vec!["Next".to_owned()], Duration::ZERO));
    call.commit();
    answer(next).await.expect("committed");
    bench.quiet().await;
}
