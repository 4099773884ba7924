//! Appends that are dropped at every point at which they can be.

use annalist_core::{Append, ExpectedVersion, NewEvent, Position, Query, StreamId};

use super::next_is_real;
use crate::{
    Cx, Handle, Sweep, Verdict, checks, ensure, ensure_eq, events, exact, expect, same_as_appended, stream,
    tagged,
};

checks! {
    area: "res",
    cancel_append {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "An append that is dropped at any point is there wholly or not at all, and the next acknowledged one is real.",
        likely_cause: "a dropped `Pool::begin`, whose transaction swallows a later append; events inserted one by one",
    }
    cancel_append_multi {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "An append to several streams that is dropped at any point is in all of them or in none.",
        likely_cause: "a loop over streams",
    }
    cancel_append_then_retry {
        guarantee: "I1", level: 1, kind: Sweep,
        summary: "A dropped append that is sent again is there once, with one receipt for ever.",
        likely_cause: "ids that are kept before the events are, or a claim on the id that nobody takes back",
    }
    cancel_append_then_close {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "What is acknowledged after a dropped append outlives the handle.",
        likely_cause: "a transaction left open, which is rolled back when the connection closes",
    }
    cancel_refused {
        guarantee: "C1", level: 1, kind: Sweep,
        summary: "An append that must be refused and is dropped leaves nothing, and holds up nobody.",
        likely_cause: "a lock on the stream that is released after the answer only",
    }
    cancel_holds_no_lock {
        guarantee: "C3", level: 1, kind: Sweep,
        summary: "After an append was dropped, other handles append to the same stream at once.",
        likely_cause: "a lock with a lease, or one that is released by a line that is never reached",
    }
}

fn rounds(cx: &Cx) -> Sweep {
    cx.minimum_ops(3);
    Sweep::new(cx)
}

/// The events of a stream, which must be all of these or none.
async fn all_or_none(handle: &Handle, stream: &StreamId, given: &[NewEvent], when: &str) -> Verdict<bool> {
    let found = handle.read_stream(stream).await?;
    if found.is_empty() {
        return Ok(false);
    }
    same_as_appended(&found, given, when)?;
    Ok(true)
}

async fn cancel_append(cx: Cx) -> Verdict {
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let when = format!("after an append that was given {} polls", sweep.polls());
        let (order, given) = (stream(&format!("Order-{}", sweep.polls())), events(3));
        let answer = sweep.give(cx.append_to(&order, exact(0), given.clone())).await?;
        let fresh = cx.fresh().await?;
        let there = all_or_none(&fresh, &order, &given, &when).await?;
        ensure!(answer.is_none() || there, "{when} it was acknowledged, and is not there");
        next_is_real(&cx, &cx, &when).await?;
        // It may have come in the background meanwhile, but never a part of it.
        all_or_none(&cx, &order, &given, &when).await?;
    }
    Ok(())
}

async fn cancel_append_multi(cx: Cx) -> Verdict {
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let n = sweep.polls();
        let when = format!("after an append to three streams that was given {n} polls");
        let streams = ["A", "B", "C"].map(|name| stream(&format!("{name}-{n}")));
        let given = [events(1), events(2), events(3)];
        let written = streams.iter().zip(&given).fold(Append::new(), |append, (stream, events)| {
            append.write(stream, ExpectedVersion::NoStream, events.clone())
        });
        let append = written
            .check(&stream("Free-1"), ExpectedVersion::NoStream)
            .condition(Query::tags([format!("free {n}")]), Position::START);
        let answer = sweep.give(cx.append(append)).await?;
        // Read through one head, so that what comes meanwhile is no part.
        let log = cx.fresh().await?.read_log().await?;
        let of_append = log.iter().filter(|event| streams.contains(event.stream())).cloned();
        let of_append: Vec<_> = of_append.collect();
        ensure!(answer.is_none() || !of_append.is_empty(), "{when} it was acknowledged, and is not there");
        if !of_append.is_empty() {
            same_as_appended(&of_append, &given.concat(), &when)?;
        }
        next_is_real(&cx, &cx, &when).await?;
    }
    Ok(())
}

async fn cancel_append_then_retry(cx: Cx) -> Verdict {
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let when = format!("after an append that was given {} polls", sweep.polls());
        let (order, given) = (stream(&format!("Order-{}", sweep.polls())), events(2));
        let append = Append::to(&order, exact(0), given.clone());
        let first = sweep.give(cx.append(append.clone())).await?;
        let again = cx.within("the append that is sent again", cx.append(append.clone())).await??;
        let fresh = cx.fresh().await?;
        same_as_appended(&fresh.read_stream(&order).await?, &given, &format!("{when}, sent again"))?;
        let third = fresh.append(append).await?;
        ensure!(third.already_committed(), "{when} it was sent a third time, and is told to be new");
        ensure_eq!(again.written(), third.written(), "the receipt of a later retry, {when}");
        if let Some(first) = first {
            ensure_eq!(first?.written(), third.written(), "the receipt of the first append, {when}");
        }
    }
    Ok(())
}

async fn cancel_append_then_close(cx: Cx) -> Verdict {
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let when = format!("after an append that was given {} polls", sweep.polls());
        let handle = cx.fresh().await?;
        let order = stream(&format!("Order-{}", sweep.polls()));
        sweep.give(handle.append_to(&order, ExpectedVersion::Any, events(2))).await?;
        let proof = cx.within("the next append", handle.works("After-1")).await??;
        cx.within("closing", handle.close()).await??;
        let log = cx.fresh().await?.read_log().await?;
        ensure!(
            log.iter().any(|event| event.id() == proof.id()),
            "{when} an append was acknowledged, which is lost with its handle"
        );
    }
    Ok(())
}

async fn cancel_refused(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    cx.append_to(&order, exact(0), [tagged("Placed", &["taken"])]).await?;
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let when = format!("after an append to be refused that was given {} polls", sweep.polls());
        let other = stream(&format!("Other-{}", sweep.polls()));
        let append = Append::to(&other, ExpectedVersion::Any, events(2))
            .check(&order, ExpectedVersion::NoStream)
            .condition(Query::tags(["taken"]), Position::START);
        if let Some(answer) = sweep.give(cx.append(append)).await? {
            expect::conflict(answer)?;
        }
        next_is_real(&cx, &cx, &when).await?;
        let found = cx.fresh().await?.read_stream(&other).await?;
        ensure!(found.is_empty(), "{when} {} events of it are there", found.len());
    }
    Ok(())
}

async fn cancel_holds_no_lock(cx: Cx) -> Verdict {
    let (order, other) = (stream("Order-1"), cx.fresh().await?);
    let mut sweep = rounds(&cx);
    while sweep.goes_on()? {
        let when = format!("after another handle's append was given {} polls", sweep.polls());
        sweep.give(cx.append_to(&order, ExpectedVersion::Any, events(1))).await?;
        let appended = other.append_to(&order, ExpectedVersion::Any, events(1));
        cx.within(&format!("an append {when}"), appended).await??;
        let claimed = other.append(Append::new().check(&order, ExpectedVersion::Exists));
        cx.within(&format!("a check {when}"), claimed).await??;
    }
    Ok(())
}
