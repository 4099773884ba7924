//! Histories as JSON lines: one line for each operation, then one for each subscription and each event of the log. Where they are written while
//! they happen, there is a line for each call, return and signal instead.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::merge::{Merged, Noted};
use super::{Followed, History, LogEvent, Operation};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    Operation(Operation),
    Followed(Followed),
    Noted(Noted),
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
        let followed = self.followed.iter().cloned().map(Line::Followed);
        for line in operations.chain(followed).chain(self.log.iter().cloned().map(Line::Event)) {
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
        let mut read = Merged::default();
        let log = read_lines(file, &mut read)?;
        Ok(Self { log, ..read.history() })
    }
}

/// Reads the lines of a file; the events of the log are given. A last line that was cut off was not written.
pub(crate) fn read_lines(file: &Path, into: &mut Merged) -> io::Result<Vec<LogEvent>> {
    let (mut log, mut lines) = (Vec::new(), BufReader::new(File::open(file)?));
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        match serde_json::from_str(&line) {
            Ok(Line::Operation(operation)) => into.add(operation),
            Ok(Line::Followed(followed)) => into.add_followed(followed),
            Ok(Line::Noted(noted)) => into.note(noted),
            Ok(Line::Event(event)) => log.push(event),
            Err(_) if !line.ends_with('\n') => {}
            Err(error) => return Err(error.into()),
        }
        line.clear();
    }
    Ok(log)
}
