//! Errors on the wire: the kind and what it carries. What a server does wrong by itself has no other texts than its own.

use annalist_core::{
    CheckpointName, Conflict, Error, ErrorKind, EventId, ExpectedVersion, Fenced, IdReused, Position,
    StreamId, Version,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub enum WireError {
    Version(StreamId, ExpectedVersion, Version),
    Condition(usize, Position),
    IdReused(EventId, StreamId, Version),
    Misconfigured(String),
    Unavailable(String),
    Indeterminate(String),
    WrongHistory(String),
    Fenced(CheckpointName, u64, u64),
    Unsupported(String),
    Corrupt(String),
    /// Also what the client should have refused by itself.
    Internal(String),
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        match error.kind().clone() {
            ErrorKind::Conflict(Conflict::Version { stream, expected, actual }) => {
                Self::Version(stream, expected, actual)
            }
            ErrorKind::Conflict(Conflict::Condition { index, matched }) => Self::Condition(index, matched),
            ErrorKind::IdReused(reused) => Self::IdReused(reused.id, reused.stream, reused.version),
            ErrorKind::Misconfigured(message) => Self::Misconfigured(message),
            ErrorKind::Unavailable(message) => Self::Unavailable(message),
            ErrorKind::Indeterminate(message) => Self::Indeterminate(message),
            ErrorKind::WrongHistory(message) => Self::WrongHistory(message),
            ErrorKind::Fenced(fenced) => Self::Fenced(fenced.name, fenced.epoch, fenced.current),
            ErrorKind::Unsupported(message) => Self::Unsupported(message),
            ErrorKind::Corrupt(message) => Self::Corrupt(message),
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl From<WireError> for Error {
    fn from(wire: WireError) -> Self {
        match wire {
            WireError::Version(stream, expected, actual) => {
                Conflict::Version { stream, expected, actual }.into()
            }
            WireError::Condition(index, matched) => Conflict::Condition { index, matched }.into(),
            WireError::IdReused(id, stream, version) => {
                ErrorKind::IdReused(IdReused::new(id, stream, version)).into()
            }
            WireError::Misconfigured(message) => ErrorKind::Misconfigured(message).into(),
            WireError::Unavailable(message) => ErrorKind::Unavailable(message).into(),
            WireError::Indeterminate(message) => ErrorKind::Indeterminate(message).into(),
            WireError::WrongHistory(message) => ErrorKind::WrongHistory(message).into(),
            WireError::Fenced(name, epoch, current) => {
                ErrorKind::Fenced(Fenced::new(name, epoch, current)).into()
            }
            WireError::Unsupported(message) => ErrorKind::Unsupported(message).into(),
            WireError::Corrupt(message) => ErrorKind::Corrupt(message).into(),
            WireError::Internal(message) => ErrorKind::Internal(message).into(),
        }
    }
}
