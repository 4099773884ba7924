//! What a run found.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::{Check, Failure, Verdict};

/// How a check came out.
///
/// ```
/// use annalist_conformance::Outcome;
///
/// assert!(Outcome::Inconclusive.is_failure());
/// assert!(!Outcome::Unverified.is_failure());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It held.
    Pass,
    /// It did not.
    Fail,
    /// The store declares that it does not do this, with the reason.
    NotApplicable,
    /// The harness lacks a hook.
    Unverified,
    /// The check did not do enough to tell; counts as a failure.
    Inconclusive,
}

impl Outcome {
    /// Whether the run fails by it.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Fail | Self::Inconclusive)
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotApplicable => "not_applicable",
            Self::Unverified => "unverified",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// How one check came out, as it stands in `report.json`.
///
/// ```
/// use annalist_conformance::{CheckResult, Outcome};
///
/// fn shown(result: &CheckResult) -> String {
///     format!("{} {}", result.name, result.outcome.name())
/// }
/// # let _ = (shown, Outcome::Pass);
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CheckResult {
    /// The check's name.
    pub name: &'static str,
    /// The guarantee that it carries.
    pub guarantee: &'static str,
    /// Its area.
    pub area: &'static str,
    /// Its level.
    pub level: u8,
    /// How it came out.
    pub outcome: Outcome,
    /// Why, unless it passed.
    pub reason: String,
    /// How long it took.
    pub millis: u64,
    /// How it tells: deterministic, stochastic, sweep or model.
    pub kind: String,
    /// The operations that it counted.
    pub ops: u64,
    /// What was observed, where it failed.
    pub violations: Vec<String>,
}

impl CheckResult {
    pub(crate) fn new(check: Check, verdict: Verdict, took: Duration, ops: u64) -> Self {
        let (outcome, reason, violations) = match verdict {
            Ok(()) => (Outcome::Pass, String::new(), Vec::new()),
            Err(Failure::Violated(violations)) => (Outcome::Fail, violations.join("; "), violations),
            Err(Failure::Unverified(hook)) => {
                (Outcome::Unverified, format!("the harness has no hook `{hook}`"), Vec::new())
            }
            Err(Failure::NotApplicable(reason)) => (Outcome::NotApplicable, reason, Vec::new()),
            Err(Failure::Inconclusive(reason)) => (Outcome::Inconclusive, reason, Vec::new()),
        };
        let Check { name, guarantee, area, level, kind, .. } = check;
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self {
            name,
            guarantee,
            area,
            level,
            outcome,
            reason,
            millis,
            kind: kind.to_string(),
            ops,
            violations,
        }
    }
}

/// What a run found, as it stands in `report.json`.
///
/// ```
/// use annalist_conformance::Report;
///
/// fn told(report: &Report) {
///     println!("{report}");
/// }
/// # let _ = told;
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The name of the backend.
    pub backend: String,
    /// What it worked on.
    pub server: String,
    /// The master seed.
    pub seed: u64,
    /// Each check, in the order of the registry.
    pub checks: Vec<CheckResult>,
}

impl Report {
    /// Whether something ran, and nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && !self.checks.iter().any(|check| check.outcome.is_failure())
    }

    /// How many checks came out so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            write!(
                f,
                "{:<15} {:<44} {:<4} {:>6} ms",
                check.outcome.name(),
                check.name,
                check.guarantee,
                check.millis
            )?;
            writeln!(f, "{}{}", if check.reason.is_empty() { "" } else { "  " }, check.reason)?;
        }
        let passed = self.count(Outcome::Pass);
        let failed = self.checks.iter().filter(|check| check.outcome.is_failure()).count();
        let (absent, unverified) = (self.count(Outcome::NotApplicable), self.count(Outcome::Unverified));
        write!(
            f,
            "{}: {passed} passed, {failed} failed, {absent} not applicable, {unverified} unverified",
            self.backend
        )
    }
}
