//! W1 and W2: tasks that append without getting in one another's way.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Case, Reading, rate, sum, timed, written};
use crate::subject::{Expected, Result, Subject, Volume};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Streams {
    OnePerTask,
    OnePerAppend,
}

impl Streams {
    fn name(self, task: u64, n: u64) -> String {
        match self {
            Self::OnePerTask => format!("Bench-{task}"),
            Self::OnePerAppend => format!("Bench-{task}-{n}"),
        }
    }
}

/// Slice by slice, appends are made and then sent. Only sending (and dropping them) is timed, on both sides.
pub(super) async fn run<S: Subject>(
    case: &Case,
    volume: Volume,
    streams: Streams,
    expected: bool,
    subject: &Arc<S>,
) -> Result<Vec<Reading>> {
    let events = if case.batch == 1 { volume.singles } else { volume.batched };
    let per_task = |events: u64| (events / case.tasks / case.batch).max(1);
    let (appends, slice) = (per_task(events), per_task(volume.slice));
    let prepare = |task: u64, n: u64| {
        let expected = if expected { Expected::Version(n * case.batch) } else { Expected::Any };
        subject.prepare(&streams.name(task, n), expected, n * case.batch, case.batch)
    };
    let (mut sum, mut took) = (0, Duration::ZERO);
    for first in (0..appends).step_by(usize::try_from(slice)?) {
        let mut prepared = Vec::new();
        for task in 0..case.tasks {
            let slice = first..appends.min(first + slice);
            prepared.push(slice.map(|n| prepare(task, n)).collect::<Result<Vec<_>>>()?);
        }
        let (sent, time) = timed(send_all(prepared, subject)).await?;
        sum += sent * case.batch;
        took += time;
    }
    Ok(vec![rate(sum, took)])
}

/// One task for each list of appends; gives how many were sent in all.
async fn send_all<S: Subject>(prepared: Vec<Vec<S::Append>>, subject: &Arc<S>) -> Result<u64> {
    let mut tasks = JoinSet::new();
    for appends in prepared {
        let subject = Arc::clone(subject);
        tasks.spawn(async move {
            let mut sent = 0;
            for append in appends {
                written(subject.append(append).await?)?;
                sent += 1;
            }
            Ok(sent)
        });
    }
    sum(tasks).await
}
