//! What readers see while others write.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use annalist_core::{Append, ExpectedVersion, NewEvent, Position, Query, Read, RecordedEvent};
use tokio::task::yield_now;

use crate::areas::writers::Writers;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, event, events, expect, same_events, stream};

checks! {
    area: "read",
    aborted_hidden {
        guarantee: "A5", level: 2, kind: Stochastic,
        summary: "No reader ever sees an event of an append that is refused.",
        likely_cause: "events are inserted first and deleted again when a later check fails",
    }
    batch_atomic {
        guarantee: "A1", level: 2, kind: Stochastic,
        summary: "No reader ever sees a part of an append, in the log, in a stream or over its streams.",
        likely_cause: "a loop of inserts, or a batch cut into chunks",
    }
    stable_under_append {
        guarantee: "R4", level: 2, kind: Stochastic,
        summary: "A slow read among appends gives every event up to its head once, in both directions.",
        likely_cause: "pages by OFFSET, or by a bound that is looked up anew for each page",
    }
    session_monotone {
        guarantee: "R3", level: 2, kind: Stochastic,
        summary: "Successive reads never give less than the one before, through whatever handle.",
        likely_cause: "replicas that are behind by different amounts",
    }
    sees_acknowledged {
        guarantee: "R3", level: 2, kind: Stochastic,
        summary: "A read that begins after an append was acknowledged gives it, whoever wrote it.",
        likely_cause: "a cache, a replica, or an acknowledgement before the commit",
    }
}

const WRITERS: usize = 4;

async fn aborted_hidden(cx: Cx) -> Verdict {
    let refusals = cx.scale(15);
    cx.minimum_ops(WRITERS * refusals);
    let taken = stream("Taken");
    cx.append_to(&taken, ExpectedVersion::NoStream, events(1)).await?;
    let handles = cx.handles(2).await?;
    let mut writers = Writers::start(&cx, WRITERS, |writer| {
        let (handle, cx, taken) = (handles[writer % 2].clone(), cx.clone(), taken.clone());
        async move {
            for _ in 0..refusals {
                let refused = vec![event("Refused", "{}"), event("Refused", "{}")];
                let append = Append::new().write(&stream("Order-1"), ExpectedVersion::Any, refused);
                let append = append.write(&taken, ExpectedVersion::NoStream, [event("Refused", "{}")]);
                expect::conflict(handle.append(append).await)?;
                handle.append_any("Order-1", 1).await?;
                cx.count_op();
                yield_now().await;
            }
            Ok(())
        }
    });
    let reader = cx.fresh().await?;
    while writers.at_work().await {
        let seen = reader.read_stream(&stream("Order-1")).await?;
        let in_log = reader.drain(Read::log(Query::all()).backward()).await?.events;
        let refused = seen.iter().chain(&in_log).find(|event| event.event_type().as_str() == "Refused");
        ensure!(refused.is_none(), "a reader saw an event of a refused append: {refused:?}");
    }
    writers.done().await
}

const BATCH: usize = 10;

/// A batch whose events name it.
fn batch(name: &str) -> Vec<NewEvent> {
    (0..BATCH).map(|_| event("Happened", name.to_owned())).collect()
}

/// Sees to it that each batch is there with all its events for one stream, as often as given, or with none.
fn whole_batches(events: &[RecordedEvent], times: usize, what: &str) -> Verdict {
    let mut counts: HashMap<&[u8], usize> = HashMap::new();
    for event in events {
        *counts.entry(event.data()).or_default() += 1;
    }
    let part = counts.iter().find(|(_, count)| **count != BATCH * times);
    ensure!(part.is_none(), "{what} holds {part:?} events of an append of {}", BATCH * times);
    Ok(())
}

async fn batch_atomic(cx: Cx) -> Verdict {
    let appends = cx.scale(6);
    cx.minimum_ops(WRITERS * appends);
    let handles = cx.handles(2).await?;
    let mut writers = Writers::start(&cx, WRITERS, |writer| {
        let (handle, cx) = (handles[writer % 2].clone(), cx.clone());
        async move {
            for n in 0..appends {
                let name = format!("{writer} {n}");
                let append = Append::new()
                    .write(&stream("Order-1"), ExpectedVersion::Any, batch(&name))
                    .write(&stream(&format!("Cart-{writer}")), ExpectedVersion::Any, batch(&name));
                handle.append(append).await?;
                cx.count_op();
                yield_now().await;
            }
            Ok(())
        }
    });
    let reader = cx.fresh().await?;
    while writers.at_work().await {
        whole_batches(&reader.read_stream(&stream("Order-1")).await?, 1, "a stream")?;
        whole_batches(&reader.read_log().await?, 2, "the log")?;
        let backward = reader.drain(Read::stream(&stream("Order-1")).backward().page_size(7)).await?;
        whole_batches(&backward.events, 1, "a stream read backward in pages")?;
    }
    writers.done().await
}

async fn stable_under_append(cx: Cx) -> Verdict {
    let appends = cx.scale(25);
    cx.minimum_ops(2 * appends);
    let (order, handles) = (stream("Order-1"), cx.handles(2).await?);
    cx.append_any("Order-1", 10).await?;
    let mut writers = Writers::start(&cx, 2, |writer| {
        let (handle, cx) = (handles[writer].clone(), cx.clone());
        async move {
            for n in 0..appends {
                handle.append_any(["Order-1", "Order-2"][n % 2], 1 + n % 3).await?;
                cx.count_op();
                yield_now().await;
            }
            Ok(())
        }
    });
    let mut backward = false;
    while writers.at_work().await {
        let read = Read::stream(&order).page_size(3);
        let read = if backward { read.backward() } else { read };
        let first = cx.read(read).await?;
        let (head, version) = (first.head, first.version);
        let (mut events, mut next) = (first.events, first.next);
        while let Some(read) = next {
            yield_now().await;
            let page = cx.read(read).await?;
            events.extend(page.events);
            next = page.next;
        }
        if backward {
            events.reverse();
        }
        let versions: Vec<_> = events.iter().map(|event| event.version().get()).collect();
        ensure_eq!(
            versions,
            (1..=version.get()).collect::<Vec<_>>(),
            "versions up to the one of the first page"
        );
        let above = events.iter().find(|event| event.position() > head);
        ensure!(above.is_none(), "above the head {head} of the first page there is {above:?}");
        backward = !backward;
    }
    writers.done().await
}

async fn session_monotone(cx: Cx) -> Verdict {
    let appends = cx.scale(30);
    cx.minimum_ops(2 * appends);
    let (order, handles) = (stream("Order-1"), cx.handles(3).await?);
    let mut writers = Writers::start(&cx, 2, |writer| {
        let (handle, cx) = (handles[writer].clone(), cx.clone());
        async move {
            for _ in 0..appends {
                handle.append_any("Order-1", 1).await?;
                cx.count_op();
                yield_now().await;
            }
            Ok(())
        }
    });
    let (mut turn, mut log, mut version) = (0, Vec::new(), 0);
    while writers.at_work().await {
        let reader = &handles[turn % handles.len()];
        let now = reader.read_log().await?;
        ensure!(now.len() >= log.len(), "a read gives {} events, the one before it {}", now.len(), log.len());
        same_events(&now[..log.len()], &log, "the log, read again")?;
        let of_stream = reader.drain(Read::stream(&order)).await?.version.get();
        ensure!(of_stream >= version, "the version {version} was told, and then {of_stream}");
        (turn, log, version) = (turn + 1, now, of_stream);
    }
    writers.done().await
}

/// The newest that was acknowledged to any writer: version and position.
type Acknowledged = Arc<Mutex<(u64, Position)>>;

fn newest(acknowledged: &Acknowledged) -> (u64, Position) {
    *acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn sees_acknowledged(cx: Cx) -> Verdict {
    let appends = cx.scale(25);
    cx.minimum_ops(WRITERS * appends);
    let (order, handles) = (stream("Order-1"), cx.handles(3).await?);
    let acknowledged: Acknowledged = Arc::new(Mutex::new((0, Position::START)));
    let mut writers = Writers::start(&cx, WRITERS, |writer| {
        let (handle, cx, acknowledged) = (handles[writer % 3].clone(), cx.clone(), acknowledged.clone());
        async move {
            for _ in 0..appends {
                let receipt = handle.append_any("Order-1", 1).await?;
                let (version, position) =
                    (receipt.written()[0].last_version().get(), receipt.written()[0].positions()[0]);
                {
                    let mut newest = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                    *newest = (newest.0.max(version), newest.1.max(position));
                }
                cx.count_op();
                yield_now().await;
            }
            Ok(())
        }
    });
    let mut turn = 0;
    while writers.at_work().await {
        turn += 1;
        let reader = &handles[turn % handles.len()];
        let (version, _) = newest(&acknowledged);
        let of_stream = reader.drain(Read::stream(&order)).await?;
        ensure!(
            of_stream.version.get() >= version,
            "version {version} was acknowledged, {} is read",
            of_stream.version
        );
        ensure_eq!(of_stream.events.len() as u64, of_stream.version.get(), "events up to the version told");

        let (version, position) = newest(&acknowledged);
        let log = reader.drain(Read::log(Query::all())).await?;
        ensure!(log.head >= position, "position {position} was acknowledged, the head is {}", log.head);
        let count = log.events.len() as u64;
        ensure!(count >= version, "{version} events were acknowledged, the log gives {count}");
    }
    writers.done().await
}
