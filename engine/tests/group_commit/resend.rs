//! What was not sent, or whose reply was lost, is sent again; and what its callers may be told then.

use std::error::Error as _;
use std::time::Duration;

use annalist_core::{
    Append, Conflict, Error, ErrorKind, EventId, ExpectedVersion, IdReused, Position, Version,
};
use annalist_engine::group_commit::{BatchError, Mates};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::bench::{
    Bench, advance, answer, config, conflict, is_indeterminate, is_unavailable, receipt, refusal, stream,
    unavailable, write, write_at,
};

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_sent_again_after_a_pause_that_doubles() {
    let mut bench = Bench::apart();
    let append = write("S");
    let task = bench.start(&append).await;
    let start = Instant::now();
    let mut sent_at = Vec::new();
    for _ in 0..9 {
        let call = bench.call().await;
        sent_at.push(start.elapsed().as_millis());
        call.not_sent();
    }
    assert_eq!(sent_at, [0, 10, 30, 70, 150, 310, 630, 1_270, 2_270]);
    bench.call().await.commit();
    answer(task).await.expect("committed");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_unavailable_at_its_deadline() {
    let mut bench = Bench::apart();
    let start = Instant::now();
    let task = bench.start(&write("S").timeout(Duration::from_millis(25))).await;
    bench.call().await.not_sent();
    bench.call().await.not_sent();
    let error = refusal(task).await;
    assert_eq!(start.elapsed(), Duration::from_millis(25));
    assert!(is_unavailable(&error));
    assert_eq!(error.source().expect("the last failure").to_string(), unavailable().to_string());
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_reply_it_is_sent_again_and_a_receipt_is_an_answer() {
    let mut bench = Bench::apart();
    let append = write("S");
    let task = bench.start(&append).await;
    bench.call().await.lose_reply();
    bench.quiet().await; // It pauses first.
    let call = bench.call().await;
    assert!(call.has(&append));
    let given = receipt(&append);
    call.reply(Ok(vec![Ok(given.clone())]));
    assert_eq!(answer(task).await.expect("committed"), given);
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_reply_it_is_indeterminate_at_its_deadline_and_not_sent_again() {
    let mut bench = Bench::apart();
    let start = Instant::now();
    let task = bench.start(&write("S").timeout(Duration::from_millis(25))).await;
    bench.call().await.lose_reply();
    // That a later attempt was not sent takes nothing back.
    bench.call().await.not_sent();
    let error = refusal(task).await;
    assert_eq!(start.elapsed(), Duration::from_millis(25));
    assert!(is_indeterminate(&error));
    assert!(error.source().is_some());
    advance(1_000).await;
    bench.quiet().await;
}

/// What a caller is told when its append is refused so after its first reply was lost.
async fn refused_after_a_lost_reply(refused: &Error) -> Error {
    let mut bench = Bench::apart();
    let task = bench.start(&write("S")).await;
    bench.call().await.lose_reply();
    bench.call().await.refuse(refused);
    let error = refusal(task).await;
    bench.quiet().await;
    error
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_reply_a_refusal_that_stays_true_is_an_answer() {
    let matched = Conflict::Condition { index: 0, matched: Position::START };
    let reused = IdReused::new(EventId::new(), stream("S"), Version::FIRST);
    for for_good in [
        conflict(ExpectedVersion::NoStream, 1),
        conflict(Version::NONE, 1),
        conflict(Version::new(4), 5),
        matched.into(),
        reused.into(),
    ] {
        assert_eq!(refused_after_a_lost_reply(&for_good).await.kind(), for_good.kind());
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_reply_any_other_refusal_is_the_source_of_an_indeterminate() {
    for may_change in [
        conflict(ExpectedVersion::Exists, 0),
        conflict(Version::new(4), 3),
        ErrorKind::Misconfigured("read-only".into()).into(),
        ErrorKind::WrongHistory("past the head".into()).into(),
        ErrorKind::Closed.into(),
        ErrorKind::Corrupt("a page".into()).into(),
        ErrorKind::Internal("odd".into()).into(),
        crate::bench::bad_data(),
    ] {
        let error = refused_after_a_lost_reply(&may_change).await;
        assert!(is_indeterminate(&error), "{may_change}: {error}");
        assert_eq!(error.source().expect("the refusal").to_string(), may_change.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_reply_bad_data_is_indeterminate_too() {
    let mut bench = Bench::apart();
    let task = bench.start(&write("S")).await;
    bench.call().await.lose_reply();
    bench.call().await.bad_data();
    assert!(is_indeterminate(&refusal(task).await));
}

#[tokio::test(start_paused = true)]
async fn without_a_lost_reply_every_refusal_is_an_answer_as_it_is() {
    for refused in [conflict(ExpectedVersion::Exists, 0), ErrorKind::Misconfigured("read-only".into()).into()]
    {
        let mut bench = Bench::apart();
        let task = bench.start(&write("S")).await;
        bench.call().await.not_sent(); // Certainly left nothing behind.
        bench.call().await.refuse(&refused);
        assert_eq!(refusal(task).await.kind(), refused.kind());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_taints_nobody_who_was_not_in_the_batch() {
    let mut bench = Bench::in_order();
    let old = bench.start(&write("Old")).await;
    bench.call().await.lose_reply();
    let new = bench.start(&write_at("Old", Version::new(4))).await;
    let call = bench.call().await;
    assert_eq!(call.batch.len(), 1, "one whose reply was lost alone goes alone");
    call.commit();
    answer(old).await.expect("committed");
    let refused = conflict(Version::new(4), 1);
    bench.call().await.refuse(&refused);
    assert_eq!(refusal(new).await.kind(), refused.kind());
}

#[tokio::test(start_paused = true)]
async fn others_go_on_during_the_pause_but_not_those_that_touch() {
    let mut bench = Bench::apart();
    let [pausing, behind] = [write("S"), write_at("S", Version::new(1))];
    let task = bench.start(&pausing).await;
    bench.call().await.lose_reply();
    let touching = bench.start(&behind).await;
    bench.quiet().await;
    let stranger = bench.start(&write("T")).await;
    let call = bench.call().await;
    assert_eq!(call.streams(), ["T"]);
    call.commit();
    answer(stranger).await.expect("committed");

    for append in [pausing, behind] {
        let call = bench.call().await;
        assert!(call.batch.len() == 1 && call.has(&append));
        call.commit();
    }
    answer(task).await.expect("committed");
    answer(touching).await.expect("committed");
}

#[tokio::test(start_paused = true)]
async fn one_whose_deadline_has_passed_is_left_out_when_its_batch_is_sent_again() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let hasty = bench.start(&write("Hasty").timeout(Duration::from_millis(5))).await;
    let patient = [bench.start(&write("A")).await, bench.start(&write("B")).await];
    busy.commit();
    let call = bench.call().await;
    assert_eq!(call.streams(), ["Hasty", "A", "B"]);
    call.not_sent();
    let call = bench.call().await;
    assert_eq!(call.streams(), ["A", "B"]);
    assert!(is_unavailable(&refusal(hasty).await));
    call.commit();
    for task in patient {
        answer(task).await.expect("committed");
    }
}

#[tokio::test(start_paused = true)]
async fn an_append_that_always_costs_the_reply_is_alone_in_the_end() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let poison = bench.start(&write("Poison").timeout(Duration::from_secs(5))).await;
    let mut mates = Vec::new();
    for n in 0..7 {
        mates.push(bench.start(&write(&format!("Mate-{n}"))).await);
    }
    busy.commit();
    for _ in 0..100 {
        if mates.iter().all(JoinHandle::is_finished) {
            break;
        }
        let call = bench.call().await;
        if call.streams().contains(&"Poison".to_owned()) {
            call.lose_reply()
        } else {
            call.commit()
        }
        crate::bench::settle().await;
        assert!(!poison.is_finished(), "the mates are answered in time");
    }
    for mate in mates {
        answer(mate).await.expect("committed");
    }
    loop {
        tokio::select! {
            call = bench.call() => call.lose_reply(),
            () = tokio::time::sleep(Duration::from_secs(6)) => break,
        }
    }
    assert!(is_indeterminate(&refusal(poison).await));
}

#[tokio::test(start_paused = true)]
async fn one_answer_of_unavailable_or_indeterminate_is_bridged_for_that_append_alone() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let [locked, lost, fine] = [write("Locked"), write("Lost"), write("Fine")];
    let tasks = [bench.start(&locked).await, bench.start(&lost).await, bench.start(&fine).await];
    busy.commit();
    let unknown = Error::new(ErrorKind::Indeterminate("odd reply".into()));
    bench.call().await.reply(Ok(vec![Err(unavailable()), Err(unknown), Ok(receipt(&fine))]));
    let [locked, lost, fine] = tasks;
    answer(fine).await.expect("committed");

    let call = bench.call().await;
    assert_eq!(call.streams(), ["Locked", "Lost"]);
    call.refuse(&conflict(ExpectedVersion::Exists, 0));
    assert!(matches!(refusal(locked).await.kind(), ErrorKind::Conflict(_)));
    assert!(is_indeterminate(&refusal(lost).await));
}

#[tokio::test(start_paused = true)]
async fn the_pause_is_as_configured() {
    let mut config = config(Mates::InOrder);
    (config.resend_backoff_min, config.resend_backoff_max) =
        (Duration::from_millis(100), Duration::from_millis(150));
    let mut bench = Bench::new(config);
    let start = Instant::now();
    let task = bench.start(&Append::new()).await;
    for millis in [0, 100, 250, 400] {
        let call = bench.call().await;
        assert_eq!(start.elapsed(), Duration::from_millis(millis));
        call.reply(Err(BatchError::NotSent(unavailable())));
    }
    bench.call().await.commit();
    answer(task).await.expect("committed");
}
