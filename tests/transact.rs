//! Read, decide, append: again on conflict, and never twice.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annalist::testing::{Fault, MemoryFixture, Operation};
use annalist::{
    Append, Error, ErrorKind, ExpectedVersion, NewEvent, Past, Position, Query, Read, Retry, Store, StreamId,
    Version,
};
use common::stores;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

#[derive(Serialize, Deserialize)]
enum AccountEvent {
    Deposited { cents: u64 },
    Withdrawn { cents: u64 },
}

fn account(n: u32) -> StreamId {
    StreamId::new(format!("Account-{n}")).unwrap()
}

fn balance(past: &Past) -> Result<u64, Error> {
    let events = past.decode::<AccountEvent>()?;
    Ok(events.iter().fold(0, |balance, event| match event {
        AccountEvent::Deposited { cents } => balance + cents,
        AccountEvent::Withdrawn { cents } => balance - cents,
    }))
}

#[derive(Debug)]
enum Refusal {
    Poor,
    Store(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Patient enough for any contention here: every round somebody gets through.
fn patient() -> Retry {
    Retry::default().attempts_max(u32::MAX).elapsed_max(Duration::from_secs(600))
}

async fn transfer(store: &Store, from: &StreamId, to: &StreamId, cents: u64) -> Result<(), Refusal> {
    store
        .transact([from, to], patient(), |[source, target]| {
            if balance(&source)? < cents {
                return Err(Refusal::Poor);
            }
            let withdrawn = NewEvent::of(&AccountEvent::Withdrawn { cents })?;
            let deposited = NewEvent::of(&AccountEvent::Deposited { cents })?;
            Ok(Append::new().write(from, source.version, [withdrawn]).write(to, target.version, [deposited]))
        })
        .await?;
    Ok(())
}

async fn fill(store: &Store, n: u32, cents: u64) {
    let deposited = NewEvent::of(&AccountEvent::Deposited { cents }).unwrap();
    store.append(&account(n), ExpectedVersion::NoStream, [deposited]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_tasks_count_to_sixteen_on_one_stream() {
    for (backend, store) in stores().await {
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let store = store.clone();
            tasks.spawn(async move {
                let counter = StreamId::new("Counter-1").unwrap();
                let next = |past: Past| -> Result<_, Error> {
                    let data = (past.events.len() + 1).to_string();
                    Ok(Append::to(&counter, past.version, [NewEvent::new("Counted", data)?]))
                };
                store.transact(&counter, patient(), next).await.unwrap().unwrap();
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let counted = store.read_stream("Counter-1").await.unwrap().events;
        let numbers: Vec<usize> =
            counted.iter().map(|event| serde_json::from_slice(event.data()).unwrap()).collect();
        assert_eq!(numbers, (1..=16).collect::<Vec<_>>(), "{backend}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_in_a_ring_keep_the_sum() {
    for (backend, store) in stores().await {
        for n in 0..4 {
            fill(&store, n, 100).await;
        }
        let mut tasks = JoinSet::new();
        for n in 0..16 {
            let store = store.clone();
            tasks.spawn(async move { transfer(&store, &account(n % 4), &account((n + 1) % 4), 70).await });
        }
        let mut refused = 0;
        while let Some(done) = tasks.join_next().await {
            match done.unwrap() {
                Ok(()) => {}
                Err(Refusal::Poor) => refused += 1,
                Err(Refusal::Store(error)) => panic!("{backend}: {error}"),
            }
        }
        let mut sum = 0;
        let mut moves = 0;
        for n in 0..4 {
            let past = store.read_stream(&account(n)).await.unwrap();
            sum += balance(&past).unwrap();
            moves += past.events.len() - 1;
        }
        assert_eq!(sum, 400, "{backend}");
        assert_eq!(moves, 2 * (16 - refused), "{backend}: both halves of each transfer, or neither");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_email_goes_to_one_user() {
    for (backend, store) in stores().await {
        let mut tasks = JoinSet::new();
        for n in 0..16 {
            let store = store.clone();
            tasks.spawn(async move {
                let (user, taken) =
                    (StreamId::new(format!("User-{n}")).unwrap(), Query::tags(["email:ada@example.org"]));
                let registered = store
                    .transact(taken.clone(), patient(), |past| -> Result<_, Error> {
                        if !past.events.is_empty() {
                            return Ok(None);
                        }
                        let event =
                            NewEvent::new("UserRegistered", "{}")?.with_tags(["email:ada@example.org"])?;
                        let append = Append::to(&user, ExpectedVersion::NoStream, [event]);
                        Ok(Some(append.condition(taken.clone(), past.head)))
                    })
                    .await;
                registered.unwrap().is_some()
            });
        }
        let mut registered = 0;
        while let Some(done) = tasks.join_next().await {
            registered += usize::from(done.unwrap());
        }
        assert_eq!(registered, 1, "{backend}");
        let taken = store.read_all(Query::tags(["email:ada@example.org"])).await.unwrap();
        assert_eq!(taken.events.len(), 1, "{backend}");
    }
}

#[tokio::test]
async fn the_decisions_own_error_ends_it() {
    for (_, store) in stores().await {
        fill(&store, 1, 10).await;
        let refused = transfer(&store, &account(1), &account(2), 11).await.unwrap_err();
        assert!(matches!(refused, Refusal::Poor));
        assert_eq!(store.read_stream(&account(1)).await.unwrap().version, Version::FIRST);
    }
}

#[tokio::test]
async fn nothing_to_do_writes_nothing() {
    for (_, store) in stores().await {
        let nothing = |_: Past| -> Result<Option<Append>, Error> { Ok(None) };
        assert_eq!(store.transact(&account(1), Retry::none(), nothing).await.unwrap(), None);
        assert_eq!(store.head().await.unwrap(), Position::START);
    }
}

/// Loses to somebody else in every round.
async fn overtaken(store: &Store, retry: Retry) -> (u32, Result<(), Error>) {
    let (counter, mut decisions) = (StreamId::new("Counter-1").unwrap(), 0);
    let stale = |past: Past| -> Result<_, Error> {
        decisions += 1;
        // As if somebody had appended after the read: an expectation that has just ceased to hold.
        Ok(Append::to(&counter, past.version.next(), [NewEvent::new("Counted", "{}")?]))
    };
    let outcome = store.transact(&counter, retry, stale).await.map(drop);
    (decisions, outcome)
}

#[tokio::test(start_paused = true)]
async fn decides_as_often_as_the_retry_allows_and_tells_the_conflict() {
    let fixture = MemoryFixture::new();
    let (decisions, outcome) = overtaken(&fixture.store, Retry::default().attempts_max(4)).await;
    assert_eq!(decisions, 4);
    assert!(matches!(outcome.unwrap_err().kind(), ErrorKind::Conflict(_)));
}

/// After a lost reply the same append must go out again, not a new decision: that would see its own event and act on it.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_not_decided_anew() {
    let fixture = MemoryFixture::new();
    fixture.faults.next_times(Operation::Append, Fault::ReplyLost, 3);
    let (seat, mut decisions) = (StreamId::new("Seat-12A").unwrap(), 0);
    let reserve = |past: Past| -> Result<_, Error> {
        decisions += 1;
        Ok(Append::to(&seat, past.version, [NewEvent::new("SeatReserved", "{}")?]))
    };
    let receipt = fixture.store.transact(&seat, Retry::default(), reserve).await.unwrap().unwrap();
    assert!(receipt.already_committed());
    assert_eq!(decisions, 1);
    assert_eq!(fixture.store.read_stream(&seat).await.unwrap().version, Version::FIRST);
}

#[tokio::test(start_paused = true)]
async fn doubt_that_remains_is_told_and_not_decided_anew() {
    let fixture = MemoryFixture::new();
    fixture.faults.next(Operation::Append, Fault::LandsLater);
    fixture.faults.next_times(Operation::Append, Fault::NotSent, 100);
    let (seat, mut decisions) = (StreamId::new("Seat-12A").unwrap(), 0);
    let reserve = |past: Past| -> Result<_, Error> {
        decisions += 1;
        Ok(Append::to(&seat, past.version, [NewEvent::new("SeatReserved", "{}")?]))
    };
    let error = fixture.store.transact(&seat, Retry::default(), reserve).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Indeterminate(_)), "{error}");
    assert_eq!(decisions, 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_while_reading_is_bridged() {
    let fixture = MemoryFixture::new();
    fixture.faults.next_times(Operation::Read, Fault::NotSent, 3);
    let seat = StreamId::new("Seat-12A").unwrap();
    let reserve = |past: Past| -> Result<_, Error> {
        Ok(Append::to(&seat, past.version, [NewEvent::new("SeatReserved", "{}")?]))
    };
    assert!(fixture.store.transact(&seat, Retry::default(), reserve).await.unwrap().is_some());
}

#[tokio::test]
async fn a_read_may_be_a_part_and_reads_may_differ_in_kind() {
    for (_, store) in stores().await {
        fill(&store, 1, 10).await;
        fill(&store, 2, 20).await;
        let reads = [Read::stream(&account(1)).backward().limit(1), Read::log(Query::category("Account"))];
        let look = |[newest, all]: [Past; 2]| -> Result<Option<Append>, Error> {
            assert_eq!((newest.events.len(), newest.version), (1, Version::FIRST));
            assert_eq!((all.events.len(), all.version), (2, Version::NONE));
            assert_eq!(newest.head, all.head);
            Ok(None)
        };
        store.transact(reads, Retry::none(), look).await.unwrap();
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn transactions_that_have_collided_take_turns() {
    const TASKS: usize = 16;
    let fixture = MemoryFixture::new();
    let slowly = Fault::Delayed(Duration::from_millis(5));
    for _ in 0..100 {
        fixture.faults.next(Operation::Read, slowly.clone());
        fixture.faults.next(Operation::Append, slowly.clone());
    }
    let (seat, decisions) = (StreamId::new("Seat-12A").unwrap(), AtomicUsize::new(0));
    let one = || {
        fixture.store.transact(&seat, Retry::default().attempts_max(2), |past| -> Result<_, Error> {
            decisions.fetch_add(1, Ordering::Relaxed);
            Ok(Append::to(&seat, past.version, [NewEvent::new("Reserved", "{}")?]))
        })
    };
    futures::future::try_join_all((0..TASKS).map(|_| one())).await.unwrap();
    // All read an empty stream, and one of them wrote; the others did not collide again.
    assert_eq!(decisions.load(Ordering::Relaxed), TASKS + TASKS - 1);
    // Whoever comes later waits for nobody.
    one().await.unwrap();
    assert_eq!(decisions.load(Ordering::Relaxed), 2 * TASKS);
}
