//! What the consumer makes of the events, and how it is told.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use annalist::RecordedEvent;

use crate::record::History;

/// Who did how much, which files changed most, and when.
#[derive(Default)]
pub struct Summary {
    commits: u64,
    changes: u64,
    authors: HashMap<String, Author>,
    files: HashMap<String, File>,
    years: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Author {
    name: String,
    commits: u64,
    files: u64,
}

#[derive(Default)]
struct File {
    changes: u64,
    added: u64,
    removed: u64,
}

/// The widest bar, in characters.
const BAR_MAX: u64 = 30;

impl Summary {
    pub fn add(&mut self, event: &RecordedEvent) -> annalist::Result<()> {
        match event.decode()? {
            Some(History::Committed { author, date, files, .. }) => {
                self.commits += 1;
                let known = self.authors.entry(event.stream().to_string()).or_default();
                known.name = author;
                known.commits += 1;
                known.files += files as u64;
                let year = date.split('-').next().unwrap_or_default();
                *self.years.entry(year.to_owned()).or_default() += 1;
            }
            Some(History::FileChanged { path, added, removed, .. }) => {
                self.changes += 1;
                let file = self.files.entry(path).or_default();
                file.changes += 1;
                file.added += added;
                file.removed += removed;
            }
            // A type that this program does not know: another one may have written it.
            None => {}
        }
        Ok(())
    }

    /// The whole as text, with at most `top` rows in each table.
    pub fn told(&self, top: usize) -> String {
        let (commits, changes, files) = (self.commits, self.changes, self.files.len());
        let authors = self.authors.len();
        let mut text =
            format!("{commits} commits by {authors} authors, {changes} changes to {files} files\n");
        let author = |author: &Author| format!("{} ({} changes)", author.name, author.files);
        table(&mut text, "Authors by commits", top, self.authors.values().map(|a| (a.commits, author(a))));
        let file = |path: &str, file: &File| format!("{path} (+{} −{})", file.added, file.removed);
        let files = self.files.iter().map(|(path, of)| (of.changes, file(path, of)));
        table(&mut text, "Files by changes", top, files);
        let years = self.years.iter().map(|(year, commits)| (*commits, year.clone()));
        rows(&mut text, "Commits by year", years.collect());
        text
    }
}

fn table(text: &mut String, title: &str, top: usize, all: impl Iterator<Item = (u64, String)>) {
    let mut ranked: Vec<_> = all.collect();
    // Most first; equals by name, so that two runs tell the same.
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    ranked.truncate(top);
    rows(text, title, ranked);
}

fn rows(text: &mut String, title: &str, rows: Vec<(u64, String)>) {
    let most = rows.iter().map(|(count, _)| *count).max().unwrap_or(0).max(1);
    let bars = BAR_MAX as usize;
    let _ = writeln!(text, "\n{title}");
    for (count, label) in rows {
        let bar = "█".repeat((count * BAR_MAX).div_ceil(most) as usize);
        let _ = writeln!(text, "{count:>8}  {bar:<bars$}  {label}");
    }
}
