//! What a run found.

mod files;

use std::fmt;
use std::io;
use std::path::Path;
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
    /// The sentence of the contract.
    pub summary: &'static str,
    /// What kind of store fails it.
    pub likely_cause: &'static str,
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
        let Check { name, guarantee, area, level, kind, summary, likely_cause, .. } = check;
        let (millis, kind) = (u64::try_from(took.as_millis()).unwrap_or(u64::MAX), kind.to_string());
        Self {
            name,
            guarantee,
            area,
            level,
            outcome,
            reason,
            millis,
            kind,
            ops,
            violations,
            summary,
            likely_cause,
        }
    }

    /// What the author of a backend needs to know of a failure: the property, what was observed, what it may come from,
    /// and how to see it again.
    pub(crate) fn told(&self, rerun: &Rerun) -> String {
        /// More of them rarely tell more.
        const OBSERVED_MAX: usize = 12;
        let Self { name, guarantee, summary, likely_cause, .. } = self;
        let mut text = format!("{name} ({guarantee}): {summary}\n");
        let all =
            if self.violations.is_empty() { std::slice::from_ref(&self.reason) } else { &self.violations };
        all.iter().take(OBSERVED_MAX).for_each(|observed| text += &format!("  observed: {observed}\n"));
        if all.len() > OBSERVED_MAX {
            text += &format!("  … and {} more\n", all.len() - OBSERVED_MAX);
        }
        text + &format!("  likely cause: {likely_cause}\n  run it again: {}", rerun.command(name))
    }
}

/// What it takes to run a check again as it ran: the seed, and the package whose test target it was, where it was one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rerun {
    pub(crate) seed: u64,
    pub(crate) package: Option<&'static str>,
}

impl Rerun {
    fn command(self, name: &str) -> String {
        let package = self.package.map_or(String::new(), |package| format!("-p {package} "));
        format!("ANNALIST_SUITE_SEED={} cargo test {package}--test conformance -- --exact {name}", self.seed)
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
    /// The package whose test target runs the suite, where it is one.
    #[serde(skip)]
    pub(crate) package: Option<&'static str>,
}

impl Report {
    pub(crate) fn new(backend: &str, server: &str, seed: u64, checks: Vec<CheckResult>) -> Self {
        Self { backend: backend.to_owned(), server: server.to_owned(), seed, checks, package: None }
    }

    /// Writes `report.json`, `junit.xml` and `report.md` into a folder, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// What the file system refuses.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        files::write(self, dir)
    }

    /// The checks by which the run fails.
    pub fn failures(&self) -> impl Iterator<Item = &CheckResult> {
        self.checks.iter().filter(|check| check.outcome.is_failure())
    }

    pub(crate) fn rerun(&self) -> Rerun {
        Rerun { seed: self.seed, package: self.package }
    }

    /// The counts in a line.
    #[must_use]
    pub fn summary(&self) -> String {
        let (passed, failed) = (self.count(Outcome::Pass), self.failures().count());
        let (absent, unverified) = (self.count(Outcome::NotApplicable), self.count(Outcome::Unverified));
        format!(
            "{}: {passed} passed, {failed} failed, {absent} not applicable, {unverified} unverified",
            self.backend
        )
    }

    /// Whether something ran, and nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && self.failures().next().is_none()
    }

    /// How many checks came out so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }
}

/// A table of all checks, what is to be known of each failure, and the counts.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let CheckResult { name, guarantee, millis, .. } = check;
            write!(f, "{:<15} {name:<44} {guarantee:<4} {millis:>6} ms", check.outcome.name())?;
            match check.outcome {
                Outcome::NotApplicable | Outcome::Unverified => writeln!(f, "  {}", check.reason)?,
                _ => writeln!(f)?,
            }
        }
        self.failures().try_for_each(|check| writeln!(f, "\n{}", check.told(&self.rerun())))?;
        write!(f, "{}", self.summary())
    }
}
