//! What the proof tells: lines for people, `mutants.json` for tools, `mutants.md` for readers.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::soaked::SoakRow;

/// How often a check found a mutant out.
#[derive(Clone, Copy, Serialize)]
pub struct Power {
    pub check: &'static str,
    #[serde(skip)]
    pub counts: bool,
    pub runs: usize,
    pub kills: usize,
}

/// How often a check failed on the honest store.
#[derive(Serialize)]
pub struct Alarm {
    pub check: &'static str,
    pub runs: usize,
    pub alarms: usize,
    pub why: Vec<String>,
}

#[derive(Serialize)]
pub struct MutantRow {
    pub name: &'static str,
    pub guarantee: &'static str,
    pub killed_by: Vec<&'static str>,
    pub runs: usize,
    pub kills: usize,
    pub twin: &'static str,
    pub expected: &'static [&'static str],
    /// Expected checks that did not always fail.
    pub survived: Vec<&'static str>,
    /// Expected checks that do not exist.
    pub unknown: Vec<&'static str>,
    /// What each check that failed observed.
    pub why: Vec<String>,
    /// The detection rates of the checks that tell by chance.
    pub power: Vec<Power>,
}

impl MutantRow {
    fn killed(&self) -> bool {
        self.runs > 0 && self.survived.is_empty() && self.unknown.is_empty()
    }
}

#[derive(Serialize)]
pub struct OddballRow {
    pub name: &'static str,
    pub passed: bool,
    pub failed_checks: Vec<&'static str>,
    pub what: &'static str,
    pub why: Vec<String>,
    pub run: usize,
}

#[derive(Serialize)]
pub struct Outcomes {
    pub mutants: Vec<MutantRow>,
    pub oddballs: Vec<OddballRow>,
    pub checks_without_killer: Vec<&'static str>,
    pub checks_never_passed: Vec<&'static str>,
    /// In many runs: how often each check that tells by chance failed on the honest store.
    pub false_alarms: Vec<Alarm>,
    /// What a soak found out.
    pub soaked: Vec<SoakRow>,
    pub checks: usize,
    /// Whether people want to read what was observed of each mutant, to see that it is found out for the right reason.
    #[serde(skip)]
    pub tell_why: bool,
    /// Whether nothing was filtered out.
    #[serde(skip)]
    pub whole: bool,
}

impl Outcomes {
    /// Mutants killed, oddballs passed, and checks that are seen to fail and seen to pass are the tests of the proof.
    fn counts(&self) -> (usize, usize) {
        let killed = self.mutants.iter().filter(|mutant| mutant.killed()).count();
        let passed = self.oddballs.iter().filter(|oddball| oddball.passed).count();
        // A check counts twice: that it can fail, and that it can pass.
        let checks = if self.whole { 2 * self.checks } else { 0 };
        let good =
            killed + passed + checks - self.checks_without_killer.len() - self.checks_never_passed.len();
        let quiet = self.false_alarms.iter().filter(|row| row.alarms == 0).count();
        let soaked = self.soaked.iter().filter(|row| row.good).count();
        let all =
            self.mutants.len() + self.oddballs.len() + checks + self.false_alarms.len() + self.soaked.len();
        (good + quiet + soaked, all - good - quiet - soaked)
    }

    pub fn proven(&self) -> bool {
        let (good, bad) = self.counts();
        let complete =
            !self.whole || (!self.mutants.is_empty() && !self.oddballs.is_empty() && self.checks > 0);
        good > 0 && bad == 0 && complete
    }

    pub fn print(&self) {
        for mutant in &self.mutants {
            let verdict = if mutant.killed() { "killed  " } else { "SURVIVED" };
            println!("{verdict} {:<44} {}", mutant.name, mutant.killed_by.join(", "));
            for name in &mutant.survived {
                println!("         {name} did not find it out");
            }
            if self.tell_why {
                mutant.why.iter().for_each(|why| println!("         {why}"));
            }
            for name in &mutant.unknown {
                println!("         {name} is no check");
            }
            if mutant.runs == 0 {
                println!("         no check ran on it");
            }
        }
        for oddball in &self.oddballs {
            let verdict = if oddball.passed { "passed  " } else { "FAILED  " };
            println!("{verdict} {:<44} {} checks: {}", oddball.name, oddball.run, oddball.what);
            oddball.why.iter().for_each(|why| println!("         {why}"));
        }
        for name in &self.checks_without_killer {
            println!("NO KILLER {name}: no mutant shows that it can fail");
        }
        for name in &self.checks_never_passed {
            println!("NO PASS   {name}: no honest store shows that it can pass");
        }
        for Alarm { check, runs, alarms, why } in self.false_alarms.iter().filter(|row| row.alarms > 0) {
            println!("ALARM     {check} fails on the honest store in {alarms} of {runs} runs");
            why.iter().for_each(|why| println!("         {why}"));
        }
        for SoakRow { store, what, good, violations } in &self.soaked {
            let verdict = if *good { "soaked  " } else { "FAILED  " };
            println!("{verdict} {store:<44} {what}");
            if !good || self.tell_why {
                violations.iter().for_each(|violation| println!("         {violation}"));
            }
        }
        self.print_power();
        let (good, bad) = self.counts();
        println!("{good} passed, {bad} failed");
    }

    fn print_power(&self) {
        for mutant in self.mutants.iter().filter(|mutant| mutant.runs > 1) {
            for Power { check, kills, runs, .. } in &mutant.power {
                println!("power    {check:<44} finds {} in {kills} of {runs} runs", mutant.name);
            }
        }
    }

    /// Writes `mutants.json` and `mutants.md`.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)?;
        let json = serde_json::to_string_pretty(self)?;
        std::fs::write(dir.join("mutants.json"), json + "\n")?;
        std::fs::write(dir.join("mutants.md"), self.markdown())
    }

    fn markdown(&self) -> String {
        let (good, bad) = self.counts();
        let mut page = format!("# The suite's proof\n\n{good} passed, {bad} failed.\n\n## Broken stores\n\n");
        page += "| store | breaks | as in | found out by | in runs |\n|---|---|---|---|---|\n";
        for mutant in &self.mutants {
            let MutantRow { name, guarantee, twin, killed_by, kills, runs, .. } = mutant;
            let by = if killed_by.is_empty() { "**nothing**".to_owned() } else { killed_by.join(", ") };
            let _ = writeln!(page, "| {name} | {guarantee} | {twin} | {by} | {kills} of {runs} |");
        }
        page += "\n## Honest odd stores\n\n| store | what is odd | checks | failed |\n|---|---|---|---|\n";
        for OddballRow { name, what, run, failed_checks, .. } in &self.oddballs {
            let failed = if failed_checks.is_empty() { "none".to_owned() } else { failed_checks.join(", ") };
            let _ = writeln!(page, "| {name} | {what} | {run} | {failed} |");
        }
        page += "\n## Stores that a soak finds out, and one that it lets pass\n\n| store | found | told |\n|---|---|---|\n";
        for SoakRow { store, what, good, violations } in &self.soaked {
            let found = if *good { *what } else { "**not found**" };
            let told = violations.first().map_or("", String::as_str).replace('|', "\\|");
            let _ = writeln!(page, "| {store} | {found} | {told} |");
        }
        page += "\n## Detection rates of the checks that tell by chance\n\n| check | store | found out |\n|---|---|---|\n";
        for mutant in &self.mutants {
            for Power { check, kills, runs, .. } in &mutant.power {
                let _ = writeln!(page, "| {check} | {} | {kills} of {runs} |", mutant.name);
            }
        }
        let alarms: usize = self.false_alarms.iter().map(|row| row.alarms).sum();
        let runs: usize = self.false_alarms.iter().map(|row| row.runs).sum();
        let _ = writeln!(page, "\nThe same checks failed on the honest store in {alarms} of {runs} runs.");
        page + &listed("Checks that find no broken store out", &self.checks_without_killer)
            + &listed("Checks that pass on no honest store", &self.checks_never_passed)
    }
}

fn listed(title: &str, names: &[&str]) -> String {
    let names = match names {
        [] => "None.\n".to_owned(),
        names => names.iter().map(|name| format!("- {name}\n")).collect(),
    };
    format!("\n## {title}\n\n{names}")
}
