//! W4 and W5: reading a stream, and the whole log.

use super::{Reading, fill, rate, timed};
use crate::subject::{Result, Subject, Volume};

pub(super) async fn stream<S: Subject>(events: u64, volume: Volume, subject: &S) -> Result<Vec<Reading>> {
    const STREAM: &str = "Bench-1";
    fill(subject, STREAM, events).await?;
    let times = (volume.stream_reads / events).max(1);
    let work = async {
        let mut sum = 0;
        for _ in 0..times {
            sum += subject.read_stream(STREAM).await?;
        }
        Ok(sum)
    };
    complete(timed(work).await?, events * times)
}

pub(super) async fn log<S: Subject>(events: u64, subject: &S) -> Result<Vec<Reading>> {
    const STREAMS: u64 = 100;
    let each = (events / STREAMS).max(1);
    for stream in 0..STREAMS {
        fill(subject, &format!("Bench-{stream}"), each).await?;
    }
    complete(timed(subject.read_log()).await?, each * STREAMS)
}

fn complete((read, took): (u64, std::time::Duration), events: u64) -> Result<Vec<Reading>> {
    if read != events {
        return Err(format!("{read} events were read where there are {events}").into());
    }
    Ok(vec![rate(read, took)])
}
