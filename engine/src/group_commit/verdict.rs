//! What an answer of the writer means for an append, given what happened to it before.

use annalist_core::{Conflict, Error, ErrorKind, Receipt};

/// What becomes of an append.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is answered.
    Final(Result<Receipt, Error>),
    /// It is sent again.
    Again(Failure),
}

/// Why an append is sent again.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// Whether this attempt may have landed, or may yet.
    pub(super) may_have_left: bool,
}

/// Judges an answer. Once any attempt may have left, a refusal counts only if it can never become untrue (E1).
pub(super) fn judge(answer: Result<Receipt, Error>, may_have_left: bool) -> Verdict {
    let error = match answer {
        Ok(receipt) => return Verdict::Final(Ok(receipt)),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::Unavailable(_) => Verdict::Again(Failure { error, may_have_left: false }),
        ErrorKind::Indeterminate(_) => Verdict::Again(Failure { error, may_have_left: true }),
        _ if may_have_left && !is_for_good(&error) => {
            Verdict::Final(Err(indeterminate("an earlier attempt may have landed", Some(&error))))
        }
        _ => Verdict::Final(Err(error)),
    }
}

/// Whether a refusal can never become untrue: no later state of the log would accept the append.
pub(super) fn is_for_good(refusal: &Error) -> bool {
    match refusal.kind() {
        ErrorKind::Conflict(Conflict::Version { expected, actual, .. }) => expected.refused_for_good(*actual),
        ErrorKind::Conflict(Conflict::Condition { .. }) | ErrorKind::IdReused(_) => true,
        _ => false,
    }
}

/// The answer at the deadline for an append that certainly was not written.
pub(super) fn unavailable(message: &str, cause: Option<&Error>) -> Error {
    caused(ErrorKind::Unavailable(message.to_owned()), cause)
}

/// The answer for an append that may have been written.
pub(super) fn indeterminate(message: &str, cause: Option<&Error>) -> Error {
    caused(ErrorKind::Indeterminate(message.to_owned()), cause)
}

fn caused(kind: ErrorKind, cause: Option<&Error>) -> Error {
    match cause {
        Some(cause) => Error::new(kind).with_source(cause.clone()),
        None => Error::new(kind),
    }
}
