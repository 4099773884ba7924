//! The workloads, each written once for both sides. Every one starts from an empty log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use self::processes::Crew;
use crate::subject::{Crowd, Expected, Result, Side, Subject, Verdict, Volume};

mod append;
mod follow;
pub(crate) mod processes;
mod race;
mod read;

/// The stream for which all tasks of W3 race, alone in its log.
pub(crate) const RACED: &str = "Race-1";

/// One row of the table: a workload under one setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Case {
    pub(crate) workload: &'static str,
    pub(crate) what: &'static str,
    pub(crate) processes: u64,
    /// In each process.
    pub(crate) tasks: u64,
    pub(crate) batch: u64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Append { streams: append::Streams, expected: bool },
    Race,
    ReadStream { events: u64 },
    ReadLog,
    Latency,
    Missed,
}

/// One number that a round gave.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Reading {
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
}

/// For how long the workloads run that are bounded by time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) duration: Duration,
    pub(crate) volume: Volume,
}

/// Where a round runs, and how another process is told of it.
pub(crate) struct Site<'a, S> {
    pub(crate) backend: &'static str,
    pub(crate) side: &'a S,
    pub(crate) scale_percent: u64,
}

const fn case(workload: &'static str, what: &'static str, tasks: u64, batch: u64, kind: Kind) -> Case {
    Case { workload, what, processes: 1, tasks, batch, kind }
}

const SINGLE: Kind = Kind::Append { streams: append::Streams::OnePerTask, expected: false };
const NEW_STREAMS: Kind = Kind::Append { streams: append::Streams::OnePerAppend, expected: false };
const EXPECTED: Kind = Kind::Append { streams: append::Streams::OnePerTask, expected: true };

/// All cases, in the order in which they are run and shown.
pub(crate) const CASES: [Case; 21] = [
    case("W1", "one event per append, a stream per task", 1, 1, SINGLE),
    case("W1", "one event per append, a stream per task", 8, 1, SINGLE),
    case("W1", "one event per append, a stream per task", 64, 1, SINGLE),
    case("W1", "one event per append, a stream per task", 256, 1, SINGLE),
    case("W1", "one event per append, a stream per task", 16, 1, SINGLE).in_processes(4),
    case("W1", "one event per append, a stream per task", 64, 1, SINGLE).in_processes(4),
    case("W1N", "one event per append, each to a new stream", 1, 1, NEW_STREAMS),
    case("W2", "batches with expected version, a stream per task", 1, 10, EXPECTED),
    case("W2", "batches with expected version, a stream per task", 1, 100, EXPECTED),
    case("W2", "batches with expected version, a stream per task", 8, 10, EXPECTED),
    case("W2", "batches with expected version, a stream per task", 8, 100, EXPECTED),
    case("W3", "all tasks on one stream, again on conflict", 32, 1, Kind::Race),
    case("W4", "read a stream of 1,000", 1, 1_000, Kind::ReadStream { events: 1_000 }),
    case("W4", "read a stream of 10,000", 1, 10_000, Kind::ReadStream { events: 10_000 }),
    case("W5", "read the whole log of 200,000", 1, 200_000, Kind::ReadLog),
    case("W6", "append to handler at 200 appends/s", 1, 1, Kind::Latency),
    case("MISS", "a reader tails 8 writers without pause", 8, 1, Kind::Missed),
    case("MISS", "a reader tails 8 writers without pause", 8, 50, Kind::Missed),
    case("MISS", "a reader tails 64 writers without pause", 64, 1, Kind::Missed),
    case("MISS", "a reader tails 8 writers without pause", 8, 1, Kind::Missed).in_processes(4),
    case("MISS", "a reader tails 8 writers without pause", 8, 50, Kind::Missed).in_processes(4),
];

impl Case {
    const fn in_processes(mut self, processes: u64) -> Self {
        self.processes = processes;
        self
    }

    pub(crate) fn crowd(&self) -> Crowd {
        Crowd { processes: self.processes, tasks: self.tasks }
    }

    /// Runs one round on one side, on a log and a runtime of its own.
    pub(crate) fn round<S: Side>(&self, pace: Pace, site: &Site<'_, S>) -> Result<Vec<Reading>> {
        let runtime = self.runtime()?;
        let log = runtime.block_on(site.side.create())?;
        let readings = match (self.processes, self.kind) {
            (1, _) => runtime.block_on(async {
                let subject = Arc::new(site.side.open(&log, self.crowd()).await?);
                let readings = self.measure(pace, &subject).await?;
                subject.close().await?;
                Ok(readings)
            }),
            (_, Kind::Missed) => runtime.block_on(async {
                let subject = Arc::new(site.side.open(&log, self.crowd()).await?);
                let readings = follow::missed_of(self.crew(&log, site)?, pace.duration, &subject).await?;
                subject.close().await?;
                Ok(readings)
            }),
            _ => self.crew(&log, site).and_then(Crew::rate),
        };
        runtime.block_on(site.side.remove(&log))?;
        readings
    }

    fn crew<S: Side>(&self, log: &str, site: &Site<'_, S>) -> Result<Crew> {
        Crew::start(self, site.backend, S::Subject::NAME, log, site.scale_percent)
    }

    async fn measure<S: Subject>(&self, pace: Pace, subject: &Arc<S>) -> Result<Vec<Reading>> {
        match self.kind {
            Kind::Append { .. } => append::run(self, pace.volume, subject).await,
            Kind::Race => race::run(self, pace.volume, subject).await,
            Kind::ReadStream { events } => read::stream(events, pace.volume, &**subject).await,
            Kind::ReadLog => read::log(pace.volume.log, &**subject).await,
            Kind::Latency => follow::latency(pace.duration, subject).await,
            Kind::Missed => follow::missed(self, pace.duration, subject).await,
        }
    }

    /// One thread for one task, so that "one core" means it; all cores for several.
    fn runtime(&self) -> Result<tokio::runtime::Runtime> {
        let mut builder = match self.tasks {
            1 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        Ok(builder.enable_all().build()?)
    }
}

/// Events per second.
fn rate(events: u64, took: Duration) -> Reading {
    Reading { unit: "events/s", value: events as f64 / took.as_secs_f64() }
}

/// Waits for all tasks and gives the sum of what they gave.
async fn sum(mut tasks: JoinSet<Result<u64>>) -> Result<u64> {
    let mut sum = 0;
    while let Some(done) = tasks.join_next().await {
        sum += done??;
    }
    Ok(sum)
}

/// Appends to a stream until it has this many events; not timed.
async fn fill<S: Subject>(subject: &S, stream: &str, events: u64) -> Result<()> {
    const BATCH: u64 = 500;
    for first in (0..events).step_by(BATCH as usize) {
        let append = subject.prepare(stream, Expected::Any, first, BATCH.min(events - first))?;
        written(subject.append(append).await?)?;
    }
    Ok(())
}

fn written(verdict: Verdict) -> Result<()> {
    match verdict {
        Verdict::Written => Ok(()),
        Verdict::Conflict => Err("a conflict where none can be".into()),
    }
}

async fn timed<T>(work: impl Future<Output = Result<T>>) -> Result<(T, Duration)> {
    let begun = Instant::now();
    let done = work.await?;
    Ok((done, begun.elapsed()))
}
