//! What a soak showed.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use serde::Serialize;

/// What a soak showed, as it stands in `report.json`.
///
/// ```no_run
/// let report = annalist_conformance::check_soak(std::path::Path::new("soak"))?;
/// println!("{report}");
/// assert!(report.passed());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct SoakReport {
    /// The name of the backend.
    pub backend: String,
    /// What it works on.
    pub server: String,
    /// What the plan was drawn from.
    pub seed: u64,
    /// How long it took.
    pub seconds: f64,
    /// How many steps a second all clients took together.
    pub rate: u32,
    /// How many workers there were: in this process, in it through a proxy, and in processes of their own.
    pub workers: [u32; 3],
    /// How many operations were begun.
    pub operations: u64,
    /// How many of them have no answer: they were dropped, or their process was killed.
    pub unanswered: u64,
    /// How many events the log has.
    pub events: u64,
    /// How many subscriptions there were.
    pub subscriptions: u64,
    /// How many signals they gave.
    pub signals: u64,
    /// How many operations of each kind were answered in which way.
    pub answers: BTreeMap<String, BTreeMap<String, u64>>,
    /// The faults.
    pub faults: BTreeMap<String, FaultCount>,
    /// The faults that there cannot be, with the reasons.
    pub absent: BTreeMap<String, String>,
    /// How many errors of each kind there were.
    pub failures: BTreeMap<String, u64>,
    /// What breaks the contract.
    pub violations: Vec<String>,
    /// Why it does not show enough.
    pub inconclusive: Vec<String>,
}

/// How often a fault was tried, and how often it is proven that it happened.
///
/// ```
/// use annalist_conformance::FaultCount;
///
/// assert_eq!(FaultCount::default().happened, 0);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct FaultCount {
    /// How often it was tried.
    pub tried: u64,
    /// How often it happened.
    pub happened: u64,
}

impl SoakReport {
    /// Whether nothing breaks the contract, and enough was done to tell.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.violations.is_empty() && self.inconclusive.is_empty()
    }

    /// Writes `report.json` and `report.md` into a folder.
    ///
    /// # Errors
    ///
    /// What the file system refuses.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        std::fs::write(dir.join("report.json"), serde_json::to_string_pretty(self)? + "\n")?;
        std::fs::write(dir.join("report.md"), self.to_string())
    }
}

impl fmt::Display for SoakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [straight, proxied, processes] = self.workers;
        writeln!(f, "# Soak of {} on {}, seed {}\n", self.backend, self.server, self.seed)?;
        writeln!(
            f,
            "{:.0} s, {} steps a second, {straight} workers, {proxied} through a proxy, {processes} in processes of their own",
            self.seconds, self.rate
        )?;
        writeln!(f, "{} operations ({} without an answer)", self.operations, self.unanswered)?;
        writeln!(
            f,
            "{} events, {} subscriptions, {} signals\n",
            self.events, self.subscriptions, self.signals
        )?;
        for (call, answers) in &self.answers {
            let answers: Vec<_> = answers.iter().map(|(answer, count)| format!("{count} {answer}")).collect();
            writeln!(f, "- {call}: {}", answers.join(", "))?;
        }
        let failures: Vec<_> = self.failures.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        writeln!(
            f,
            "- errors: {}",
            if failures.is_empty() { "none".to_owned() } else { failures.join(", ") }
        )?;
        let happened: u64 = self.faults.values().map(|count| count.happened).sum();
        writeln!(f, "\n{happened} faults")?;
        for (kind, FaultCount { tried, happened }) in &self.faults {
            let missed =
                if tried > happened { format!(" of {tried} that were tried") } else { String::new() };
            writeln!(f, "- {kind}: {happened}{missed}")?;
        }
        for (kind, reason) in &self.absent {
            writeln!(f, "- {kind}: n/a, {reason}")?;
        }
        writeln!(f, "\n{} violations", self.violations.len())?;
        self.violations.iter().try_for_each(|violation| writeln!(f, "- {violation}"))?;
        self.inconclusive.iter().try_for_each(|why| writeln!(f, "- inconclusive: {why}"))
    }
}
