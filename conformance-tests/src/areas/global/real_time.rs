//! What was acknowledged before comes before (G4, G3).

use std::sync::{Arc, Mutex, PoisonError};

use annalist_core::{Append, ExpectedVersion, Position};
use tokio::task::yield_now;

use crate::areas::writers::Writers;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, stream};

checks! {
    area: "global",
    real_time {
        guarantee: "G4", level: 1, kind: Deterministic,
        summary: "An append that is sent after another one was acknowledged stands above it, whichever handles sent the two.",
        likely_cause: "numbers reserved in blocks by each connection, or the clock of each writer",
    }
    real_time_under_load {
        guarantee: "G4", level: 2, kind: Stochastic,
        summary: "An append stands above all that was acknowledged to anyone before it was sent, under load.",
        likely_cause: "numbers reserved in blocks, sharded sequencers, clocks",
    }
    embeds_stream_order_under_load {
        guarantee: "G3", level: 2, kind: Stochastic,
        summary: "Within a stream the order of positions is the order of versions, also when many write it at once through many handles.",
        likely_cause: "the number is taken before the lock of the stream",
    }
}

const HANDLES: usize = 4;

async fn real_time(cx: Cx) -> Verdict {
    let handles = cx.handles(HANDLES).await?;
    let mut newest = Position::START;
    // The token goes round, and back and forth.
    for turn in [0, 1, 2, 3, 2, 1, 3, 0, 2, 0, 1, 3].repeat(4) {
        let receipt = handles[turn].append_any(&format!("Order-{turn}"), 1 + turn % 2).await?;
        let positions = receipt.written()[0].positions();
        ensure!(positions[0] > newest, "{} was given after {newest} had been acknowledged", positions[0]);
        newest = newest.max(positions[positions.len() - 1]);
    }
    Ok(())
}

/// The highest position that was acknowledged to anyone.
#[derive(Clone, Default)]
struct Newest(Arc<Mutex<Option<Position>>>);

impl Newest {
    fn get(&self) -> Option<Position> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self, position: Option<Position>) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = position.max(*newest);
    }
}

async fn real_time_under_load(cx: Cx) -> Verdict {
    let (writers, appends) = (8, cx.scale(20));
    cx.minimum_ops(writers * appends);
    let (handles, newest) = (cx.handles(HANDLES).await?, Newest::default());
    let writing = Writers::start(&cx, writers, |writer| {
        let (handles, newest, cx) = (handles.clone(), newest.clone(), cx.clone());
        async move {
            for n in 0..appends {
                let before = newest.get();
                let name = format!("Order-{}", writer % 3);
                let receipt = handles[(writer + n) % HANDLES].append_any(&name, 1 + n % 2).await?;
                let first = receipt.written()[0].positions()[0];
                ensure!(Some(first) > before, "{first} was given after {before:?} had been acknowledged");
                newest.raise(receipt.position());
                cx.count_op();
                yield_now().await;
            }
            Ok(())
        }
    });
    writing.done().await
}

async fn embeds_stream_order_under_load(cx: Cx) -> Verdict {
    let (writers, appends) = (8, cx.scale(15));
    cx.minimum_ops(writers * appends);
    let handles = cx.handles(HANDLES).await?;
    let names = ["Order-1", "Order-2", "Order-3"];
    let writing = Writers::start(&cx, writers, |writer| {
        let (handle, cx) = (handles[writer % HANDLES].clone(), cx.clone());
        async move {
            for n in 0..appends {
                let mut append = Append::to(&stream(names[n % 3]), ExpectedVersion::Any, events(1 + n % 2));
                if n % 4 == 0 {
                    append = append.write(&stream(names[(n + 1) % 3]), ExpectedVersion::Any, events(1));
                }
                handle.append(append).await?;
                cx.count_op();
                yield_now().await;
            }
            Ok(())
        }
    });
    writing.done().await?;
    let log = cx.read_log().await?;
    for name in names {
        let versions = log.iter().filter(|event| event.stream().as_str() == name);
        let versions: Vec<_> = versions.map(|event| event.version().get()).collect();
        let in_order: Vec<_> = (1..=versions.len() as u64).collect();
        ensure_eq!(versions, in_order, "versions of {name} in log order");
    }
    Ok(())
}
