//! What was measured: rows, and the files made of them.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::annalist::Annalist;
use crate::machine::Machine;
use crate::subject::{Result, Subject};
use crate::workload::Case;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// Product and version, for each backend that has a server.
    pub(crate) servers: BTreeMap<&'static str, String>,
    /// How much of the usual volume the workloads handled that are not bounded by time.
    pub(crate) scale_percent: u64,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) workload: &'static str,
    pub(crate) what: &'static str,
    pub(crate) backend: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) tasks: u64,
    pub(crate) processes: u64,
    pub(crate) batch: u64,
    pub(crate) unit: &'static str,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) rounds: usize,
}

impl Row {
    /// `values` has one value per round, and at least one.
    pub(crate) fn new(
        backend: &'static str,
        subject: &'static str,
        case: &Case,
        unit: &'static str,
        mut values: Vec<f64>,
    ) -> Self {
        let Case { workload, what, processes, tasks, batch, .. } = *case;
        values.sort_by(f64::total_cmp);
        let (rounds, min, max) = (values.len(), values[0], values[values.len() - 1]);
        let median = (values[(rounds - 1) / 2] + values[rounds / 2]) / 2.0;
        Self { workload, what, backend, subject, tasks, processes, batch, unit, median, min, max, rounds }
    }

    pub(crate) fn is_annalist(&self) -> bool {
        self.subject == Annalist::NAME
    }

    /// Tasks, of several processes as "4×16".
    pub(crate) fn crowd(&self) -> String {
        match self.processes {
            1 => self.tasks.to_string(),
            processes => format!("{processes}×{}", self.tasks),
        }
    }

    fn same_case(&self, other: &Self) -> bool {
        let key =
            |row: &Self| (row.workload, row.what, row.backend, row.processes, row.tasks, row.batch, row.unit);
        key(self) == key(other)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, backend, subject, batch, unit, median, min, max, .. } = self;
        write!(f, "{backend} {workload:4} tasks={:<4} batch={batch:<6} {subject:8} ", self.crowd())?;
        write!(f, "{} {unit} ({} to {})", number(*median), number(*min), number(*max))
    }
}

impl Report {
    pub(crate) fn new(machine: Machine, scale_percent: u64) -> Self {
        Self { machine, servers: BTreeMap::new(), scale_percent, rows: Vec::new() }
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        std::fs::write(dir.join("bench.json"), serde_json::to_string_pretty(self)?)?;
        std::fs::write(dir.join("bench.md"), self.markdown())?;
        Ok(())
    }

    /// Each measurement of Annalist with that of the raw technology beside it.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Row, &Row)> {
        let ours = self.rows.iter().filter(|row| row.is_annalist());
        ours.filter_map(|our| {
            Some((our, self.rows.iter().find(|row| !row.is_annalist() && row.same_case(our))?))
        })
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("# Benchmark\n\nMade by `cargo xtask bench` on: {}", self.machine.line());
        for server in self.servers.values() {
            // Writing to a string cannot fail, here and below.
            let _ = write!(text, ", {server}");
        }
        text.push_str("\n\nMedians, with the range over all rounds. ");
        text.push_str("Appends are made before the clock starts, on both sides, but in W3 and MISS. ");
        text.push_str("Tasks as 4×16 are those of 4 processes with 16 each.\n\n");
        if self.scale_percent != 100 {
            let _ = writeln!(text, "With {} % of the usual volume.\n", self.scale_percent);
        }
        text.push_str("| workload | backend | what | tasks | batch | unit | annalist | raw | ratio |\n");
        text.push_str("|---|---|---|--:|--:|---|--:|--:|--:|\n");
        for (our, raw) in self.pairs() {
            let Row { workload, backend, what, batch, unit, .. } = our;
            let (tasks, ours, raws) = (our.crowd(), cell(our), cell(raw));
            let ratio =
                if raw.median == 0.0 { "–".to_owned() } else { format!("{:.3}", our.median / raw.median) };
            let _ = writeln!(
                text,
                "| {workload} | {backend} | {what} | {tasks} | {batch} | {unit} | {ours} | {raws} | {ratio} |"
            );
        }
        text
    }

    /// A store that loses events has failed, however fast it was.
    pub(crate) fn verdict(&self) -> Result<()> {
        match self.rows.iter().find(|row| row.is_annalist() && row.unit == "missed" && row.max > 0.0) {
            Some(row) => Err(format!("a tailing reader missed {} events: {row}", row.max).into()),
            None => Ok(()),
        }
    }
}

fn cell(row: &Row) -> String {
    format!("{} ({}–{})", number(row.median), number(row.min), number(row.max))
}

/// Short enough for a table: 3 digits and a unit of thousands.
pub(crate) fn number(value: f64) -> String {
    match value {
        v if v >= 1e7 => format!("{:.1} M", v / 1e6),
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e4 => format!("{:.0} k", v / 1e3),
        v if v >= 100.0 || v.fract() == 0.0 => format!("{v:.0}"),
        v => format!("{v:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Row;
    use crate::workload::CASES;

    #[test]
    fn a_row_has_the_median_and_the_range() {
        let row = Row::new("memory", "raw", &CASES[0], "events/s", vec![5.0, 1.0, 3.0]);
        assert_eq!((row.min, row.median, row.max, row.rounds), (1.0, 3.0, 5.0, 3));
        let row = Row::new("memory", "raw", &CASES[0], "events/s", vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!(row.median, 2.5);
    }
}
