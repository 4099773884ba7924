//! W1 and W2: tasks that append without getting in one another's way.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Case, Reading, rate, sum, timed, written};
use crate::subject::{Expected, Result, Subject, Volume};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Streams {
    OnePerTask,
    OnePerAppend,
}

/// The appends are made before the clock starts, on both sides; sending and dropping them is timed.
pub(super) async fn run<S: Subject>(
    case: &Case,
    volume: Volume,
    streams: Streams,
    expected: bool,
    subject: &Arc<S>,
) -> Result<Vec<Reading>> {
    let events = if case.batch == 1 { volume.singles } else { volume.batched };
    let appends_per_task = (events / case.tasks / case.batch).max(1);
    let mut prepared = Vec::new();
    for task in 0..case.tasks {
        let mut appends = Vec::new();
        for n in 0..appends_per_task {
            let stream = match streams {
                Streams::OnePerTask => format!("Bench-{task}"),
                Streams::OnePerAppend => format!("Bench-{task}-{n}"),
            };
            let expected = if expected { Expected::Version(n * case.batch) } else { Expected::Any };
            appends.push(subject.prepare(&stream, expected, n * case.batch, case.batch)?);
        }
        prepared.push(appends);
    }
    let (events, took) = timed(send_all(case.batch, prepared, subject)).await?;
    Ok(vec![rate(events, took)])
}

async fn send_all<S: Subject>(batch: u64, prepared: Vec<Vec<S::Append>>, subject: &Arc<S>) -> Result<u64> {
    let mut tasks = JoinSet::new();
    for appends in prepared {
        let subject = Arc::clone(subject);
        tasks.spawn(async move {
            let mut events = 0;
            for append in appends {
                written(subject.append(append).await?)?;
                events += batch;
            }
            Ok(events)
        });
    }
    sum(tasks).await
}
