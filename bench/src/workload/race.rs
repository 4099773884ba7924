//! W3: tasks that all want to write the next event of one stream.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Case, RACED, Reading, rate, sum, timed};
use crate::subject::{Expected, Result, Subject, Verdict, Volume};

pub(super) async fn run<S: Subject>(case: &Case, volume: Volume, subject: &Arc<S>) -> Result<Vec<Reading>> {
    let each = (volume.racing / case.tasks).max(1);
    let work = async {
        let mut tasks = JoinSet::new();
        for task in 0..case.tasks {
            tasks.spawn(write(Arc::clone(subject), task * each, each));
        }
        sum(tasks).await
    };
    let (events, took) = timed(work).await?;
    if subject.version(RACED).await? != events {
        return Err("an acknowledged event is not in the stream".into());
    }
    Ok(vec![rate(events, took)])
}

/// Reads the version, appends there, and begins again on a conflict; making the request is part of the loop here.
async fn write<S: Subject>(subject: Arc<S>, first: u64, events: u64) -> Result<u64> {
    for n in first..first + events {
        loop {
            let version = subject.version(RACED).await?;
            let append = subject.prepare(RACED, Expected::Version(version), n, 1)?;
            if subject.append(append).await? == Verdict::Written {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    Ok(events)
}
