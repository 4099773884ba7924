//! `matrix`: the tables in README.md and docs/backends.md, made of what the suite reports.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use lexopt::{Arg, Parser};
use serde::Deserialize;

use crate::Result;
use crate::programs;
use crate::run::root;
use crate::servers::Servers;
use crate::suite::{self, Request};
use crate::workspace::Workspace;

const BEGIN: &str = "<!-- made by `cargo xtask matrix` -->";
const END: &str = "<!-- end -->";

#[derive(Deserialize)]
struct Report {
    backend: String,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    area: String,
    outcome: String,
    reason: String,
}

pub(crate) fn command(mut args: Parser) -> Result<()> {
    let mut only_check = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("check") => only_check = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let workspace = Workspace::load()?;
    let reports = workspace.scratch("suite")?;
    let programs = programs::build(&["--workspace", "--all-features", "--test", suite::TARGET])?;
    let mut servers = Servers::of(&workspace.backends());
    let mut jobs = Vec::new();
    for backend in workspace.backends() {
        let name = backend.backend().expect("a backend is one");
        let mut job = Request::whole(name, &reports).job(suite::program(&programs, backend)?);
        servers.give(&mut job.command)?;
        jobs.push(job);
    }
    programs::run_all(jobs)?;
    if only_check { check(&workspace, &reports) } else { write(&workspace, &reports) }
}

/// Fails where a committed table differs from what the reports say.
pub(crate) fn check(workspace: &Workspace, reports: &Path) -> Result<()> {
    for (file, text) in pages(workspace, reports)? {
        if std::fs::read_to_string(root().join(file))? != text {
            return Err(format!("{file} is out of date; `cargo xtask matrix` writes it").into());
        }
        println!("{file} is up to date");
    }
    Ok(())
}

fn write(workspace: &Workspace, reports: &Path) -> Result<()> {
    for (file, text) in pages(workspace, reports)? {
        std::fs::write(root().join(file), text)?;
        println!("wrote {file}");
    }
    Ok(())
}

/// Each page with its table made anew.
fn pages(workspace: &Workspace, reports: &Path) -> Result<[(&'static str, String); 2]> {
    let mut read = Vec::new();
    for backend in workspace.backends() {
        let name = backend.backend().expect("a backend is one");
        let path = reports.join(name).join("report.json");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        read.push(serde_json::from_str::<Report>(&text)?);
    }
    if let Some(failed) = read.iter().flat_map(|report| &report.checks).find(|check| !is_good(check)) {
        return Err(format!("{} did not hold: a table would show what is not so", failed.name).into());
    }
    let areas = areas(&read);
    let page = |file: &'static str, table: &str| {
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((file, between(file, BEGIN, table)?))
    };
    Ok([page("README.md", &areas)?, page("docs/backends.md", &format!("{areas}\n{}", absences(&read)))?])
}

fn is_good(check: &Check) -> bool {
    matches!(check.outcome.as_str(), "pass" | "not_applicable" | "unverified")
}

/// The text of a page with what stands between a marker and the next end replaced.
pub(crate) fn between(file: &str, begin: &str, table: &str) -> Result<String> {
    let text = std::fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
    let (before, rest) = text.split_once(begin).ok_or_else(|| format!("{file} has no {begin}"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("{file} has no {END}"))?;
    Ok(format!("{before}{begin}\n\n{table}\n{END}{after}"))
}

/// A row for each area, a column for each backend.
fn areas(reports: &[Report]) -> String {
    let mut counts: BTreeMap<&str, BTreeMap<&str, [usize; 3]>> = BTreeMap::new();
    for report in reports {
        for check in &report.checks {
            let cell = counts.entry(&check.area).or_default().entry(&report.backend).or_default();
            cell[match check.outcome.as_str() {
                "pass" => 0,
                "not_applicable" => 1,
                _ => 2,
            }] += 1;
        }
    }
    let mut table = "| area |".to_owned();
    // Writing to a string cannot fail, here and below.
    for report in reports {
        let _ = write!(table, " {} |", report.backend);
    }
    table.push_str("\n|---|");
    table.push_str(&"---|".repeat(reports.len()));
    for (area, by_backend) in counts {
        let _ = write!(table, "\n| {area} |");
        for report in reports {
            let _ = write!(table, " {} |", cell(by_backend.get(report.backend.as_str())));
        }
    }
    table.push('\n');
    table
}

fn cell(counts: Option<&[usize; 3]>) -> String {
    let Some([pass, not_applicable, unverified]) = counts else { return "–".to_owned() };
    let mut parts = vec![format!("{pass} pass")];
    if *not_applicable > 0 {
        parts.push(format!("{not_applicable} n/a"));
    }
    if *unverified > 0 {
        parts.push(format!("{unverified} unverified"));
    }
    parts.join(", ")
}

/// What is not a pass, with its reason.
fn absences(reports: &[Report]) -> String {
    let mut list = String::new();
    for report in reports {
        for check in report.checks.iter().filter(|check| check.outcome != "pass") {
            let outcome = if check.outcome == "unverified" { "unverified" } else { "n/a" };
            let _ = writeln!(
                list,
                "| {} | {} | {outcome} | {} |",
                report.backend,
                check.name,
                check.reason.replace('|', "\\|")
            );
        }
    }
    if list.is_empty() {
        return "Every check passes on every backend.\n".to_owned();
    }
    format!("| backend | check | | reason |\n|---|---|---|---|\n{list}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Vec<Report> {
        let check = |name: &str, area: &str, outcome: &str| Check {
            name: name.to_owned(),
            area: area.to_owned(),
            outcome: outcome.to_owned(),
            reason: "a | b".to_owned(),
        };
        let checks = vec![
            check("append.one", "append", "pass"),
            check("append.two", "append", "not_applicable"),
            check("res.kill", "res", "unverified"),
        ];
        vec![Report { backend: "memory".to_owned(), checks }]
    }

    #[test]
    fn the_table_counts_per_area() {
        let table = areas(&report());
        assert_eq!(
            table,
            "| area | memory |\n|---|---|\n| append | 1 pass, 1 n/a |\n| res | 0 pass, 1 unverified |\n"
        );
    }

    #[test]
    fn what_is_no_pass_is_listed_with_its_reason() {
        let list = absences(&report());
        assert!(
            list.contains("| memory | append.two | n/a | a \\| b |")
                && list.contains("| memory | res.kill | unverified |")
        );
    }
}
