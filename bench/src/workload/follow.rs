//! W6 and MISS: how soon a reader that follows the log has an event, and whether it has them all.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, timeout};

use super::processes::Crew;
use super::{Case, Reading, written};
use crate::subject::{Expected, Follow, Result, Subject};

const APPENDS_PER_SECOND: u32 = 200;
/// A reader that gets nothing for this long gets nothing more.
const SILENCE: Duration = Duration::from_secs(10);
/// The number of the event that is appended once all writers are done; a number after it exists, where its range ends.
const LAST: u64 = u64::MAX - 1;

/// From sending an append to having its event in the handler, in microseconds.
pub(super) async fn latency<S: Subject>(duration: Duration, subject: &Arc<S>) -> Result<Vec<Reading>> {
    let appends = (duration.as_secs_f64() * f64::from(APPENDS_PER_SECOND)).max(1.0) as u64;
    let mut follower = subject.follow().await?;
    let begun = Instant::now();
    let reader = tokio::spawn(async move {
        let mut arrived = Vec::new();
        for _ in 0..appends {
            let number = follower.next().await?;
            arrived.push((number, begun.elapsed()));
        }
        Result::Ok(arrived)
    });
    let mut beat = interval(Duration::from_secs(1) / APPENDS_PER_SECOND);
    let mut sent = Vec::new();
    for n in 0..appends {
        let append = subject.prepare("Bench-1", Expected::Any, n, 1)?;
        beat.tick().await;
        sent.push(begun.elapsed());
        written(subject.append(append).await?)?;
    }
    let arrived = timeout(SILENCE, reader).await??;
    let mut micros = Vec::new();
    for (number, at) in arrived? {
        micros.push(at.saturating_sub(sent[usize::try_from(number)?]).as_secs_f64() * 1e6);
    }
    micros.sort_by(f64::total_cmp);
    let percentile = |p: usize| micros[(micros.len() - 1) * p / 100];
    Ok(vec![
        Reading { unit: "us p50", value: percentile(50) },
        Reading { unit: "us p99", value: percentile(99) },
    ])
}

/// Which of the acknowledged events never reached the reader; the writers are in this process.
pub(super) async fn missed<S: Subject>(
    case: &Case,
    duration: Duration,
    subject: &Arc<S>,
) -> Result<Vec<Reading>> {
    let reader = tokio::spawn(tail(subject.follow().await?));
    let until = Instant::now() + duration;
    let written = acknowledged(writers(case, subject, 0, &move || Instant::now() >= until)).await?;
    compare(subject, written, reader).await
}

/// The same; the writers are in processes of their own.
pub(super) async fn missed_of<S: Subject>(
    crew: Crew,
    duration: Duration,
    subject: &Arc<S>,
) -> Result<Vec<Reading>> {
    let reader = tokio::spawn(tail(subject.follow().await?));
    let written = tokio::task::spawn_blocking(move || crew.acknowledged(duration)).await??;
    compare(subject, written, reader).await
}

async fn compare<S: Subject>(
    subject: &Arc<S>,
    acknowledged: Vec<Range<u64>>,
    reader: JoinHandle<Result<HashSet<u64>>>,
) -> Result<Vec<Reading>> {
    written(subject.append(subject.prepare("Bench-end", Expected::Any, LAST, 1)?).await?)?;
    let seen = reader.await??;
    let events: u64 = acknowledged.iter().map(|range| range.end - range.start).sum();
    let missed = acknowledged.into_iter().flatten().filter(|number| !seen.contains(number)).count();
    Ok(vec![
        Reading { unit: "missed", value: missed as f64 },
        Reading { unit: "events", value: events as f64 },
    ])
}

/// The writers of one process, each with a stream of its own.
pub(super) fn writers<S: Subject>(
    case: &Case,
    subject: &Arc<S>,
    process: u64,
    is_over: &(impl Fn() -> bool + Clone + Send + 'static),
) -> JoinSet<Result<Range<u64>>> {
    let mut writers = JoinSet::new();
    for task in process * case.tasks..(process + 1) * case.tasks {
        writers.spawn(write(Arc::clone(subject), task, case.batch, is_over.clone()));
    }
    writers
}

/// The numbers of the events that were acknowledged to them.
pub(super) async fn acknowledged(mut writers: JoinSet<Result<Range<u64>>>) -> Result<Vec<Range<u64>>> {
    let mut acknowledged = Vec::new();
    while let Some(range) = writers.join_next().await {
        acknowledged.push(range??);
    }
    Ok(acknowledged)
}

/// Everything that a reader gets before the last event: by then nothing may come late any more.
async fn tail(mut follower: impl Follow) -> Result<HashSet<u64>> {
    let mut seen = HashSet::new();
    while let Ok(number) = timeout(SILENCE, follower.next()).await {
        let number = number?;
        if number == LAST {
            break;
        }
        seen.insert(number);
    }
    Ok(seen)
}

/// Appends until it is over, and gives the numbers of the acknowledged events.
async fn write<S: Subject>(
    subject: Arc<S>,
    task: u64,
    batch: u64,
    is_over: impl Fn() -> bool,
) -> Result<Range<u64>> {
    let stream = format!("Bench-{task}");
    let first = task << 40;
    let mut next = first;
    // Once at least: a short round on a busy machine tells less, and is still one.
    loop {
        written(subject.append(subject.prepare(&stream, Expected::Any, next, batch)?).await?)?;
        next += batch;
        if is_over() {
            return Ok(first..next);
        }
        tokio::task::yield_now().await;
    }
}
