//! The page that shows what was measured: made of a report alone, so that it can be made again without measuring.

use std::fmt::Write as _;
use std::path::Path;

use crate::chart;
use crate::report::{Report, Row, Run, number};
use crate::subject::Result;

/// Writes the page and its charts.
pub(crate) fn write(report: &Report, dir: &Path) -> Result<()> {
    std::fs::write(dir.join("bench.md"), markdown(report))?;
    chart::write(report, dir)
}

pub(crate) fn markdown(report: &Report) -> String {
    let mut page = format!("# Benchmark\n\nMade by `cargo xtask bench` on: {}.\n\n", report.machine.line());
    page.push_str("Medians, with the range over all rounds. ");
    page.push_str("Appends are made before the clock starts, on both sides, but in W3 and MISS. ");
    page.push_str("Tasks as 4×16 are those of 4 processes with 16 each.\n");
    let backends = backends(report);
    glance(&mut page, report, &backends);
    for backend in backends {
        section(&mut page, report, backend);
    }
    page
}

/// In the order in which they were measured.
fn backends(report: &Report) -> Vec<&str> {
    let mut backends: Vec<&str> = Vec::new();
    for (our, _) in report.pairs() {
        if !backends.contains(&&*our.backend) {
            backends.push(&our.backend);
        }
    }
    backends
}

/// A row for each case, a column for each backend. Writing to a string cannot fail, here and below.
fn glance(page: &mut String, report: &Report, backends: &[&str]) {
    page.push_str("\n## At a glance\n\nAnnalist, and in brackets the ratio to the raw technology: above 1 is more events, or more microseconds.\n\n");
    page.push_str("| workload | what | tasks | batch | unit |");
    for backend in backends {
        let _ = write!(page, " {backend} |");
    }
    let _ = writeln!(page, "\n|---|---|--:|--:|---|{}", "--:|".repeat(backends.len()));
    let pairs: Vec<_> = report.pairs().collect();
    for (place, (case, _)) in pairs.iter().enumerate() {
        if pairs[..place].iter().any(|(before, _)| before.same_case(case)) {
            continue;
        }
        let Row { workload, what, batch, unit, .. } = case;
        let _ = write!(page, "| {workload} | {what} | {} | {batch} | {unit} |", case.crowd());
        for backend in backends {
            let found = pairs.iter().find(|(our, _)| our.backend == *backend && our.same_case(case));
            let cell = found.map_or("–".to_owned(), |(our, raw)| match ratio(our, raw) {
                Some(ratio) => format!("{} ({ratio:.2})", number(our.median)),
                None => number(our.median),
            });
            let _ = write!(page, " {cell} |");
        }
        page.push('\n');
    }
}

fn section(page: &mut String, report: &Report, backend: &str) {
    let _ = writeln!(page, "\n## {backend}\n");
    if let Some(run) = report.runs.get(backend) {
        let _ = writeln!(page, "{}\n", told(run, report.servers.get(backend).map(String::as_str)));
    }
    let pairs: Vec<_> = report.pairs().filter(|(our, _)| our.backend == backend).collect();
    if pairs.iter().any(|(our, _)| chart::shows(our)) {
        let _ = writeln!(page, "![{backend} beside the raw technology]({})\n", chart::file(backend));
    }
    page.push_str("| workload | what | tasks | batch | unit | annalist | raw | ratio |\n|---|---|--:|--:|---|--:|--:|--:|\n");
    for (our, raw) in pairs {
        let Row { workload, what, batch, unit, .. } = our;
        let (tasks, ours, raws) = (our.crowd(), cell(our), cell(raw));
        let ratio = ratio(our, raw).map_or("–".to_owned(), |ratio| format!("{ratio:.3}"));
        let _ = writeln!(
            page,
            "| {workload} | {what} | {tasks} | {batch} | {unit} | {ours} | {raws} | {ratio} |"
        );
    }
}

fn told(run: &Run, server: Option<&str>) -> String {
    let Run { date, scale_percent, seconds, durability, optimised, flushes_per_second } = run;
    let mut told = server.map_or(String::new(), |server| format!("{server}. "));
    let _ = write!(told, "Durability: {durability}.");
    if let Some(rate) = flushes_per_second {
        let _ = write!(
            told,
            " The disk below flushed {} blocks of 4 KiB a second, one after the other.",
            number(*rate)
        );
    }
    let _ = write!(
        told,
        " Measured on {date}, {seconds} s for what is bounded by time, {scale_percent} % of the usual volume for the rest."
    );
    if !optimised {
        told.push_str(" **Not built for release: it shows that the workloads work, and measures nothing.**");
    }
    told
}

fn ratio(our: &Row, raw: &Row) -> Option<f64> {
    (raw.median != 0.0).then(|| our.median / raw.median)
}

fn cell(row: &Row) -> String {
    format!("{} ({}–{})", number(row.median), number(row.min), number(row.max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::workload::CASES;

    #[test]
    fn every_backend_has_its_column_and_its_section() {
        let mut report = Report::new(Machine::here(), 100);
        for (backend, ours) in [("memory", 10.0), ("sqlite", 4.0)] {
            report.rows.push(Row::new(backend, "annalist", &CASES[0], "events/s", vec![ours]));
            report.rows.push(Row::new(backend, "raw", &CASES[0], "events/s", vec![5.0]));
        }
        let page = markdown(&report);
        assert!(page.contains("| 10 (2.00) | 4 (0.80) |"), "{page}");
        assert!(page.contains("## memory") && page.contains("](bench-sqlite.svg)"));
    }
}
