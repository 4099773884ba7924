//! W1 and W2: tasks that append without getting in one another's way.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Case, Kind, Reading, rate, sum, timed, written};
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

/// What the tasks of one process send.
pub(super) struct Plan<'a> {
    case: &'a Case,
    streams: Streams,
    expected: bool,
    /// The number of the first task, over all processes.
    first_task: u64,
    /// How many appends each task sends.
    pub(super) appends: u64,
}

impl<'a> Plan<'a> {
    /// Of the process with this number, from 0.
    pub(super) fn new(case: &'a Case, volume: Volume, process: u64) -> Result<Self> {
        let Kind::Append { streams, expected } = case.kind else {
            return Err(format!("{} is not for several processes", case.workload).into());
        };
        let events = match (case.batch, case.tasks * case.processes) {
            (1, 1) => volume.alone,
            (1, _) => volume.singles,
            _ => volume.batched,
        };
        let mut plan = Self { case, streams, expected, first_task: process * case.tasks, appends: 0 };
        plan.appends = plan.per_task(events);
        Ok(plan)
    }

    fn per_task(&self, events: u64) -> u64 {
        let Case { processes, tasks, batch, .. } = *self.case;
        (events / processes / tasks / batch).max(1)
    }

    /// A list for each task.
    pub(super) fn prepare<S: Subject>(&self, subject: &S, slice: Range<u64>) -> Result<Vec<Vec<S::Append>>> {
        let batch = self.case.batch;
        let one = |task: u64, n: u64| {
            let expected = if self.expected { Expected::Version(n * batch) } else { Expected::Any };
            subject.prepare(&self.streams.name(task, n), expected, n * batch, batch)
        };
        let tasks = self.first_task..self.first_task + self.case.tasks;
        tasks.map(|task| slice.clone().map(|n| one(task, n)).collect()).collect()
    }
}

/// Slice by slice, appends are made and then sent. Only sending (and dropping them) is timed, on both sides.
pub(super) async fn run<S: Subject>(case: &Case, volume: Volume, subject: &Arc<S>) -> Result<Vec<Reading>> {
    let plan = Plan::new(case, volume, 0)?;
    let slice = plan.per_task(volume.slice);
    let (mut sum, mut took) = (0, Duration::ZERO);
    for first in (0..plan.appends).step_by(usize::try_from(slice)?) {
        let prepared = plan.prepare(&**subject, first..plan.appends.min(first + slice))?;
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
