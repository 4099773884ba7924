//! Identical twins share one result.

use annalist_core::{Append, ErrorKind, ExpectedVersion, Version};

use crate::bench::{
    Bench, advance, answer, cancel, conflict, is_indeterminate, is_unavailable, receipt, refusal, stream,
    write, write_at,
};

#[tokio::test(start_paused = true)]
async fn twins_in_the_queue_are_sent_once_and_share_the_receipt() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let append = write("S");
    let tasks =
        [bench.start(&append).await, bench.start(&append.clone()).await, bench.start(&append.clone()).await];
    busy.commit();

    let call = bench.call().await;
    assert_eq!(call.streams(), ["S"]);
    let given = receipt(&append);
    call.reply(Ok(vec![Ok(given.clone())]));
    let [first, second, third] = tasks;
    assert_eq!(answer(first).await.expect("committed"), given);
    for twin in [second, third] {
        let receipt = answer(twin).await.expect("committed");
        assert!(receipt.already_committed());
        assert_eq!(receipt.written(), given.written());
    }
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_twin_joins_one_in_flight() {
    let mut bench = Bench::apart();
    let append = write("S");
    let first = bench.start(&append).await;
    let call = bench.call().await;
    let twin = bench.start(&append).await;
    call.commit();

    let first = answer(first).await.expect("committed");
    let twin = answer(twin).await.expect("committed");
    assert_eq!((first.already_committed(), twin.already_committed()), (false, true));
    assert_eq!(first.written(), twin.written());
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_twin_alone_is_told_that_it_wrote_nothing() {
    let mut bench = Bench::apart();
    let append = write("S");
    let first = bench.start(&append).await;
    let call = bench.call().await;
    let twin = bench.start(&append).await;
    cancel(first).await;
    call.commit();
    assert!(answer(twin).await.expect("committed").already_committed());
}

#[tokio::test(start_paused = true)]
async fn withdrawing_one_does_not_withdraw_its_twin() {
    for first_leaves in [true, false] {
        let mut bench = Bench::apart();
        let busy = bench.busy().await;
        let append = write("S");
        let [mut goes, mut stays] = [bench.start(&append).await, bench.start(&append).await];
        if !first_leaves {
            std::mem::swap(&mut goes, &mut stays);
        }
        cancel(goes).await;
        busy.commit();
        bench.call().await.commit();
        assert!(!answer(stays).await.expect("committed").already_committed(), "it is the one that wrote");
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_twins_leave_nothing_is_sent() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let append = write("S");
    let twins = [bench.start(&append).await, bench.start(&append).await];
    for twin in twins {
        cancel(twin).await;
    }
    busy.commit();
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn twins_in_the_queue_share_a_refusal() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let append = write_at("S", ExpectedVersion::Exists);
    let twins = [bench.start(&append).await, bench.start(&append).await];
    busy.commit();
    let refused = conflict(ExpectedVersion::Exists, 0);
    bench.call().await.refuse(&refused);
    for twin in twins {
        assert_eq!(refusal(twin).await.kind(), refused.kind());
    }
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_twin_does_not_get_a_refusal_that_may_be_older_than_its_request() {
    let mut bench = Bench::apart();
    let append = write_at("S", Version::new(5));
    let first = bench.start(&append).await;
    let call = bench.call().await;
    let late = bench.start(&append).await;
    let stale = conflict(Version::new(5), 4);
    call.refuse(&stale);
    assert_eq!(refusal(first).await.kind(), stale.kind());

    // By now the stream may have come to the expected version: it is asked again, on behalf of the late one alone.
    let call = bench.call().await;
    assert!(call.has(&append));
    call.commit();
    assert!(!answer(late).await.expect("committed").already_committed());
}

#[tokio::test(start_paused = true)]
async fn a_late_twin_shares_a_refusal_that_stays_true() {
    let mut bench = Bench::apart();
    let append = write_at("S", Version::new(5));
    let first = bench.start(&append).await;
    let call = bench.call().await;
    let late = bench.start(&append).await;
    let for_good = conflict(Version::new(5), 6);
    call.refuse(&for_good);
    assert_eq!(refusal(first).await.kind(), for_good.kind());
    assert_eq!(refusal(late).await.kind(), for_good.kind());
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_twin_of_one_that_was_sent_again_for_a_late_one_still_finds_it() {
    let mut bench = Bench::apart();
    let append = write_at("S", Version::new(5));
    let first = bench.start(&append).await;
    let call = bench.call().await;
    let late = bench.start(&append).await;
    call.refuse(&conflict(Version::new(5), 4));
    drop(refusal(first).await);
    let call = bench.call().await;
    let later = bench.start(&append).await;
    call.commit();
    assert!(!answer(late).await.expect("committed").already_committed());
    assert!(answer(later).await.expect("committed").already_committed());
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_events_under_another_expectation_are_no_twin_but_touch() {
    let mut bench = Bench::apart();
    let append = write("S");
    let events = append.writes()[0].events.clone();
    let other = Append::to(&stream("S"), ExpectedVersion::NoStream, events);
    let busy = bench.busy().await;
    drop((bench.start(&append).await, bench.start(&other).await));
    busy.commit();
    for append in [append, other] {
        let call = bench.call().await;
        assert!(call.batch.len() == 1 && call.has(&append));
        call.commit();
    }
}

#[tokio::test(start_paused = true)]
async fn a_twin_finds_its_own_when_another_with_its_ids_was_answered() {
    let mut bench = Bench::apart();
    let append = write("S");
    let other = Append::to(&stream("S"), ExpectedVersion::NoStream, append.writes()[0].events.clone());
    let first = bench.start(&append).await;
    let call = bench.call().await;
    let second = bench.start(&other).await;
    call.commit();
    answer(first).await.expect("committed");
    let call = bench.call().await;
    let twin = bench.start(&other).await;
    call.commit();
    assert_eq!(
        answer(second).await.expect("committed").written(),
        answer(twin).await.expect("committed").written()
    );
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_twin_does_not_overtake_one_with_its_ids_that_came_between() {
    let mut bench = Bench::in_order();
    let append = write("S");
    let other = Append::to(&stream("S"), ExpectedVersion::NoStream, append.writes()[0].events.clone());
    let busy = bench.busy().await;
    drop((bench.start(&append).await, bench.start(&other).await, bench.start(&append).await));
    busy.commit();
    assert_eq!(bench.call().await.batch.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn appends_without_events_are_verified_each_for_itself() {
    let mut bench = Bench::apart();
    let check = Append::new().check(&stream("S"), ExpectedVersion::Exists);
    let first = bench.start(&check).await;
    let call = bench.call().await;
    let second = bench.start(&check).await;
    call.commit();
    answer(first).await.expect("it holds");
    let refused = conflict(ExpectedVersion::Exists, 0);
    bench.call().await.refuse(&refused);
    assert_eq!(refusal(second).await.kind(), refused.kind());
}

#[tokio::test(start_paused = true)]
async fn each_twin_has_its_own_deadline_and_the_last_keeps_the_append() {
    let mut bench = Bench::apart();
    let busy = bench.busy().await;
    let append = write("S");
    let hasty = bench.start(&append.clone().timeout(std::time::Duration::from_millis(50))).await;
    let patient = bench.start(&append).await;
    advance(50).await;
    assert!(is_unavailable(&refusal(hasty).await));
    busy.commit();
    bench.call().await.commit();
    answer(patient).await.expect("committed");
}

#[tokio::test(start_paused = true)]
async fn a_twin_in_flight_keeps_what_it_joined_being_sent_again() {
    let mut bench = Bench::apart();
    let append = write("S");
    let hasty = bench.start(&append.clone().timeout(std::time::Duration::from_millis(5))).await;
    let call = bench.call().await;
    let patient = bench.start(&append).await;
    call.lose_reply();
    let call = bench.call().await; // After the pause, by when the first has given up.
    assert!(is_indeterminate(&refusal(hasty).await));
    assert!(call.has(&append));
    call.commit();
    answer(patient).await.expect("committed");
}

#[tokio::test(start_paused = true)]
async fn twins_share_what_is_not_known() {
    let mut bench = Bench::apart();
    let append = write("S");
    let first = bench.start(&append).await;
    let call = bench.call().await;
    let late = bench.start(&append).await;
    call.lose_reply();
    bench.call().await.refuse(&ErrorKind::Misconfigured("read-only".into()).into());
    assert!(is_indeterminate(&refusal(first).await));
    assert!(is_indeterminate(&refusal(late).await));
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_twin_of_one_that_may_have_landed_is_told_so() {
    let mut bench = Bench::apart();
    let append = write("S");
    let first = bench.start(&append).await;
    bench.call().await.lose_reply();
    let call = bench.call().await;
    let late = bench.start(&append).await;
    call.refuse(&conflict(ExpectedVersion::Exists, 0));
    assert!(is_indeterminate(&refusal(first).await));
    // Were it sent anew, it could be told of a conflict, and the first attempt land after that.
    assert!(is_indeterminate(&refusal(late).await));
    bench.quiet().await;
}
