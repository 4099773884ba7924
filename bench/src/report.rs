//! What was measured: rows, and the file that holds them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::annalist::Annalist;
use crate::machine::Machine;
use crate::subject::{Result, Subject};
use crate::workload::Case;

const FILE: &str = "bench.json";

/// Ours while it is measured, the file's once it is read again.
type Text = Cow<'static, str>;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// Product and version, for each backend that has a server.
    pub(crate) servers: BTreeMap<String, String>,
    /// How much of the usual volume the workloads handled that are not bounded by time.
    pub(crate) scale_percent: u64,
    /// How each backend was measured.
    #[serde(default)]
    pub(crate) runs: BTreeMap<String, Run>,
    pub(crate) rows: Vec<Row>,
}

/// How a backend was measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) date: String,
    pub(crate) scale_percent: u64,
    /// For how long the workloads ran that are bounded by time.
    pub(crate) seconds: f64,
    /// What both sides did so that nothing is lost.
    pub(crate) durability: String,
    /// Whether it was built as for release.
    pub(crate) optimised: bool,
    /// Of 4 KiB each, by the disk with the data, where that is known.
    pub(crate) flushes_per_second: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) workload: Text,
    pub(crate) what: Text,
    pub(crate) backend: Text,
    pub(crate) subject: Text,
    pub(crate) tasks: u64,
    pub(crate) processes: u64,
    pub(crate) batch: u64,
    pub(crate) unit: Text,
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
        let [workload, what, backend, subject, unit] =
            [workload, what, backend, subject, unit].map(Cow::Borrowed);
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

    /// Whatever the backend and the side.
    pub(crate) fn same_case(&self, other: &Self) -> bool {
        (self.processes, self.tasks, self.batch) == (other.processes, other.tasks, other.batch)
            && (&self.workload, &self.unit) == (&other.workload, &other.unit)
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
        Self { machine, servers: BTreeMap::new(), scale_percent, runs: BTreeMap::new(), rows: Vec::new() }
    }

    /// What was left in a folder.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let text = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        Ok(std::fs::write(dir.join(FILE), serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Takes over what an earlier run on this machine has of backends that this one has not measured.
    pub(crate) fn keep(&mut self, earlier: Self) -> Result<()> {
        if !self.machine.is(&earlier.machine) {
            return Err("the earlier figures are of another machine, and cannot stand beside these".into());
        }
        let is_new = |backend: &str| self.runs.contains_key(backend);
        let rows = earlier.rows.into_iter().filter(|row| !is_new(&row.backend)).collect();
        let measured = std::mem::replace(&mut self.rows, rows);
        self.rows.extend(measured);
        for (backend, server) in earlier.servers {
            self.servers.entry(backend).or_insert(server);
        }
        for (backend, run) in earlier.runs {
            self.runs.entry(backend).or_insert(run);
        }
        Ok(())
    }

    /// Each measurement of Annalist with that of the raw technology beside it.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Row, &Row)> {
        let ours = self.rows.iter().filter(|row| row.is_annalist());
        ours.filter_map(|our| {
            let is_beside =
                |row: &&Row| !row.is_annalist() && row.backend == our.backend && row.same_case(our);
            Some((our, self.rows.iter().find(is_beside)?))
        })
    }

    /// A store that loses events has failed, however fast it was.
    pub(crate) fn verdict(&self) -> Result<()> {
        match self.rows.iter().find(|row| row.is_annalist() && row.unit == "missed" && row.max > 0.0) {
            Some(row) => Err(format!("a tailing reader missed {} events: {row}", row.max).into()),
            None => Ok(()),
        }
    }
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
    use super::*;
    use crate::workload::CASES;

    #[test]
    fn a_row_has_the_median_and_the_range() {
        let row = Row::new("memory", "raw", &CASES[0], "events/s", vec![5.0, 1.0, 3.0]);
        assert_eq!((row.min, row.median, row.max, row.rounds), (1.0, 3.0, 5.0, 3));
        let row = Row::new("memory", "raw", &CASES[0], "events/s", vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!(row.median, 2.5);
    }
    fn report(backend: &'static str, value: f64) -> Report {
        let mut report = Report::new(Machine::here(), 100);
        report.rows.push(Row::new(backend, "annalist", &CASES[0], "events/s", vec![value]));
        let run = Run {
            date: String::new(),
            scale_percent: 100,
            seconds: 10.0,
            durability: String::new(),
            optimised: true,
            flushes_per_second: None,
        };
        report.runs.insert(backend.to_owned(), run);
        report
    }

    #[test]
    fn what_is_measured_again_takes_the_place_of_what_was() {
        let mut new = report("sqlite", 2.0);
        new.keep(report("memory", 1.0)).expect("it is this machine");
        new.keep(report("sqlite", 1.0)).expect("it is this machine");
        let medians: Vec<_> = new.rows.iter().map(|row| (&*row.backend, row.median)).collect();
        assert_eq!(medians, [("memory", 1.0), ("sqlite", 2.0)]);
        assert_eq!(new.runs.len(), 2);
    }
}
