//! What errors say, and that they say it once.

use std::error::Error as _;
use std::io;

use annalist_core::{
    CheckpointName, Conflict, Error, ErrorKind, EventId, ExpectedVersion, Fenced, IdReused, Invalid,
    Position, Remedy, StreamId, Version,
};

fn stream() -> StreamId {
    StreamId::new("Order-7").expect("a name")
}

fn kinds() -> Vec<(ErrorKind, &'static str, Remedy, &'static str)> {
    let text = || "the text".to_owned();
    let id = EventId::from_uuid(uuid::Uuid::nil());
    let version = Conflict::Version {
        stream: stream(),
        expected: ExpectedVersion::Exact(Version::new(3)),
        actual: Version::new(4),
    };
    let condition = Conflict::Condition { index: 1, matched: Position::START };
    let fenced = Fenced::new(CheckpointName::new("mailer").expect("a name"), 1, 2);
    vec![
        (
            ErrorKind::Conflict(version),
            "conflict",
            Remedy::DecideAgain,
            "conflict: expected version 3 stream=\"Order-7\" actual=4",
        ),
        (
            ErrorKind::Conflict(condition),
            "conflict",
            Remedy::DecideAgain,
            "conflict: an event matches the condition index=1 matched=00000000-0000000000000000-00000000",
        ),
        (
            ErrorKind::IdReused(IdReused::new(id, stream(), Version::new(2))),
            "id_reused",
            Remedy::FixCaller,
            "event id was used before id=00000000-0000-0000-0000-000000000000 stream=\"Order-7\" version=2",
        ),
        (
            ErrorKind::Invalid(Invalid::over("event", "bytes per event", 10, 11)),
            "invalid",
            Remedy::FixRequest,
            "invalid event: over the limit of bytes per event limit=10 value=11",
        ),
        (ErrorKind::Misconfigured(text()), "misconfigured", Remedy::FixSetup, "misconfigured: the text"),
        (
            ErrorKind::Unavailable(text()),
            "unavailable",
            Remedy::SendLater,
            "unavailable, nothing was written: the text",
        ),
        (
            ErrorKind::Indeterminate(text()),
            "indeterminate",
            Remedy::SendAgain,
            "indeterminate, may have been written: the text",
        ),
        (ErrorKind::WrongHistory(text()), "wrong_history", Remedy::StopAndLook, "wrong history: the text"),
        (
            ErrorKind::Fenced(fenced),
            "fenced",
            Remedy::Stop,
            "fenced: another owner has claimed the checkpoint name=\"mailer\" epoch=1 current=2",
        ),
        (ErrorKind::Closed, "closed", Remedy::Stop, "the store was closed"),
        (ErrorKind::Unsupported(text()), "unsupported", Remedy::ChooseAnotherWay, "unsupported: the text"),
        (ErrorKind::Corrupt(text()), "corrupt", Remedy::StopAndLook, "corrupt: the text"),
        (ErrorKind::Internal(text()), "internal", Remedy::Report, "internal: the text"),
    ]
}

#[test]
fn every_kind_has_a_name_a_remedy_and_a_message() {
    for (kind, name, remedy, message) in kinds() {
        assert_eq!((kind.name(), kind.remedy()), (name, remedy));
        let error = Error::new(kind);
        assert_eq!((error.to_string().as_str(), error.remedy()), (message, remedy));
    }
}

#[test]
fn the_cause_is_kept_and_told_once() {
    let error = Error::new(ErrorKind::Unavailable("no reply".to_owned()))
        .with_source(io::Error::new(io::ErrorKind::ConnectionReset, "reset by peer"));
    assert_eq!(error.to_string(), "unavailable, nothing was written: no reply");
    assert_eq!(error.source().expect("the cause").to_string(), "reset by peer");
    assert_eq!(format!("{error:?}"), "unavailable, nothing was written: no reply: reset by peer");
}

#[test]
fn the_innermost_operation_and_stream_stay() {
    let other = StreamId::new("Cart-1").expect("a name");
    let error = Error::new(ErrorKind::Closed)
        .in_operation("append")
        .in_operation("transact")
        .for_stream(&stream())
        .for_stream(&other);
    assert_eq!(error.to_string(), "the store was closed operation=append stream=\"Order-7\"");
}

#[test]
fn a_conflict_tells_its_stream_once() {
    let kind = kinds().remove(0).0;
    let error = Error::new(kind).for_stream(&stream());
    assert_eq!(error.to_string().matches("Order-7").count(), 1);
}

#[test]
fn a_name_in_a_message_cannot_break_the_line() {
    let error =
        Error::from(Invalid::new("stream id", "must not hold control characters", format!("{:?}", '\n')));
    assert_eq!(error.to_string().lines().count(), 1);
}
