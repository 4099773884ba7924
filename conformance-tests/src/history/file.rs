//! Histories as JSON lines: one line for each operation, then one for each event of the log.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{History, LogEvent, Operation};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Operation(Operation),
    Event(LogEvent),
}

impl History {
    /// Writes the history into a file, to be checked again later.
    ///
    /// # Errors
    ///
    /// What the file system refuses.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(file)?);
        let operations = self.operations.iter().cloned().map(Line::Operation);
        for line in operations.chain(self.log.iter().cloned().map(Line::Event)) {
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Reads a history that was saved.
    ///
    /// # Errors
    ///
    /// What the file system refuses, and lines that are not of a history.
    pub fn load(file: &Path) -> io::Result<Self> {
        let mut history = Self::default();
        for line in BufReader::new(File::open(file)?).lines() {
            match serde_json::from_str(&line?)? {
                Line::Operation(operation) => history.operations.push(operation),
                Line::Event(event) => history.log.push(event),
            }
        }
        Ok(history)
    }
}
