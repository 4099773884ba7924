//! What applications test with must itself be right.

use std::time::{Duration, SystemTime};

use annalist::testing::{Fault, MemoryFixture, Operation};
use annalist::{ErrorKind, ExpectedVersion, Position, Query, Read};

#[tokio::test]
async fn the_clock_says_when_events_are_recorded() {
    let fixture = MemoryFixture::new();
    fixture.clock.advance(Duration::from_secs(90));
    let event = fixture.event("Ticked", "{}").unwrap();
    fixture.store.append("Clock-1", ExpectedVersion::Any, [event]).await.unwrap();
    let recorded = &fixture.store.read_stream("Clock-1").await.unwrap().events[0];
    assert_eq!(recorded.recorded_at(), SystemTime::UNIX_EPOCH + Duration::from_secs(90));
}

#[tokio::test]
async fn scripted_faults_come_in_their_order_and_then_end() {
    let fixture = MemoryFixture::new();
    fixture.faults.next(Operation::Read, Fault::NotSent);
    fixture.faults.next(Operation::Read, Fault::Refused(ErrorKind::Corrupt("told".to_owned())));
    let read = || fixture.store.read(Read::log(Query::all()));
    assert!(matches!(read().await.unwrap_err().kind(), ErrorKind::Unavailable(_)));
    assert!(matches!(read().await.unwrap_err().kind(), ErrorKind::Corrupt(_)));
    assert!(read().await.is_ok());
    assert_eq!(fixture.faults.calls(Operation::Read), 3);
}

#[tokio::test]
async fn a_fault_that_cannot_happen_is_no_silence() {
    let fixture = MemoryFixture::new();
    fixture.faults.next(Operation::Read, Fault::LandsLater);
    let error = fixture.store.read(Read::log(Query::all())).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Internal(_)), "{error}");
    assert!(
        !Fault::Fenced.applies_to(Operation::Append) && Fault::Fenced.applies_to(Operation::SaveCheckpoint)
    );
}

#[tokio::test]
async fn a_lost_reply_was_carried_out_and_an_unsent_request_was_not() {
    let fixture = MemoryFixture::new();
    for (fault, written) in [(Fault::NotSent, false), (Fault::ReplyLost, true)] {
        fixture.faults.next(Operation::SaveCheckpoint, fault);
        let owner = fixture.store.claim_checkpoint("mailer").await.unwrap().owner;
        assert!(fixture.store.save_checkpoint(&owner, Position::START).await.is_err());
        assert_eq!(fixture.store.load_checkpoint("mailer").await.unwrap().is_some(), written);
    }
}

#[tokio::test]
async fn a_fenced_save_is_refused_by_the_store_itself() {
    let fixture = MemoryFixture::new();
    fixture.faults.next(Operation::SaveCheckpoint, Fault::Fenced);
    let owner = fixture.store.claim_checkpoint("mailer").await.unwrap().owner;
    for _ in 0..2 {
        let error = fixture.store.save_checkpoint(&owner, Position::START).await.unwrap_err();
        let ErrorKind::Fenced(fenced) = error.kind() else { panic!("{error}") };
        assert_eq!((fenced.epoch, fenced.current), (owner.epoch(), owner.epoch() + 1));
    }
}

#[tokio::test]
async fn one_seed_gives_one_row_of_faults() {
    async fn outcomes(seed: u64) -> Vec<bool> {
        let fixture = MemoryFixture::new();
        fixture.faults.randomly(Operation::Read, seed, [(0.5, Fault::NotSent)]);
        let mut outcomes = Vec::new();
        for _ in 0..64 {
            outcomes.push(fixture.store.read(Read::log(Query::all())).await.is_ok());
        }
        outcomes
    }
    assert_eq!(outcomes(7).await, outcomes(7).await);
    assert_ne!(outcomes(7).await, outcomes(8).await);
    let sevens = outcomes(7).await;
    assert!(sevens.contains(&true) && sevens.contains(&false));
}

#[tokio::test]
async fn clearing_ends_scripts_and_chances() {
    let fixture = MemoryFixture::new();
    fixture.faults.next_times(Operation::Read, Fault::NotSent, 9);
    fixture.faults.randomly(Operation::Read, 1, [(1.0, Fault::NotSent)]);
    assert!(fixture.store.head().await.is_err());
    fixture.faults.clear();
    assert!(fixture.store.head().await.is_ok());
}
