//! What the proof is asked to do.

use std::path::PathBuf;

/// What the proof is asked to do. Without any filter it is the whole proof.
#[derive(Debug)]
pub struct Options {
    pub mutants: Vec<String>,
    pub oddballs: Vec<String>,
    pub checks: Vec<String>,
    /// Stores that are soaked.
    pub soaks: Vec<String>,
    /// Runs every check on every mutant, not only the expected ones.
    pub full: bool,
    /// How often each check that tells by chance runs on each of its mutants.
    pub runs: usize,
    pub report: Option<PathBuf>,
    pub seed: u64,
    /// Asked for by tools that list tests; nothing runs then.
    pub list: bool,
}

impl Options {
    /// Reads the arguments. What is not known is left to the test tools that give it, such as `--nocapture`.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let seed = annalist_conformance::Settings::default().seed;
        let (mutants, oddballs, checks, soaks) = Default::default();
        let mut options =
            Self { mutants, oddballs, checks, soaks, full: false, runs: 1, report: None, seed, list: false };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            let number =
                |text: String| text.parse::<u64>().map_err(|_| format!("{arg} needs a number, not {text}"));
            match arg.as_str() {
                "--mutant" => options.mutants.push(value()?),
                "--oddball" => options.oddballs.push(value()?),
                "--check" => options.checks.push(value()?),
                "--soak" => options.soaks.push(value()?),
                "--full" => options.full = true,
                "--runs" => {
                    options.runs = usize::try_from(number(value()?)?).map_err(|_| "too many runs")?.max(1)
                }
                "--seed" => options.seed = number(value()?)?,
                "--report" => options.report = Some(value()?.into()),
                "--list" => options.list = true,
                _ => {}
            }
        }
        Ok(options)
    }

    /// Whether nothing is left out, so that it can be told that a check has no killer.
    pub fn is_whole(&self) -> bool {
        self.mutants.is_empty() && self.oddballs.is_empty() && self.checks.is_empty() && self.soaks.is_empty()
    }

    pub fn wants_soak(&self, name: &str) -> bool {
        self.is_whole() || self.soaks.iter().any(|wanted| wanted == name)
    }

    pub fn wants_check(&self, name: &str) -> bool {
        self.checks.is_empty() || self.checks.iter().any(|wanted| wanted == name)
    }

    pub fn wants_mutant(&self, name: &str) -> bool {
        if self.mutants.is_empty() {
            self.oddballs.is_empty() && self.soaks.is_empty()
        } else {
            self.mutants.iter().any(|wanted| wanted == name)
        }
    }

    pub fn wants_oddball(&self, name: &str) -> bool {
        if self.oddballs.is_empty() {
            self.mutants.is_empty() && self.soaks.is_empty()
        } else {
            self.oddballs.iter().any(|wanted| wanted == name)
        }
    }
}
