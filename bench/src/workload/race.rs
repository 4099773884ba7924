//! W3: tasks that all want to write the next event of one stream.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Case, RACED, Reading, rate, sum, timed};
use crate::subject::{Result, Subject, Volume};

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

async fn write<S: Subject>(subject: Arc<S>, first: u64, events: u64) -> Result<u64> {
    for n in first..first + events {
        subject.append_next(RACED, n).await?;
    }
    Ok(events)
}
