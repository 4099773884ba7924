//! What a check says in the end, and the macros by which it says it.

use std::fmt::{Debug, Write};
use std::panic::Location;

use annalist_core::Error;

use crate::Hook;

/// How a check ends: well, or with a [`Failure`].
///
/// ```
/// use annalist_conformance::{Verdict, ensure};
///
/// fn counts_up(seen: &[u64]) -> Verdict {
///     ensure!(seen.is_sorted(), "the numbers go up, found {seen:?}");
///     Ok(())
/// }
/// assert!(counts_up(&[1, 2]).is_ok());
/// assert!(counts_up(&[2, 1]).is_err());
/// ```
pub type Verdict<T = ()> = Result<T, Failure>;

/// Why a check did not end well.
///
/// Every [`Error`] of a store turns into a violation by `?`, with the place in the check where it came up: an operation
/// of which the check expects an error goes through one of the [`expect`](crate::expect) functions instead.
///
/// ```
/// use annalist_conformance::Failure;
///
/// let failure = Failure::violation("the version is 2, not 1");
/// assert!(matches!(failure, Failure::Violated(_)));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The contract does not hold: what was observed, one text for each observation.
    Violated(Vec<String>),
    /// It cannot be told, because the harness lacks a hook.
    Unverified(Hook),
    /// It does not apply to this store, for this reason.
    NotApplicable(String),
    /// The check did not do enough to tell.
    Inconclusive(String),
}

impl Failure {
    /// One violation, told in a sentence.
    #[must_use]
    pub fn violation(observed: impl Into<String>) -> Self {
        Self::Violated(vec![observed.into()])
    }
}

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        let place = Location::caller();
        let (file, line) = (place.file(), place.line());
        Self::violation(format!("an operation that must succeed failed ({file}:{line}): {error:?}"))
    }
}

/// The `Debug` text of a value, cut to what a person reads.
#[doc(hidden)]
#[must_use]
pub fn shown(value: &dyn Debug) -> String {
    const SHOWN_MAX: usize = 600;
    let mut text = String::new();
    let _ = write!(text, "{value:?}");
    if let Some((cut, _)) = text.char_indices().nth(SHOWN_MAX) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// Ends the check with a violation unless the condition holds.
///
/// ```
/// use annalist_conformance::{Verdict, ensure};
///
/// fn check(version: u64) -> Verdict {
///     ensure!(version > 0, "versions begin at 1, found {version}");
///     Ok(())
/// }
/// assert!(check(0).is_err());
/// ```
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return ::core::result::Result::Err($crate::Failure::violation(::std::format!($($message)+)));
        }
    };
}

/// Ends the check with a violation unless what was found equals what must be there.
///
/// ```
/// use annalist_conformance::{Verdict, ensure_eq};
///
/// fn check(version: u64) -> Verdict {
///     ensure_eq!(version, 1, "the version of the first event");
///     Ok(())
/// }
/// assert!(check(2).is_err());
/// ```
#[macro_export]
macro_rules! ensure_eq {
    ($found:expr, $expected:expr, $($what:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if *found != *expected {
                    return ::core::result::Result::Err($crate::Failure::violation(::std::format!(
                        "{}: expected {}, found {}",
                        ::std::format_args!($($what)+),
                        $crate::shown(expected),
                        $crate::shown(found),
                    )));
                }
            }
        }
    };
}

/// Notes a violation unless the condition holds, and goes on: for checks that look at many things.
///
/// ```
/// use annalist_conformance::{Cx, Verdict, note};
///
/// async fn every_version(cx: Cx) -> Verdict {
///     for version in 1..=3_u64 {
///         note!(cx, version > 0, "version {version} is below 1");
///     }
///     Ok(())
/// }
/// ```
#[macro_export]
macro_rules! note {
    ($cx:expr, $condition:expr, $($message:tt)+) => {
        if !$condition {
            $cx.violation(::std::format!($($message)+));
        }
    };
}
