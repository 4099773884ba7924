//! Once any reader has seen a position, no event ever appears below it (G2).

use std::sync::{Arc, Mutex, PoisonError};

use annalist_core::{Append, ExpectedVersion, Position, Read};

use super::all;
use crate::areas::writers::Writers;
use crate::{Cx, Handle, Verdict, checks, ensure_eq, events, stream};

checks! {
    area: "global",
    no_late_arrivals {
        guarantee: "G2", level: 2, kind: Stochastic,
        summary: "What the log holds up to a position is for good once anyone has seen that position: in a stream, in a receipt or in the log.",
        likely_cause: "the stream shows at commit, and the log by an index that comes later or in another order",
    }
    seen_in_stream_then_in_log {
        guarantee: "G2", level: 2, kind: Stochastic,
        summary: "An event that was read from its stream is in the log that is read afterwards, and the other way round.",
        likely_cause: "two indexes of the same events, of which one lags",
    }
}

const WRITERS: usize = 8;

/// What the log held up to a position that someone had seen.
struct Sighting {
    how: &'static str,
    seen: Position,
    below: Vec<Position>,
}

#[derive(Clone, Default)]
struct Sightings(Arc<Mutex<Vec<Sighting>>>);

impl Sightings {
    /// Reads what the log holds up to a position that was just seen.
    async fn look(&self, handle: &Handle, how: &'static str, seen: Option<Position>) -> Verdict {
        let Some(seen) = seen else { return Ok(()) };
        let below: Vec<_> =
            handle.drain(all().until(seen)).await?.events.iter().map(|event| event.position()).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Sighting { how, seen, below });
        Ok(())
    }

    fn compare(&self, log: &[Position]) -> Verdict {
        for Sighting { how, seen, below } in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let now: Vec<_> = log.iter().filter(|position| *position <= seen).copied().collect();
            let appeared: Vec<_> = now.iter().filter(|position| !below.contains(position)).collect();
            ensure_eq!(
                (below.len(), appeared),
                (now.len(), Vec::new()),
                "positions up to {seen}, which was seen in {how}, and those that appeared later"
            );
        }
        Ok(())
    }
}

async fn no_late_arrivals(cx: Cx) -> Verdict {
    let rounds = cx.scale(25);
    cx.minimum_ops(WRITERS * rounds);
    let (handles, sightings) = (cx.handles(4).await?, Sightings::default());
    let reader = cx.fresh().await?;
    for round in 0..rounds {
        let mut writers = Writers::start(&cx, WRITERS, |writer| {
            let (handle, reader, cx) = (handles[writer % 4].clone(), reader.clone(), cx.clone());
            let sightings = sightings.clone();
            async move {
                let mut append =
                    Append::to(&stream(&format!("Own-{writer}")), ExpectedVersion::Any, events(1));
                if (writer + round) % 3 == 0 {
                    append = append.write(&stream("Shared"), ExpectedVersion::Any, events(2));
                }
                let receipt = handle.append(append).await?;
                cx.count_op();
                sightings.look(&reader, "a receipt", receipt.position()).await
            }
        });
        while writers.at_work().await {
            let newest = |read: Read| async { reader.drain(read.backward().limit(1)).await };
            let of_stream = newest(Read::stream(&stream(&format!("Own-{}", round % WRITERS)))).await?;
            let seen = of_stream.events.first().map(|event| event.position());
            sightings.look(&reader, "a stream", seen).await?;
            let of_log = newest(all()).await?;
            let seen = of_log.events.first().map(|event| event.position());
            sightings.look(&reader, "the log", seen).await?;
        }
        writers.done().await?;
    }
    let log: Vec<_> = cx.fresh().await?.read_log().await?.iter().map(|event| event.position()).collect();
    sightings.compare(&log)
}

async fn seen_in_stream_then_in_log(cx: Cx) -> Verdict {
    let rounds = cx.scale(25);
    cx.minimum_ops(WRITERS * rounds);
    let (handles, order) = (cx.handles(4).await?, stream("Order-1"));
    for _ in 0..rounds {
        let mut writers = Writers::start(&cx, WRITERS, |writer| {
            let (handle, cx) = (handles[writer % 4].clone(), cx.clone());
            async move {
                handle.append_any("Order-1", 1 + writer % 2).await?;
                cx.count_op();
                Ok(())
            }
        });
        let mut from = 1;
        while writers.at_work().await {
            let since = || Read::stream(&order).from(annalist_core::Version::new(from));
            let first = cx.drain(since()).await?;
            let log = cx.drain(Read::log(annalist_core::Query::stream("Order-1"))).await?.events;
            let then = cx.drain(since()).await?;
            let before = first.version.get() as usize;
            let after = then.version.get() as usize;
            let within = (before..=after).contains(&log.len());
            let told = format!(
                "the stream had {before} events, then the log {}, then the stream {after}",
                log.len()
            );
            crate::ensure!(within, "{told}");
            from = then.version.get() + 1;
        }
        writers.done().await?;
    }
    Ok(())
}
