//! What becomes of a commit: events, in the streams of its author and of its files.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use annalist::{Append, EventId, ExpectedVersion, Limits, NewEvent, Receipt, StreamId};
use serde::{Deserialize, Serialize};

use crate::git::{Change, Commit};

/// What happened: the variant's name is the event's type.
#[derive(Serialize, Deserialize, Debug)]
pub enum History {
    /// In the author's stream.
    Committed { commit: String, author: String, date: String, subject: String, files: usize },
    /// In the file's stream.
    FileChanged { commit: String, path: String, added: u64, removed: u64 },
}

/// The appends that a commit becomes: one, or several where it touches more streams than one append can write everywhere.
///
/// They are split by the limits that every backend has, not by those of the one at hand: the same commit must become the same
/// appends always, or recording it again would not be a retry.
pub fn appends(commit: &Commit) -> annalist::Result<Vec<Append>> {
    let writes = writes(commit)?;
    let split = writes.chunks(Limits::FLOOR.streams_per_append);
    let appends = split.map(|part| {
        let add = |append: Append, (stream, event): &(StreamId, NewEvent)| {
            append.write(stream, ExpectedVersion::Any, [event.clone()])
        };
        part.iter().fold(Append::new(), add)
    });
    Ok(appends.collect())
}

fn writes(commit: &Commit) -> annalist::Result<Vec<(StreamId, NewEvent)>> {
    let author = stream("Author", &commit.email);
    let committed = History::Committed {
        commit: commit.hash.clone(),
        author: commit.author.clone(),
        date: commit.date.clone(),
        subject: commit.subject.clone(),
        files: commit.changes.len(),
    };
    let mut writes = vec![(author, NewEvent::of(&committed)?)];
    // Two paths that are not UTF-8 can look the same; a stream is written once in an append.
    let mut seen = HashSet::new();
    for Change { path, added, removed } in &commit.changes {
        let stream = stream("File", path);
        if seen.insert(stream.clone()) {
            let (commit, path) = (commit.hash.clone(), path.clone());
            let changed = History::FileChanged { commit, path, added: *added, removed: *removed };
            writes.push((stream, NewEvent::of(&changed)?));
        }
    }
    // The ids come from the commit: the same on every machine and in every run.
    let with_id = |(n, (stream, event)): (u32, (StreamId, NewEvent))| {
        (stream, event.with_id(EventId::derived(&commit.hash, n)))
    };
    Ok((0..).zip(writes).map(with_id).collect())
}

/// `File-src/lib.rs`; a name that is too long for a stream or has control characters is replaced by a short one made of it.
fn stream(category: &str, name: &str) -> StreamId {
    StreamId::new(format!("{category}-{name}")).unwrap_or_else(|_| {
        let short = EventId::derived(name, 0);
        StreamId::new(format!("{category}-{short}")).expect("a category and a UUID make a name")
    })
}

/// What recording a history did.
#[derive(Default)]
pub struct Tally {
    pub commits: u64,
    pub events: u64,
    pub new_events: u64,
    pub took: Duration,
    appends: u64,
    streams: HashSet<StreamId>,
}

impl Tally {
    pub fn add(&mut self, append: &Append, receipt: &Receipt) {
        let events = append.event_count() as u64;
        self.events += events;
        self.appends += 1;
        if !receipt.already_committed() {
            self.new_events += events;
        }
        self.streams.extend(receipt.written().iter().map(|written| written.stream().clone()));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commits, events, new_events, appends, .. } = self;
        let streams = self.streams.len();
        if *new_events == 0 {
            return write!(
                f,
                "All {events} events of {commits} commits were there already: nothing was written."
            );
        }
        let (seconds, there) = (self.took.as_secs_f64(), events - new_events);
        write!(
            f,
            "Recorded {commits} commits as {new_events} events in {streams} streams by {appends} appends "
        )?;
        write!(f, "in {seconds:.1} s; {there} events were there already.")
    }
}
