//! Appending again under faults: once, or honestly in doubt.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::time::Duration;

use annalist::testing::{Fault, MemoryFixture, Operation};
use annalist::{
    Append, Conflict, Error, ErrorKind, ExpectedVersion, NewEvent, Receipt, Retry, StreamId, Version,
};

fn order() -> StreamId {
    StreamId::new("Order-7").unwrap()
}

fn placed(expected: impl Into<ExpectedVersion>) -> Append {
    Append::to(&order(), expected, [NewEvent::new("OrderPlaced", "{}").unwrap()])
}

async fn version(fixture: &MemoryFixture) -> Version {
    fixture.backend_store().read_stream("Order-7").await.unwrap().version
}

/// The store beneath the faults.
trait Beneath {
    fn backend_store(&self) -> annalist::Store;
}

impl Beneath for MemoryFixture {
    fn backend_store(&self) -> annalist::Store {
        annalist::Store::new(self.backend.clone())
    }
}

async fn send(fixture: &MemoryFixture, append: &Append, attempts: u32) -> Result<Receipt, Error> {
    fixture.store.append_retrying(append, Retry::default().attempts_max(attempts)).await
}

#[tokio::test(start_paused = true)]
async fn lost_replies_and_refused_connections_end_in_one_copy() {
    let fixture = MemoryFixture::new();
    for fault in [Fault::NotSent, Fault::ReplyLost, Fault::NotSent, Fault::ReplyLost] {
        fixture.faults.next(Operation::Append, fault);
    }
    let receipt = send(&fixture, &placed(ExpectedVersion::NoStream), 5).await.unwrap();
    assert!(receipt.already_committed(), "the second attempt had landed");
    assert_eq!(version(&fixture).await, Version::FIRST);
    assert_eq!(fixture.faults.calls(Operation::Append), 5);
}

#[tokio::test(start_paused = true)]
async fn attempts_that_never_left_end_as_unavailable() {
    let fixture = MemoryFixture::new();
    fixture.faults.next_times(Operation::Append, Fault::NotSent, 9);
    let error = send(&fixture, &placed(ExpectedVersion::NoStream), 3).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable(_)), "{error}");
    assert_eq!(fixture.faults.calls(Operation::Append), 3);
    assert!(error.to_string().ends_with(r#"operation=append stream="Order-7""#), "{error}");
}

/// "Unavailable" says that it was certainly not written. After an answer was lost, no later failure to connect may say so.
#[tokio::test(start_paused = true)]
async fn a_refused_connection_after_a_lost_reply_stays_in_doubt() {
    let fixture = MemoryFixture::new();
    fixture.faults.next(Operation::Append, Fault::ReplyLost);
    fixture.faults.next_times(Operation::Append, Fault::NotSent, 9);
    let error = send(&fixture, &placed(ExpectedVersion::NoStream), 4).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Indeterminate(_)), "{error}");
    assert!(std::error::Error::source(&error).is_some(), "the last answer is its cause");
    assert_eq!(version(&fixture).await, Version::FIRST);
}

/// The first sending is still on its way when the second one is refused: "exists" may yet become true, so a conflict would be
/// no final word. Once someone creates the stream, the first sending commits.
#[tokio::test(start_paused = true)]
async fn a_conflict_that_could_become_untrue_stays_in_doubt() {
    let fixture = MemoryFixture::new();
    fixture.faults.next(Operation::Append, Fault::LandsLater);
    let error = send(&fixture, &placed(ExpectedVersion::Exists), 3).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Indeterminate(_)), "{error}");

    fixture
        .backend_store()
        .append("Order-7", ExpectedVersion::Any, [NewEvent::new("A", "{}").unwrap()])
        .await
        .unwrap();
    let landed = fixture.faults.land().await;
    assert!(matches!(&landed[..], [Ok(_)]), "it did commit after the conflict: {landed:?}");
}

/// `Exact(1)` can never hold again at version 2, so this conflict is the truth although the first sending is on its way.
#[tokio::test(start_paused = true)]
async fn a_conflict_that_is_final_is_told_as_one() {
    let fixture = MemoryFixture::new();
    let beneath = fixture.backend_store();
    for _ in 0..2 {
        beneath.append("Order-7", ExpectedVersion::Any, [NewEvent::new("A", "{}").unwrap()]).await.unwrap();
    }
    fixture.faults.next(Operation::Append, Fault::LandsLater);
    let error = send(&fixture, &placed(Version::FIRST), 3).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Conflict(Conflict::Version { .. })), "{error}");
    assert!(fixture.faults.land().await[0].is_err());
    assert_eq!(version(&fixture).await, Version::new(2));
}

#[tokio::test(start_paused = true)]
async fn an_append_that_lands_between_two_sendings_is_found() {
    let fixture = MemoryFixture::new();
    fixture.faults.next(Operation::Append, Fault::LandsLater);
    let append = placed(ExpectedVersion::NoStream);
    let first = send(&fixture, &append, 1).await.unwrap_err();
    assert!(matches!(first.kind(), ErrorKind::Indeterminate(_)));
    fixture.faults.land().await;
    assert!(send(&fixture, &append, 1).await.unwrap().already_committed());
}

#[tokio::test(start_paused = true)]
async fn a_plain_conflict_is_not_sent_again() {
    let fixture = MemoryFixture::new();
    let error = send(&fixture, &placed(Version::new(3)), 5).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Conflict(_)));
    assert_eq!(fixture.faults.calls(Operation::Append), 1);
}

#[tokio::test(start_paused = true)]
async fn a_closed_store_after_a_lost_reply_stays_in_doubt() {
    let fixture = MemoryFixture::new();
    fixture.faults.next(Operation::Append, Fault::ReplyLost);
    fixture.faults.next(Operation::Append, Fault::Refused(ErrorKind::Closed));
    let error = send(&fixture, &placed(ExpectedVersion::NoStream), 5).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Indeterminate(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn time_bounds_it_too() {
    let fixture = MemoryFixture::new();
    fixture.faults.next_times(Operation::Append, Fault::NotSent, 1_000);
    let retry = Retry::default().attempts_max(u32::MAX).elapsed_max(Duration::from_secs(5));
    let began = tokio::time::Instant::now();
    let append = placed(ExpectedVersion::NoStream);
    assert!(fixture.store.append_retrying(&append, retry).await.is_err());
    // Timers round up to the millisecond.
    assert!(began.elapsed() <= Duration::from_millis(5_001), "the clock is paused: {:?}", began.elapsed());
    assert!(fixture.faults.calls(Operation::Append) > 5);
}

#[tokio::test(start_paused = true)]
async fn random_faults_never_double_and_never_lose() {
    for seed in 0..50 {
        let fixture = MemoryFixture::new();
        let chances =
            [(0.3, Fault::NotSent), (0.3, Fault::ReplyLost), (0.1, Fault::Delayed(Duration::from_secs(1)))];
        fixture.faults.randomly(Operation::Append, seed, chances);
        for n in 1..=10 {
            let append = placed(Version::new(n - 1));
            let receipt = send(&fixture, &append, 100).await.unwrap();
            assert_eq!(receipt.version_of(&order()), Some(Version::new(n)), "seed {seed}");
        }
        assert_eq!(version(&fixture).await, Version::new(10), "seed {seed}");
    }
}
