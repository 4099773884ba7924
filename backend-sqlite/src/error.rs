//! What SQLite's errors mean.

use annalist_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// The error of anything but a commit: nothing of it was done.
///
/// <https://sqlite.org/rescode.html> has the codes.
pub(crate) fn of_file(error: rusqlite::Error) -> Error {
    Error::new(kind_of(&error)).with_source(error)
}

fn kind_of(error: &rusqlite::Error) -> ErrorKind {
    let Some(code) = error.sqlite_error_code() else {
        return match error {
            // A row that is always there, or a value that has another type.
            rusqlite::Error::QueryReturnedNoRows
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..) => {
                ErrorKind::Corrupt("what is stored is not of its kind".into())
            }
            _ => ErrorKind::Internal("the driver failed".into()),
        };
    };
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            ErrorKind::Unavailable("another process holds the lock of the file".into())
        }
        ErrorCode::DiskFull => ErrorKind::Unavailable("the disk is full".into()),
        ErrorCode::SystemIoFailure => ErrorKind::Unavailable("the disk failed".into()),
        ErrorCode::OutOfMemory | ErrorCode::OperationInterrupted => {
            ErrorKind::Unavailable("it could not be carried out now".into())
        }
        ErrorCode::ReadOnly => ErrorKind::Misconfigured("the file or its folder is read-only".into()),
        ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
            ErrorKind::Misconfigured("the file cannot be opened, or not be made in its folder".into())
        }
        ErrorCode::NotADatabase => ErrorKind::Misconfigured("the file is none of SQLite".into()),
        ErrorCode::DatabaseCorrupt => ErrorKind::Corrupt("the file is damaged".into()),
        ErrorCode::ConstraintViolation => {
            ErrorKind::Corrupt("what is stored contradicts itself: the file is damaged".into())
        }
        ErrorCode::Unknown | ErrorCode::SchemaChanged => {
            ErrorKind::Misconfigured("the file is not that of an event store".into())
        }
        _ => ErrorKind::Internal("SQLite refused what it was asked".into()),
    }
}

/// What is known of a transaction that failed.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Certainly nothing of it was committed, nor will be.
    NotDone(Error),
    /// It may have been.
    Unknown(Error),
}

/// The error of a commit.
///
/// The frames of a transaction go to the write-ahead log one after another, and the last makes them count: a disk that was full before that leaves
/// nothing that counts. After any other failure all may be there, and be found whole by whoever recovers the log.
pub(crate) fn of_commit(error: rusqlite::Error) -> Failure {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy) => Failure::NotDone(of_file(error)),
        _ => {
            let kind = ErrorKind::Indeterminate("the disk failed while it was written to".into());
            Failure::Unknown(Error::new(kind).with_source(error))
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotDone(error) | Failure::Unknown(error) => error,
        }
    }
}

/// Whether somebody else has the lock that is needed, for a moment.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

pub(crate) fn corrupt(message: &str) -> Error {
    ErrorKind::Corrupt(message.to_owned()).into()
}

pub(crate) fn misconfigured(message: impl Into<String>) -> Error {
    ErrorKind::Misconfigured(message.into()).into()
}

pub(crate) fn unavailable(message: &str) -> Error {
    ErrorKind::Unavailable(message.to_owned()).into()
}

/// What SQLite itself said.
pub(crate) fn driver(error: &Error) -> Option<&rusqlite::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Whether there was no room for what was to be written: less may fit.
pub(crate) fn is_full(error: &Error) -> bool {
    driver(error).and_then(rusqlite::Error::sqlite_error_code) == Some(ErrorCode::DiskFull)
}
