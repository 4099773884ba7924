//! The consumer loop: restarts, fences, outages, saving.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use annalist::testing::{Fault, MemoryFixture, Operation};
use annalist::{
    Consumer, Error, ErrorKind, ExpectedVersion, NewEvent, Position, Query, Receipt, RecordedEvent, Start,
    Store,
};
use common::stores;

async fn tick(store: &Store, stream: &str) -> Receipt {
    let ticked = NewEvent::new("Ticked", "{}").unwrap();
    store.append(stream, ExpectedVersion::Any, [ticked]).await.unwrap()
}

async fn ticks(store: &Store, stream: &str, events: usize) -> Position {
    let mut last = None;
    for _ in 0..events {
        last = tick(store, stream).await.position();
    }
    last.unwrap()
}

async fn start(store: &Store) -> Consumer {
    store.consumer("clock", Query::category("Clock"), Start::BEGINNING).start().await.unwrap()
}

async fn stored(store: &Store) -> Option<Position> {
    store.load_checkpoint("clock").await.unwrap().map(|checkpoint| checkpoint.position)
}

/// Turns a test that would wait for ever into one that fails. It never decides anything else.
async fn soon<T>(run: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), run).await.expect("it waits for ever")
}

async fn yields(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

async fn handle(consumer: &mut Consumer, events: usize) -> Vec<u64> {
    let mut versions = Vec::new();
    for _ in 0..events {
        let event = soon(consumer.next()).await.unwrap().unwrap();
        consumer.done(&event).await.unwrap();
        versions.push(event.version().get());
    }
    versions
}

#[tokio::test]
async fn goes_on_after_a_restart_where_it_was_stopped() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 5).await;
        let mut consumer = start(&store).await;
        assert_eq!(handle(&mut consumer, 3).await, [1, 2, 3], "{backend}");
        consumer.stop().await.unwrap();

        let mut consumer = start(&store).await;
        assert_eq!(handle(&mut consumer, 2).await, [4, 5], "{backend}");
    }
}

#[tokio::test]
async fn gives_again_after_a_crash_what_was_not_saved() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 5).await;
        let options = store.consumer("clock", Query::all(), Start::BEGINNING).save_every_events(2);
        let mut consumer = options.start().await.unwrap();
        handle(&mut consumer, 3).await;
        drop(consumer);

        assert_eq!(handle(&mut start(&store).await, 3).await, [3, 4, 5], "{backend}: saved after two");
    }
}

#[tokio::test]
async fn what_was_given_and_not_done_is_given_again() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 2).await;
        let mut consumer = start(&store).await;
        let first = consumer.next().await.unwrap().unwrap();
        consumer.done(&first).await.unwrap();
        consumer.next().await.unwrap().unwrap();
        consumer.stop().await.unwrap();
        assert_eq!(handle(&mut start(&store).await, 1).await, [2], "{backend}");
    }
}

#[tokio::test]
async fn an_event_that_it_has_not_given_cannot_be_done() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 2).await;
        let events = store.read_stream("Clock-1").await.unwrap().events;
        let mut consumer = start(&store).await;
        consumer.next().await.unwrap().unwrap();
        let error = consumer.done(&events[1]).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{backend}: {error}");
        consumer.done(&events[0]).await.unwrap();
    }
}

#[tokio::test]
async fn its_place_moves_over_what_does_not_match() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 1).await;
        let head = ticks(&store, "Other-1", 50).await;
        let consumer = start(&store).await;
        let handle = consumer.handle();
        let running = tokio::spawn(consumer.run(|_| async { Ok::<(), Error>(()) }));
        soon(handle.wait_until(head)).await.unwrap();
        handle.stop();
        soon(running).await.unwrap().unwrap();
        assert_eq!(stored(&store).await, Some(head), "{backend}");
    }
}

/// As above, but live: an append that does not match must still free whoever waits for the consumer.
#[tokio::test]
async fn its_place_moves_over_what_does_not_match_while_it_waits() {
    let fixture = MemoryFixture::new();
    let consumer = start(&fixture.store).await;
    let handle = consumer.handle();
    let running = tokio::spawn(consumer.run(|_| async { Ok::<(), Error>(()) }));
    soon(handle.wait_until(ticks(&fixture.store, "Clock-1", 1).await)).await.unwrap();
    let head = ticks(&fixture.store, "Other-1", 3).await;
    soon(handle.wait_until(head)).await.unwrap();
    handle.stop();
    soon(running).await.unwrap().unwrap();
    assert_eq!(stored(&fixture.store).await, Some(head));
}

#[tokio::test]
async fn catching_up_saves_without_waiting_for_number_or_time() {
    for (backend, store) in stores().await {
        let head = ticks(&store, "Clock-1", 3).await;
        let options = store.consumer("clock", Query::all(), Start::BEGINNING);
        let options = options.save_every_events(u64::MAX).save_every(Duration::from_secs(3_600));
        let mut consumer = options.start().await.unwrap();
        handle(&mut consumer, 3).await;
        // While it waits for more it sees that it is caught up.
        let saved = async {
            while stored(&store).await != Some(head) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = consumer.next() => panic!("{backend}: there is no more"),
            () = soon(saved) => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn time_saves_what_number_does_not() {
    let fixture = MemoryFixture::new();
    let options = fixture.store.consumer("clock", Query::all(), Start::BEGINNING);
    let consumer = options.save_every(Duration::from_secs(5)).start().await.unwrap();
    let handle = consumer.handle();
    let running = tokio::spawn(consumer.run(|_| async { Ok::<(), Error>(()) }));
    // Caught up on nothing first, so that what follows is live.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let head = ticks(&fixture.store, "Clock-1", 1).await;
    soon(handle.wait_until(head)).await.unwrap();
    assert_eq!(stored(&fixture.store).await, None);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(stored(&fixture.store).await, Some(head));
    handle.stop();
    soon(running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_newer_one_ends_a_running_one_as_fenced() {
    for (backend, store) in stores().await {
        let options = store.consumer("clock", Query::all(), Start::BEGINNING).save_every_events(1);
        let old = options.start().await.unwrap();
        let handle_of_old = old.handle();
        let running = tokio::spawn(old.run(|_| async { Ok::<(), Error>(()) }));
        soon(handle_of_old.wait_until(ticks(&store, "Clock-1", 2).await)).await.unwrap();

        let mut new = start(&store).await;
        let head = tick(&store, "Clock-1").await.position().unwrap();
        let error = soon(running).await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Fenced(_)), "{backend}: {error}");

        while new.position() < head {
            handle(&mut new, 1).await;
        }
        new.stop().await.unwrap();
        assert_eq!(stored(&store).await, Some(head), "{backend}: the new one was not hindered");
    }
}

#[tokio::test]
async fn a_fenced_one_tells_it_once_and_has_then_ended() {
    let fixture = MemoryFixture::new();
    ticks(&fixture.store, "Clock-1", 2).await;
    let options = fixture.store.consumer("clock", Query::all(), Start::BEGINNING).save_every_events(1);
    let mut consumer = options.start().await.unwrap();
    fixture.faults.next(Operation::SaveCheckpoint, Fault::Fenced);
    let event = consumer.next().await.unwrap().unwrap();
    let error = consumer.done(&event).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Fenced(_)), "{error}");
    assert_eq!(consumer.next().await.unwrap(), None);
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_failed_handler_ends_it_with_its_error_and_the_event_comes_again() {
    #[derive(Debug)]
    enum Failure {
        Handler(u64),
        Store(Error),
    }
    impl From<Error> for Failure {
        fn from(error: Error) -> Self {
            Self::Store(error)
        }
    }
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 5).await;
        let fail_at_three = |event: RecordedEvent| async move {
            let version = event.version().get();
            if version == 3 { Err(Failure::Handler(version)) } else { Ok(()) }
        };
        match start(&store).await.run(fail_at_three).await.unwrap_err() {
            Failure::Handler(version) => assert_eq!(version, 3, "{backend}"),
            Failure::Store(error) => panic!("{backend}: {error}"),
        }
        assert_eq!(handle(&mut start(&store).await, 3).await, [3, 4, 5], "{backend}: 1 and 2 were saved");
    }
}

#[tokio::test]
async fn stopping_waits_for_the_handler_at_hand() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 5).await;
        let consumer = start(&store).await;
        let (handle_of, handled) = (consumer.handle(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&handled);
        let stop_in_second = move |event: RecordedEvent| {
            let (handle_of, seen) = (handle_of.clone(), Arc::clone(&seen));
            async move {
                if event.version().get() == 2 {
                    handle_of.stop();
                    tokio::task::yield_now().await;
                }
                seen.lock().unwrap().push(event.version().get());
                Ok::<(), Error>(())
            }
        };
        consumer.run(stop_in_second).await.unwrap();
        assert_eq!(*handled.lock().unwrap(), [1, 2], "{backend}");
        assert_eq!(handle(&mut start(&store).await, 1).await, [3], "{backend}");
    }
}

/// "From now" was once fixed again at every start: events between a crash before the first save and the restart were lost. The
/// head is now saved before anything is given.
#[tokio::test]
async fn from_now_stays_where_it_was_first_said() {
    for (backend, store) in stores().await {
        ticks(&store, "Clock-1", 2).await;
        drop(store.consumer("clock", Query::all(), Start::Now).start().await.unwrap());
        ticks(&store, "Clock-1", 1).await;
        let mut again = store.consumer("clock", Query::all(), Start::Now).start().await.unwrap();
        assert_eq!(handle(&mut again, 1).await, [3], "{backend}");
    }
}

#[tokio::test]
async fn begins_after_a_position_where_nothing_is_stored() {
    for (backend, store) in stores().await {
        let second = ticks(&store, "Clock-1", 2).await;
        ticks(&store, "Clock-1", 1).await;
        let mut consumer = store.consumer("clock", Query::all(), Start::After(second)).start().await.unwrap();
        assert_eq!(handle(&mut consumer, 1).await, [3], "{backend}");
    }
}

#[tokio::test]
async fn an_invalid_name_is_refused_at_its_start() {
    for (backend, store) in stores().await {
        let error = store.consumer("", Query::all(), Start::BEGINNING).start().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{backend}: {error}");
    }
}

#[tokio::test]
async fn a_checkpoint_of_a_lost_history_is_refused_until_it_is_reset() {
    let fixture = MemoryFixture::new();
    let second = ticks(&fixture.store, "Clock-1", 2).await;
    ticks(&fixture.store, "Clock-1", 2).await;
    let mut consumer = start(&fixture.store).await;
    handle(&mut consumer, 4).await;
    consumer.stop().await.unwrap();

    fixture.backend.restore_to(second).unwrap();
    let refused = fixture.store.consumer("clock", Query::all(), Start::BEGINNING).start().await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::WrongHistory(_)), "{refused}");

    fixture.store.reset_checkpoint("clock", second).await.unwrap();
    ticks(&fixture.store, "Clock-1", 1).await;
    assert_eq!(handle(&mut start(&fixture.store).await, 1).await, [3]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_in_reading_and_saving_is_bridged() {
    let fixture = MemoryFixture::new();
    let options = fixture.store.consumer("clock", Query::all(), Start::BEGINNING).save_every_events(1);
    let mut consumer = options.start().await.unwrap();
    let head = ticks(&fixture.store, "Clock-1", 10).await;
    fixture.faults.next_times(Operation::Read, Fault::NotSent, 5);
    fixture.faults.next_times(Operation::SaveCheckpoint, Fault::NotSent, 2);
    fixture.faults.next_times(Operation::SaveCheckpoint, Fault::ReplyLost, 2);
    assert_eq!(handle(&mut consumer, 10).await, (1..=10).collect::<Vec<_>>());
    consumer.stop().await.unwrap();
    assert_eq!(stored(&fixture.store).await, Some(head));
}

#[tokio::test(start_paused = true)]
async fn an_outage_in_saving_that_lasts_ends_it() {
    let fixture = MemoryFixture::new();
    let options =
        fixture.store.consumer("clock", Query::all(), Start::BEGINNING).save_every(Duration::from_secs(1));
    let consumer = options.outage_max(Duration::from_secs(10)).start().await.unwrap();
    fixture.faults.next_times(Operation::SaveCheckpoint, Fault::NotSent, 1_000);
    ticks(&fixture.store, "Clock-1", 3).await;
    let error = soon(consumer.run(|_| async { Ok::<(), Error>(()) })).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn closing_the_store_ends_it() {
    for (backend, store) in stores().await {
        let consumer = start(&store).await;
        let running = tokio::spawn(consumer.run(|_| async { Ok::<(), Error>(()) }));
        tokio::task::yield_now().await;
        store.close().await.unwrap();
        let error = soon(running).await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Closed), "{backend}: {error}");
    }
}

#[tokio::test]
async fn whoever_waits_for_one_that_ends_is_told() {
    for (backend, store) in stores().await {
        let consumer = start(&store).await;
        let handle = consumer.handle();
        let head = ticks(&store, "Clock-1", 1).await;
        consumer.stop().await.unwrap();
        let error = handle.wait_until(head).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Closed), "{backend}: {error}");
        soon(handle.wait_until(Position::START)).await.unwrap();
    }
}

/// A dropped `next` must take no event with it: `select!` drops it all the time.
#[tokio::test]
async fn a_dropped_next_takes_nothing_with_it() {
    for (backend, store) in stores().await {
        let mut consumer = start(&store).await;
        let mut versions = Vec::new();
        for _ in 0..20 {
            tick(&store, "Clock-1").await;
        }
        // Each time it is dropped later: at the first poll that finds nothing, then at the second, and so on.
        for polls in 0.. {
            tokio::select! {
                biased;
                event = soon(consumer.next()) => {
                    let event = event.unwrap().unwrap();
                    consumer.done(&event).await.unwrap();
                    versions.push(event.version().get());
                }
                () = yields(polls) => {}
            }
            if versions.len() >= 20 {
                break;
            }
        }
        assert_eq!(versions, (1..=20).collect::<Vec<_>>(), "{backend}");
    }
}
