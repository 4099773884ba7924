//! What the driver's and the server's errors mean.

use annalist_core::{Error, ErrorKind};
use sqlx::error::DatabaseError;

/// What is known of a request that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// Certainly nothing of it was committed, nor will be.
    NotDone,
    /// It may have been carried out, or may yet be.
    Unknown,
}

/// An error of the driver, and what it says about the request.
///
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html> has the codes.
pub(crate) fn judge(error: sqlx::Error) -> (Fate, Error) {
    if let sqlx::Error::Database(database) = &error {
        let code = database.code().unwrap_or_default().into_owned();
        let fate = fate_of(&code);
        let kind = kind_of(&code, fate, &**database);
        return (fate, Error::new(kind).with_source(error));
    }
    let (fate, kind) = match &error {
        sqlx::Error::PoolTimedOut => (
            Fate::NotDone,
            ErrorKind::Unavailable("no connection to the server was to be had in time".into()),
        ),
        sqlx::Error::PoolClosed => (Fate::NotDone, ErrorKind::Closed),
        sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => {
            (Fate::NotDone, ErrorKind::Misconfigured("the connection cannot be set up".into()))
        }
        sqlx::Error::Tls(_) => (
            Fate::NotDone,
            ErrorKind::Misconfigured("the server and this program agree on no encryption".into()),
        ),
        sqlx::Error::Encode(_) => (Fate::NotDone, ErrorKind::Internal("a value cannot be sent".into())),
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::RowNotFound => {
            (Fate::Unknown, ErrorKind::Corrupt("the server's answer cannot be understood".into()))
        }
        _ => (Fate::Unknown, ErrorKind::Indeterminate("the connection to the server failed".into())),
    };
    (fate, Error::new(kind).with_source(error))
}

/// The server answers with an error only for what it has undone, unless it goes down or loses touch while it commits.
fn fate_of(code: &str) -> Fate {
    match code {
        // A connection that was refused before anything was sent on it.
        "57P03" | "08001" | "08004" => Fate::NotDone,
        "57P01" | "57P02" | "57P05" => Fate::Unknown,
        _ if code.starts_with("08") || code.starts_with("58") || code.starts_with("XX") => Fate::Unknown,
        _ => Fate::NotDone,
    }
}

fn kind_of(code: &str, fate: Fate, error: &dyn DatabaseError) -> ErrorKind {
    let said = format!("{} (SQLSTATE {code})", error.message());
    match code {
        "28000" | "28P01" => ErrorKind::Misconfigured("the server refuses the user or the password".into()),
        "3D000" => ErrorKind::Misconfigured("the database does not exist".into()),
        "3F000" | "42P01" | "42883" | "42703" => ErrorKind::Misconfigured(
            "the schema is missing, or not that of an event store: run its set-up".into(),
        ),
        "42501" => ErrorKind::Misconfigured("the user lacks a privilege on the schema".into()),
        "25006" => ErrorKind::Misconfigured("the server, or this user on it, is read-only".into()),
        "ANL01" | "0A000" => ErrorKind::Misconfigured(said),
        _ if code.starts_with("22") || code.starts_with("23") || code.starts_with("54") => {
            ErrorKind::Internal(said)
        }
        _ if fate == Fate::Unknown => ErrorKind::Indeterminate(said),
        // Resources, locks, cancellation, connections that are refused: class 40, 53, 55, 57 and the rest of 08.
        _ if ["08", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class)) => {
            ErrorKind::Unavailable(said)
        }
        _ => ErrorKind::Internal(said),
    }
}

/// The error of making a connection, before anything was asked on it.
pub(crate) fn of_connecting(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            Error::new(ErrorKind::Unavailable("the server cannot be reached".into())).with_source(error)
        }
        _ => of_read(error),
    }
}

/// The error of something that changes nothing.
pub(crate) fn of_read(error: sqlx::Error) -> Error {
    let (_, error) = judge(error);
    match error.kind() {
        ErrorKind::Indeterminate(said) => Error::new(ErrorKind::Unavailable(said.clone())).with_source(error),
        _ => error,
    }
}

/// The error of something that changes what is stored.
pub(crate) fn of_write(error: sqlx::Error) -> Error {
    judge(error).1
}

/// Whether the connection that gave this error is of no more use, so that another one may do better.
pub(crate) fn is_of_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => {
            let code = database.code();
            code.is_some_and(|code| code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P05"))
        }
        _ => false,
    }
}
