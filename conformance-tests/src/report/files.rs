//! The files that a run leaves: `report.json` for tools, `junit.xml` for CI, `report.md` for readers.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::{CheckResult, Outcome, Report};

pub(super) fn write(report: &Report, dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("report.json"), serde_json::to_string_pretty(report)? + "\n")?;
    std::fs::write(dir.join("junit.xml"), junit(report))?;
    std::fs::write(dir.join("report.md"), markdown(report))
}

/// The form that CI systems read, after the schema of the Surefire plugin.
fn junit(report: &Report) -> String {
    let failures = report.failures().count();
    let skipped = report.count(Outcome::NotApplicable) + report.count(Outcome::Unverified);
    let seconds = |millis: u64| millis as f64 / 1000.0;
    let total = seconds(report.checks.iter().map(|check| check.millis).sum());
    let (backend, tests) = (xml(&report.backend), report.checks.len());
    let mut page = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts = format!(
        "tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{total}\""
    );
    let _ = writeln!(page, "<testsuites>\n  <testsuite name=\"{backend}\" {counts}>");
    let (server, seed) = (xml(&report.server), report.seed);
    let _ = writeln!(page, "    <properties>\n      <property name=\"server\" value=\"{server}\"/>");
    let _ = writeln!(page, "      <property name=\"seed\" value=\"{seed}\"/>\n    </properties>");
    for check in &report.checks {
        let (name, area, time) = (xml(check.name), xml(check.area), seconds(check.millis));
        let _ = write!(page, "    <testcase classname=\"{backend}.{area}\" name=\"{name}\" time=\"{time}\"");
        page += &match check.outcome {
            Outcome::Pass => "/>\n".to_owned(),
            Outcome::NotApplicable | Outcome::Unverified => {
                let message = xml(&format!("{}: {}", check.outcome.name(), check.reason));
                format!(">\n      <skipped message=\"{message}\"/>\n    </testcase>\n")
            }
            Outcome::Fail | Outcome::Inconclusive => {
                let (kind, message) = (check.outcome.name(), xml(&check.reason));
                let text = xml(&check.told(&report.rerun()));
                format!(
                    ">\n      <failure type=\"{kind}\" message=\"{message}\">{text}</failure>\n    </testcase>\n"
                )
            }
        };
    }
    page + "  </testsuite>\n</testsuites>\n"
}

/// Text as it can stand in XML, also within quotes; what XML cannot hold at all becomes U+FFFD.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\n' => escaped += "&#10;",
            '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

fn markdown(report: &Report) -> String {
    let Report { backend, server, seed, checks, .. } = report;
    let mut page = format!("# Conformance of {backend}\n\nOn {server}, seed {seed}.\n\n");
    let _ = writeln!(page, "**{}**\n", report.summary());
    page += &areas(checks);
    page += &failures(report);
    page += &listed(checks, Outcome::NotApplicable, "Not applicable");
    page += &listed(checks, Outcome::Unverified, "Unverified");
    page += "\n## Every check\n\n| check | guarantee | level | outcome | ms | what it holds the store to |\n|---|---|---|---|---|---|\n";
    for CheckResult { name, guarantee, level, outcome, millis, summary, .. } in checks {
        let _ = writeln!(
            page,
            "| {name} | {guarantee} | {level} | {} | {millis} | {} |",
            outcome.name(),
            cell(summary)
        );
    }
    page
}

/// Text as it can stand in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn areas(checks: &[CheckResult]) -> String {
    let mut names: Vec<&str> = checks.iter().map(|check| check.area).collect();
    names.dedup();
    let mut page =
        "| area | pass | fail | inconclusive | not applicable | unverified |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for area in names {
        let count =
            |outcome| checks.iter().filter(|check| check.area == area && check.outcome == outcome).count();
        let counts = [
            Outcome::Pass,
            Outcome::Fail,
            Outcome::Inconclusive,
            Outcome::NotApplicable,
            Outcome::Unverified,
        ];
        let counts = counts.map(|outcome| count(outcome).to_string()).join(" | ");
        let _ = writeln!(page, "| {area} | {counts} |");
    }
    page
}

fn failures(report: &Report) -> String {
    let mut page = String::new();
    for check in report.failures() {
        let _ = writeln!(
            page,
            "\n## {} {}\n\n```text\n{}\n```",
            check.outcome.name(),
            check.name,
            check.told(&report.rerun())
        );
    }
    page
}

fn listed(checks: &[CheckResult], outcome: Outcome, title: &str) -> String {
    let mut page = String::new();
    for check in checks.iter().filter(|check| check.outcome == outcome) {
        if page.is_empty() {
            let _ = write!(page, "\n## {title}\n\n| check | reason |\n|---|---|\n");
        }
        let _ = writeln!(page, "| {} | {} |", check.name, cell(&check.reason));
    }
    page
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Failure, Verdict};

    fn report() -> Report {
        let verdicts: [Verdict; 5] = [
            Ok(()),
            Err(Failure::violation("a < b & \"c\"\u{1}")),
            Err(Failure::NotApplicable("no | pipe".to_owned())),
            Err(Failure::Unverified(crate::Hook::Rewind)),
            Err(Failure::Inconclusive("too little".to_owned())),
        ];
        let checks = crate::all().into_iter().cycle();
        let results = checks
            .zip(verdicts)
            .map(|(check, verdict)| CheckResult::new(check, verdict, Duration::from_millis(3), 9));
        Report::new("memory", "in process", 7, results.collect())
    }

    #[test]
    fn json_has_the_promised_fields() {
        let json: serde_json::Value = serde_json::to_value(report()).expect("a report is JSON");
        assert_eq!((&json["backend"], &json["seed"]), (&"memory".into(), &7.into()));
        let outcomes: Vec<_> =
            json["checks"].as_array().expect("a list").iter().map(|check| &check["outcome"]).collect();
        assert_eq!(outcomes, ["pass", "fail", "not_applicable", "unverified", "inconclusive"]);
        for field in ["name", "guarantee", "area", "level", "outcome", "reason", "millis"] {
            assert!(!json["checks"][1][field].is_null(), "{field} is missing");
        }
    }

    #[test]
    fn xml_is_escaped_and_counted() {
        let xml = junit(&report());
        assert!(xml.contains("tests=\"5\" failures=\"2\" errors=\"0\" skipped=\"2\""), "{xml}");
        assert!(xml.contains("message=\"a &lt; b &amp; &quot;c&quot;\u{fffd}\""), "{xml}");
        assert_eq!(xml.matches("<testcase").count(), 5);
    }

    #[test]
    fn markdown_shows_what_is_not_a_pass() {
        let page = markdown(&report());
        assert!(page.contains("no \\| pipe") && page.contains("the harness has no hook `rewind`"), "{page}");
        assert!(page.contains("run it again"), "{page}");
    }
}
