//! One check: a sentence of the contract, and the function that puts it to the test.

use std::fmt;

use annalist_core::Capability;
use futures::future::BoxFuture;

use crate::{Cx, Hook, Verdict};

/// One check of the suite. Written by [`checks!`](crate::checks), found in [`all`](crate::all).
///
/// ```
/// let check = annalist_conformance::all().into_iter().find(|check| check.name == "append.first_version");
/// assert_eq!(check.map(|check| check.guarantee), Some("A4"));
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Check {
    /// Area and name: `append.first_version`.
    pub name: &'static str,
    /// The guarantee of the contract that it carries: `A4`.
    pub guarantee: &'static str,
    /// The area that it belongs to: `append`.
    pub area: &'static str,
    /// 1 for what one caller sees, 2 for what many see at once, 3 for what a network that fails makes of it and for several processes, 4 for
    /// servers that are killed.
    pub level: u8,
    /// How it tells.
    pub kind: Kind,
    /// What the store must declare for it to apply.
    pub needs: &'static [Capability],
    /// What the harness must be able to do.
    pub hooks: &'static [Hook],
    /// The sentence of the contract.
    pub summary: &'static str,
    /// What kind of store fails it.
    pub likely_cause: &'static str,
    /// The check itself.
    pub run: fn(Cx) -> BoxFuture<'static, Verdict>,
}

/// How a check tells.
///
/// ```
/// use annalist_conformance::Kind;
///
/// assert_eq!(Kind::Stochastic.to_string(), "stochastic");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// The same every time.
    Deterministic,
    /// By many tries under concurrency; it names a minimum of operations with [`Cx::minimum_ops`], below which it is
    /// inconclusive, and its detection rate is published.
    Stochastic,
    /// By every place at which a future can be dropped, or a connection lost; it names a minimum as a stochastic one does.
    Sweep,
    /// By random operations against a model; it names a minimum as a stochastic one does.
    Model,
}

impl Kind {
    /// Whether a check of this kind must name a minimum of operations.
    #[must_use]
    pub fn counts(self) -> bool {
        self != Self::Deterministic
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deterministic => "deterministic",
            Self::Stochastic => "stochastic",
            Self::Sweep => "sweep",
            Self::Model => "model",
        })
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .field("guarantee", &self.guarantee)
            .field("level", &self.level)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Registers the checks of one area: each entry names an async function of the same module, `async fn name(cx: Cx) -> Verdict`.
///
/// Makes a constant `CHECKS`. A function that is not listed is dead code, which the lints refuse, and an entry without a
/// function does not compile: the two cannot drift apart.
///
/// ```
/// use annalist_conformance::{Cx, Verdict, checks, ensure};
///
/// checks! {
///     area: "append",
///     first_version {
///         guarantee: "A4", level: 1, kind: Deterministic,
///         summary: "The first event of a stream has version 1.",
///         likely_cause: "a store that counts from 0",
///     }
/// }
///
/// async fn first_version(cx: Cx) -> Verdict {
///     let receipt = cx.append_any("Order-1", 1).await?;
///     ensure!(receipt.written()[0].first_version().get() == 1, "it begins at {receipt:?}");
///     Ok(())
/// }
/// assert_eq!(CHECKS[0].name, "append.first_version");
/// ```
#[macro_export]
macro_rules! checks {
    (area: $area:literal, $($name:ident {
        guarantee: $guarantee:literal, level: $level:literal, kind: $kind:ident,
        $(needs: [$($need:ident),* $(,)?],)?
        $(hooks: [$($hook:ident),* $(,)?],)?
        summary: $summary:literal,
        likely_cause: $cause:literal $(,)?
    })*) => {
        /// The checks of this module.
        pub(crate) const CHECKS: &[$crate::Check] = &[$($crate::check(
            ::core::concat!($area, ".", ::core::stringify!($name)),
            $guarantee,
            $area,
            $level,
            $crate::Kind::$kind,
            &[$($($crate::Capability::$need),*)?],
            &[$($($crate::Hook::$hook),*)?],
            [$summary, $cause],
            |cx| ::std::boxed::Box::pin($name(cx)),
        )),*];
    };
}

/// What [`checks!`](crate::checks) makes of an entry.
#[doc(hidden)]
#[must_use]
#[expect(clippy::too_many_arguments, reason = "only the macro calls it, which has a name for each")]
pub const fn check(
    name: &'static str,
    guarantee: &'static str,
    area: &'static str,
    level: u8,
    kind: Kind,
    needs: &'static [Capability],
    hooks: &'static [Hook],
    [summary, likely_cause]: [&'static str; 2],
    run: fn(Cx) -> BoxFuture<'static, Verdict>,
) -> Check {
    Check { name, guarantee, area, level, kind, needs, hooks, summary, likely_cause, run }
}
