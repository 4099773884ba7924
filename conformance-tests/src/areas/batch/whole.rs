//! Large appends beside others: whole to readers, side by side in the log, and never in one another's way.

use std::sync::atomic::{AtomicBool, Ordering};

use annalist_core::{Append, ExpectedVersion, Query, Read, RecordedEvent, StreamId};

use crate::{Cx, Handle, Verdict, checks, ensure, ensure_eq, event, stream};

checks! {
    area: "batch",
    contiguous_versions {
        guarantee: "A2", level: 2, kind: Stochastic,
        summary: "The events of an append take consecutive versions, however many write the same stream at once.",
        likely_cause: "a loop of single inserts",
    }
    contiguous_global {
        guarantee: "A2", level: 2, kind: Stochastic,
        summary: "The events of an append are neighbours in the log, however many append at once.",
        likely_cause: "a place from a sequence for each row",
    }
    whole_to_readers {
        guarantee: "A1", level: 2, kind: Stochastic,
        summary: "Nobody who reads the stream or the log meanwhile sees a part of an append.",
        likely_cause: "a loop of inserts, chunks, or rows read before they are committed",
    }
    multi_stream_whole_to_readers {
        guarantee: "A1", level: 2, kind: Stochastic,
        summary: "Nobody who reads the log meanwhile sees an append in one of its streams and not in another.",
        likely_cause: "streams written one after the other",
    }
    no_deadlock {
        guarantee: "A5", level: 2, kind: Stochastic,
        summary: "Appends that name the same streams in opposite orders all succeed.",
        likely_cause: "streams locked in the order of the request; the database's deadlock error passed on",
    }
}

const WRITERS: usize = 8;

/// The data of an event tell the append that it came with, its place in it and how many there are.
fn batch(writer: usize, round: usize, n: usize) -> Vec<annalist_core::NewEvent> {
    (0..n).map(|k| event("Happened", format!("{writer}.{round} {k} {n}"))).collect()
}

/// The append, place and count of an event.
fn told(event: &RecordedEvent) -> (String, usize, usize) {
    let text = String::from_utf8_lossy(event.data()).into_owned();
    let mut parts = text.split(' ');
    let append = parts.next().unwrap_or_default().to_owned();
    let mut number = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(usize::MAX);
    (append, number(), number())
}

/// Sees to it that the events are whole appends side by side, each in its order.
fn whole_appends(events: &[RecordedEvent], what: &str) -> Verdict {
    let mut at = 0;
    while at < events.len() {
        let (append, _, n) = told(&events[at]);
        for k in 0..n {
            let Some(event) = events.get(at + k) else {
                return Err(crate::Failure::violation(format!(
                    "{what}: ends with {k} of {n} events of append {append}"
                )));
            };
            let found = told(event);
            ensure!(
                found == (append.clone(), k, n),
                "{what}: after {k} of {n} events of append {append} comes event {} of append {}",
                found.1,
                found.0
            );
        }
        at += n;
    }
    Ok(())
}

/// Eight writers append batches, each round to the streams that are named for it.
async fn write_batches(cx: &Cx, streams: impl Fn(usize, usize) -> Vec<StreamId>) -> Verdict<usize> {
    const SIZES: [usize; 4] = [1, 7, 20, 3];
    let rounds = cx.scale(12);
    let handles = cx.handles(4).await?;
    let written = cx
        .at_once(WRITERS, |writer| {
            let handle = handles[writer % 4].clone();
            let appends: Vec<_> = (0..rounds)
                .map(|round| {
                    let streams = streams(writer, round);
                    let mut made = batch(writer, round, SIZES[(writer + round) % 4] * streams.len());
                    let each = made.len() / streams.len();
                    streams.iter().fold(Append::new(), |append, stream| {
                        append.write(stream, ExpectedVersion::Any, made.drain(..each).collect::<Vec<_>>())
                    })
                })
                .collect();
            async move {
                let mut events = 0;
                for append in appends {
                    events += append.event_count();
                    handle.append(append).await?;
                    tokio::task::yield_now().await;
                }
                Verdict::Ok(events)
            }
        })
        .await?;
    let events = written.into_iter().collect::<Verdict<Vec<_>>>()?;
    Ok(events.into_iter().sum())
}

async fn contiguous_versions(cx: Cx) -> Verdict {
    cx.minimum_ops(WRITERS * 6);
    let events = write_batches(&cx, |_, _| vec![stream("Order-1")]).await?;
    let read = cx.fresh().await?.read_stream(&stream("Order-1")).await?;
    ensure_eq!(read.len(), events, "events in the stream");
    ensure!(
        read.iter().zip(1..).all(|(event, version)| event.version().get() == version),
        "versions with holes"
    );
    cx.count_ops(events);
    whole_appends(&read, "the stream")
}

async fn contiguous_global(cx: Cx) -> Verdict {
    cx.minimum_ops(WRITERS * 6);
    let two = |writer: usize| vec![stream(&format!("Order-{writer}")), stream(&format!("Cart-{writer}"))];
    let events = write_batches(&cx, |writer, round| two(writer).split_off(round % 2)).await?;
    let log = cx.fresh().await?.read_log().await?;
    ensure_eq!(log.len(), events, "events in the log");
    cx.count_ops(events);
    whole_appends(&log, "the log")
}

/// Reads again and again, in large pages and in small ones, until the writers are done; each read must end with whole appends.
async fn watch(
    cx: &Cx,
    handle: Handle,
    read: Read,
    writers: impl Future<Output = Verdict<usize>>,
) -> Verdict {
    cx.minimum_ops(2);
    let are_done = AtomicBool::new(false);
    let writing = async {
        let written = writers.await;
        are_done.store(true, Ordering::Relaxed);
        written
    };
    let reading = async {
        for page_size in [1_000, 10].into_iter().cycle() {
            let is_last = are_done.load(Ordering::Relaxed);
            let events = handle.drain(read.clone().page_size(page_size)).await?.events;
            whole_appends(&events, &format!("a read in pages of {page_size} while others write"))?;
            cx.count_op();
            if is_last {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let (written, ()) = futures::try_join!(writing, reading)?;
    ensure!(written > 0, "nothing was written");
    Ok(())
}

async fn whole_to_readers(cx: Cx) -> Verdict {
    let handle = cx.fresh().await?;
    let order = stream("Order-1");
    let writers = write_batches(&cx, |_, _| vec![stream("Order-1")]);
    watch(&cx, handle.clone(), Read::stream(&order), writers).await?;
    let writers = write_batches(&cx, |writer, _| vec![stream(&format!("Cart-{writer}"))]);
    watch(&cx, handle, Read::log(Query::category("Cart")), writers).await
}

async fn multi_stream_whole_to_readers(cx: Cx) -> Verdict {
    let handle = cx.fresh().await?;
    let streams = ["Order-1", "Cart-1", "User-1"];
    let writers = write_batches(&cx, |writer, round| {
        (0..3).map(|i| stream(streams[(writer + round + i) % 3])).collect()
    });
    watch(&cx, handle, Read::log(Query::all()), writers).await
}

async fn no_deadlock(cx: Cx) -> Verdict {
    let rounds = cx.scale(40);
    cx.minimum_ops(rounds);
    let names = ["A-1", "B-1", "C-1"];
    let orders = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]];
    let handles = cx.handles(4).await?;
    let done = cx
        .at_once(orders.len(), |caller| {
            let (cx, handle, order) = (cx.clone(), handles[caller].clone(), orders[caller]);
            async move {
                for round in 0..rounds {
                    let mut append = Append::new();
                    for i in order {
                        append =
                            append.write(&stream(names[i]), ExpectedVersion::Any, batch(caller, round, 1));
                    }
                    cx.within("an append to three streams", handle.append(append)).await??;
                    cx.count_op();
                }
                Verdict::Ok(())
            }
        })
        .await?;
    done.into_iter().collect::<Verdict<()>>()?;
    for name in names {
        let version = cx.fresh().await?.version(&stream(name)).await?;
        ensure_eq!(version.get(), (rounds * orders.len()) as u64, "the version of {name}");
    }
    Ok(())
}
