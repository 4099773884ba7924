//! A server that is killed under load, again and again.

use std::time::Duration;

use annalist_core::{Position, Query, Read, RecordedEvent, Subscribe};
use tokio::sync::watch;

use super::storm::{Storm, passes};
use crate::{Cx, Handle, Tail, Verdict, checks, ensure, same_events};

checks! {
    area: "crash",
    server_kill_durable {
        guarantee: "A8", level: 4, kind: Stochastic,
        needs: [Durability], hooks: [Server],
        summary: "No append that was acknowledged is lost when the server is killed, five times under load, and each of unknown outcome is settled by sending it again.",
        likely_cause: "acknowledged before it is durable: `synchronous_commit = off`, `acks=1`, write-behind",
    }
    server_kill_intact {
        guarantee: "A1", level: 4, kind: Stochastic,
        needs: [Durability], hooks: [Server],
        summary: "Whatever a reader saw before the server was killed is still there at its position afterwards, with nothing new below it and no append in parts.",
        likely_cause: "what is read before it is durable, parts of an append, positions that are counted anew after a start",
    }
    server_kill_subscription {
        guarantee: "S7", level: 4, kind: Stochastic,
        needs: [Durability], hooks: [Server],
        summary: "Subscriptions go on by themselves after the server was killed, without loss or repetition.",
        likely_cause: "a connection that is listened on and not made again, or made again without catching up",
    }
}

async fn server_kill_durable(cx: Cx) -> Verdict {
    let kills = cx.scale(5).max(5);
    cx.minimum_ops(kills);
    let mut storm = Storm::begin(&cx).await?;
    for _ in 0..kills {
        storm.kill_and_start().await?;
    }
    let fresh = storm.end().await?;
    storm.judge(&fresh, "server_kill_durable").await
}

/// Reads on after what it has seen, through whatever happens to the server.
async fn look_on(handle: Handle, over: watch::Receiver<bool>) -> Verdict<Vec<RecordedEvent>> {
    let (mut seen, mut after) = (Vec::new(), Position::START);
    loop {
        let last_look = *over.borrow();
        let mut more = 0;
        match handle.read(Read::log(Query::all()).after(after).page_size(50)).await {
            Ok(page) => {
                more = page.events.len();
                after = page.events.last().map_or(after, RecordedEvent::position);
                seen.extend(page.events);
            }
            Err(error) if passes(&error) => {}
            Err(error) => return Err(error.into()),
        }
        if more == 0 {
            if last_look {
                return Ok(seen);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn server_kill_intact(cx: Cx) -> Verdict {
    let kills = cx.scale(3);
    cx.minimum_ops(kills);
    let mut storm = Storm::begin(&cx).await?;
    let over = watch::Sender::new(false);
    let reader = cx.spawn(look_on(storm.served.handle().await?, over.subscribe()));
    for _ in 0..kills {
        storm.kill_and_start().await?;
    }
    let fresh = storm.end().await?;
    let log = fresh.read_log().await?;
    over.send_replace(true);
    let seen = cx.within("a reader's last look", reader.join()).await???;
    same_events(&seen, &log, "what a reader saw while the server was killed, against the log afterwards")?;
    storm.judge(&fresh, "server_kill_intact").await
}

/// Follows until it is at the position that is told in the end.
async fn follow(mut tail: Tail, mut end: watch::Receiver<Option<Position>>) -> Verdict<Vec<RecordedEvent>> {
    let (mut seen, mut at) = (Vec::new(), Position::START);
    loop {
        if end.borrow().is_some_and(|end| at >= end) {
            return Ok(seen);
        }
        let signal = tokio::select! {
            signal = tail.signal() => signal?,
            Ok(()) = end.changed() => continue,
        };
        match signal {
            annalist_core::Signal::Event(event) => {
                at = event.position();
                seen.push(event);
            }
            annalist_core::Signal::CaughtUp(position) | annalist_core::Signal::Progress(position) => {
                at = position
            }
            _ => {}
        }
    }
}

async fn server_kill_subscription(cx: Cx) -> Verdict {
    let kills = cx.scale(3);
    cx.minimum_ops(kills);
    let mut storm = Storm::begin(&cx).await?;
    let queries = [Query::all(), Query::category("Own"), Query::stream("Order-1")];
    let (end, mut followers) = (watch::Sender::new(None), Vec::new());
    for query in &queries {
        let handle = storm.served.handle().await?;
        let subscribe = Subscribe::to(query.clone()).outage_max(4 * cx.patience());
        followers.push(cx.spawn(follow(handle.tail(subscribe).await?, end.subscribe())));
    }
    for _ in 0..kills {
        storm.kill_and_start().await?;
    }
    let fresh = storm.end().await?;
    let log = fresh.read_log().await?;
    ensure!(!log.is_empty(), "nothing was written");
    end.send_replace(log.last().map(RecordedEvent::position));
    for (query, follower) in queries.iter().zip(followers) {
        let seen = cx.within("a subscription's way to the end of the log", follower.join()).await???;
        let expected: Vec<_> = log.iter().filter(|event| query.matches_recorded(event)).cloned().collect();
        same_events(
            &seen,
            &expected,
            &format!("what a subscription to {query:?} gave through {kills} kills"),
        )?;
    }
    Ok(())
}
