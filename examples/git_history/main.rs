//! Records the history of a git repository as events, follows it with a consumer, and tells what is worth telling.
//!
//! `cargo run --example git_history -- [PATH] [--store URL]`; the path is this repository where none is given, and the store the file
//! `git_history.db` in the current folder, from which a second run goes on.
//!
//! Each commit is one append over several streams: its author's and one for every file that it touches. The event ids are
//! derived from the commit, so that recording a history again adds nothing. The consumer is stopped half-way and started
//! again, and goes on where its checkpoint stands.

mod git;
mod record;
mod summary;

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use annalist::{Position, Query, Read, Start, Store};

use summary::Summary;

/// Prints a line. A reader that has gone away, as `head` does, is no reason to panic.
macro_rules! say {
    ($($words:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: git_history [PATH] [--store URL]";
const FILE: &str = "git_history.db";
const CONSUMER: &str = "git history summary";

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => run(&arguments).await,
        Err(message) => Err(message.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    repository: PathBuf,
    /// [`FILE`], where none is given.
    store: Option<String>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> std::result::Result<Self, String> {
        let mut repository = None;
        let mut store = None;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--store" => store = Some(words.next().ok_or(USAGE)?),
                "--help" | "-h" => return Err(USAGE.to_owned()),
                option if option.starts_with("--") => {
                    return Err(format!("unknown option {option}\n{USAGE}"));
                }
                _ if repository.is_none() => repository = Some(PathBuf::from(word)),
                _ => return Err(USAGE.to_owned()),
            }
        }
        let repository = repository.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        Ok(Self { repository, store })
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let url = arguments.store.clone().unwrap_or_else(|| format!("sqlite:{FILE}"));
    let store = annalist::connect(&url).await?;
    let repository = git::Repository::open(&arguments.repository)?;

    let first = record(&store, &repository, "Recording").await?;
    say!("{first}");
    let again = record(&store, &repository, "Recording again").await?;
    say!("{again}");
    if again.new_events > 0 {
        return Err("recording the same history again wrote events".into());
    }

    let last = store.events(Read::log(Query::all()).backward().limit(1)).next().await;
    let Some(last) = last.transpose()? else {
        say!("There is nothing to follow.");
        return Ok(());
    };
    let summary = follow(&store, last.position(), first.events).await?;
    say!("\n{}", summary.told(10));
    if arguments.store.is_none() {
        say!("\nThe history is in {FILE}, from which the next run goes on.");
    }
    store.close().await?;
    Ok(())
}

/// Puts every commit into the store, oldest first, so that the order of the log is the order of the history.
async fn record(store: &Store, repository: &git::Repository, what: &str) -> Result<record::Tally> {
    let mut tally = record::Tally::default();
    let mut progress = Progress::new(what, repository.commit_count()?);
    for commit in repository.commits()? {
        for append in record::appends(&commit?)? {
            let receipt = store.append_retrying(&append, annalist::Retry::default()).await?;
            tally.add(&append, &receipt);
        }
        tally.commits += 1;
        progress.at(tally.commits);
    }
    progress.end();
    tally.took = progress.began.elapsed();
    Ok(tally)
}

/// Handles every event up to `last` in two sessions of one consumer, the second of which goes on where the first stopped.
async fn follow(store: &Store, last: Position, events: u64) -> Result<Summary> {
    let mut summary = Summary::default();
    match consume(store, &mut summary, last, events / 2).await? {
        0 => say!("The consumer {CONSUMER:?} has nothing new to handle: an earlier run did."),
        handled => {
            say!("The consumer {CONSUMER:?} handled {handled} events and was stopped in the middle.")
        }
    }

    // What a restart loses: the summary is in memory only, so what was handled before is read again up to the checkpoint.
    let checkpoint = store.load_checkpoint(CONSUMER).await?;
    let resumed_at = checkpoint.map_or(Position::START, |checkpoint| checkpoint.position);
    let mut summary = Summary::default();
    if resumed_at > Position::START {
        let mut past = store.events(Read::log(Query::all()).until(resumed_at));
        while let Some(event) = past.next().await {
            summary.add(&event?)?;
        }
    }
    let handled = consume(store, &mut summary, last, u64::MAX).await?;
    say!("It was started again, went on at its checkpoint {resumed_at} and handled the other {handled}.");
    Ok(summary)
}

async fn consume(store: &Store, summary: &mut Summary, last: Position, events_max: u64) -> Result<u64> {
    let mut consumer = store.consumer(CONSUMER, Query::all(), Start::BEGINNING).start().await?;
    let mut handled = 0;
    while handled < events_max && consumer.position() < last {
        let Some(event) = consumer.next().await? else { break };
        summary.add(&event)?;
        consumer.done(&event).await?;
        handled += 1;
    }
    consumer.stop().await?;
    Ok(handled)
}

/// Shows on standard error how far the work has come: in one line on a terminal, in a few elsewhere.
struct Progress {
    what: String,
    total: u64,
    began: Instant,
    shown: Instant,
    terminal: bool,
}

impl Progress {
    fn new(what: &str, total: u64) -> Self {
        let now = Instant::now();
        let terminal = std::io::stderr().is_terminal();
        Self { what: what.to_owned(), total, began: now, shown: now, terminal }
    }

    fn at(&mut self, done: u64) {
        let pause = if self.terminal { Duration::from_millis(100) } else { Duration::from_secs(2) };
        if self.shown.elapsed() < pause && done != self.total {
            return;
        }
        self.shown = Instant::now();
        let percent = (done * 100).checked_div(self.total).unwrap_or(100);
        let rate = done as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let (start, end) = if self.terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        let line = format!("{} {percent:3} %, {done} of {} commits, {rate:.0}/s", self.what, self.total);
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(std::io::stderr(), "{start}{line}{end}");
    }

    fn end(&self) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
