//! Errors that a check wants to see: each function gives what the error carries, or ends the check.

use std::fmt::Debug;

use annalist_core::{
    Conflict, Error, ErrorKind, ExpectedVersion, Fenced, IdReused, Invalid, StreamId, Version,
};

use crate::{Failure, Verdict, shown};

/// The error, whatever it is.
///
/// # Errors
///
/// A violation if it is `Ok`.
///
/// ```
/// use annalist_conformance::expect;
///
/// let done: Result<(), annalist_core::Error> = Ok(());
/// assert!(expect::error(done).is_err());
/// ```
pub fn error<T: Debug>(result: Result<T, Error>) -> Verdict<Error> {
    match result {
        Err(error) => Ok(error),
        Ok(value) => Err(Failure::violation(format!("it must be refused, but gave {}", shown(&value)))),
    }
}

fn other<T>(wanted: &str, error: &Error) -> Verdict<T> {
    Err(Failure::violation(format!("it must be refused as {wanted}, but the error is {error:?}")))
}

macro_rules! expected {
    ($(#[$doc:meta])* $name:ident, $wanted:literal, $pattern:pat => $value:expr, $type:ty) => {
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// A violation if it is `Ok` or any other error.
        ///
        /// ```
        #[doc = concat!("use annalist_conformance::expect::", stringify!($name), ";")]
        ///
        /// let done: Result<(), annalist_core::Error> = Ok(());
        #[doc = concat!("assert!(", stringify!($name), "(done).is_err());")]
        /// ```
        pub fn $name<T: Debug>(result: Result<T, Error>) -> Verdict<$type> {
            let error = error(result)?;
            match error.kind().clone() {
                $pattern => Ok($value),
                _ => other($wanted, &error),
            }
        }
    };
}

expected! {
    /// The conflict that an append must meet.
    conflict, "Conflict", ErrorKind::Conflict(conflict) => conflict, Conflict
}
expected! {
    /// The id that an append must be told of as used before.
    id_reused, "IdReused", ErrorKind::IdReused(reused) => reused, IdReused
}
expected! {
    /// The rule or limit that a request must be refused for.
    invalid, "Invalid", ErrorKind::Invalid(invalid) => invalid, Invalid
}
expected! {
    /// A position or checkpoint must be refused as one of another history.
    wrong_history, "WrongHistory", ErrorKind::WrongHistory(message) => message, String
}
expected! {
    /// An owner must be told of the claim that replaced its own.
    fenced, "Fenced", ErrorKind::Fenced(fenced) => fenced, Fenced
}
expected! {
    /// A closed store must say so.
    closed, "Closed", ErrorKind::Closed => (), ()
}
expected! {
    /// What is declared absent must be refused as that.
    unsupported, "Unsupported", ErrorKind::Unsupported(message) => message, String
}

/// The conflict of a stream that is not at the version expected of it, which must be exactly this one.
///
/// # Errors
///
/// A violation if it is `Ok`, any other error, or names anything else.
///
/// ```
/// use annalist_conformance::{exact, expect, stream};
///
/// let done: Result<(), annalist_core::Error> = Ok(());
/// assert!(expect::version_conflict(done, &stream("Order-1"), exact(1), 2).is_err());
/// ```
pub fn version_conflict<T: Debug>(
    result: Result<T, Error>,
    stream: &StreamId,
    expected: ExpectedVersion,
    actual: u64,
) -> Verdict {
    let wanted = Conflict::Version { stream: stream.clone(), expected, actual: Version::new(actual) };
    let found = conflict(result)?;
    crate::ensure_eq!(found, wanted, "what the conflict tells");
    Ok(())
}

/// The refusal for going over a declared limit, which must name this limit and the value.
///
/// # Errors
///
/// A violation if it is `Ok`, any other error, or names anything else.
///
/// ```
/// use annalist_conformance::expect;
///
/// let done: Result<(), annalist_core::Error> = Ok(());
/// assert!(expect::over_limit(done, "events per append", 1_000, 1_001).is_err());
/// ```
pub fn over_limit<T: Debug>(result: Result<T, Error>, rule: &str, limit: usize, value: usize) -> Verdict {
    let found = invalid(result)?;
    crate::ensure_eq!(found.rule, rule, "the limit that is named");
    crate::ensure_eq!(found.limit, Some(limit as u64), "the value of the limit");
    crate::ensure_eq!(found.value, value.to_string(), "the value that breaks it");
    Ok(())
}
