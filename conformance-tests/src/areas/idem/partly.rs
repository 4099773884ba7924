//! What looks like a retry and is none: refused as a whole, nothing written.

use annalist_core::{Append, ExpectedVersion, NewEvent, StreamId};

use super::rewritten;
use crate::{Cx, Verdict, checks, ensure_eq, events, exact, expect, stream};

checks! {
    area: "idem",
    part_refused {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "A part of a stored append, its beginning, its end or its middle, is refused as `IdReused`.",
        likely_cause: "every event looked up for itself: all known, so it must be a retry",
    }
    extension_refused {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "A stored append with events before, between or after its own is refused as `IdReused`, and none is written.",
        likely_cause: "known events skipped, the others appended",
    }
    other_order_refused {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "The events of a stored append in another order are refused as `IdReused`.",
        likely_cause: "ids compared as a set",
    }
    union_of_two_refused {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "The events of two stored appends together, of one stream or of two, are refused as `IdReused`.",
        likely_cause: "all events known and in order, and what came with what is not kept",
    }
    mixed_with_new_refused {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "Known ids of several appends mixed with unknown ones are refused as `IdReused`, under every expectation.",
        likely_cause: "`ON CONFLICT DO NOTHING` for each row",
    }
    missing_stream_of_append_refused {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "A retry that lacks one of the append's streams is refused as `IdReused`.",
        likely_cause: "each stream looked at for itself",
    }
    extra_stream_refused {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "A stored append with one more stream is refused as `IdReused`, and nothing is written to that stream.",
        likely_cause: "each stream looked at for itself: the new one is written",
    }
    same_id_next_version {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "A known id is refused as `IdReused` where the expected version is right and everything else is new.",
        likely_cause: "ids looked at only if the version does not match",
    }
    reused_names_where {
        guarantee: "I3", level: 1, kind: Deterministic,
        summary: "The refusal names the first id that stands with other content, else the first that stands at all, and where.",
        likely_cause: "the first id of the request named, or the version that it would have got",
    }
}

/// Each of these is refused as `IdReused`, and leaves nothing behind.
async fn all_reused(cx: &Cx, appends: Vec<Append>, streams: &[&StreamId]) -> Verdict {
    let before = cx.read_log().await?;
    for append in appends {
        expect::id_reused(cx.append(append).await)?;
    }
    cx.log_is(&before, streams, "after appends with reused ids").await
}

/// The events at these places.
fn pick(events: &[NewEvent], places: &[usize]) -> Vec<NewEvent> {
    places.iter().map(|place| events[*place].clone()).collect()
}

async fn part_refused(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let made = events(4);
    cx.append_to(&order, exact(0), made.clone()).await?;
    let parts: [&[usize]; 7] = [&[0], &[3], &[0, 1, 2], &[1, 2, 3], &[1, 2], &[0, 1], &[0, 3]];
    let mut appends = Vec::new();
    for places in parts {
        for expected in [ExpectedVersion::Any, exact(0), exact(4)] {
            appends.push(Append::to(&order, expected, pick(&made, places)));
        }
    }
    all_reused(&cx, appends, &[]).await
}

async fn extension_refused(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let (made, new) = (events(2), events(2));
    cx.append_to(&order, exact(0), made.clone()).await?;
    let all = [made.clone(), new].concat();
    let orders: [&[usize]; 5] = [&[0, 1, 2], &[2, 0, 1], &[0, 2, 1], &[0, 1, 2, 3], &[2, 0, 1, 3]];
    let mut appends = Vec::new();
    for places in orders {
        for expected in [exact(0), exact(2), ExpectedVersion::Any] {
            appends.push(Append::to(&order, expected, pick(&all, places)));
        }
    }
    all_reused(&cx, appends, &[]).await
}

async fn other_order_refused(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    let made = events(3);
    cx.append_to(&order, exact(0), made.clone()).await?;
    let orders: [&[usize]; 5] = [&[0, 2, 1], &[1, 0, 2], &[1, 2, 0], &[2, 0, 1], &[2, 1, 0]];
    let appends = orders.iter().map(|places| Append::to(&order, exact(0), pick(&made, places)));
    all_reused(&cx, appends.collect(), &[]).await?;

    // In one stream of several.
    let (one, other) = (events(2), events(2));
    let both = |ours: &[usize]| {
        Append::to(&order, ExpectedVersion::Any, pick(&one, ours)).write(
            &cart,
            ExpectedVersion::Any,
            other.clone(),
        )
    };
    cx.append(both(&[0, 1])).await?;
    all_reused(&cx, vec![both(&[1, 0])], &[]).await
}

async fn union_of_two_refused(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    let (first, second, third) = (events(2), events(2), events(2));
    cx.append_to(&order, exact(0), first.clone()).await?;
    cx.append_to(&order, exact(2), second.clone()).await?;
    cx.append_to(&cart, exact(0), third.clone()).await?;
    let unions = vec![
        Append::to(&order, exact(0), [first.clone(), second.clone()].concat()),
        Append::to(&order, ExpectedVersion::Any, [second.clone(), first.clone()].concat()),
        Append::to(&order, exact(2), second.clone()).write(&cart, exact(0), third.clone()),
        // As many events as one of them has, of both.
        Append::to(&order, exact(0), [first[1].clone(), second[0].clone()]),
        Append::to(&order, exact(0), [first[0].clone()]).write(&cart, exact(0), [third[1].clone()]),
    ];
    all_reused(&cx, unions, &[]).await
}

async fn mixed_with_new_refused(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let (first, second) = (events(2), events(2));
    cx.append_to(&order, exact(0), first.clone()).await?;
    cx.append_to(&order, exact(2), second.clone()).await?;
    let mut appends = Vec::new();
    for expected in
        [ExpectedVersion::Any, ExpectedVersion::Exists, ExpectedVersion::NoStream, exact(0), exact(4)]
    {
        appends.push(Append::to(&order, expected, [second[1].clone()].into_iter().chain(events(1))));
        appends.push(Append::to(
            &order,
            expected,
            events(1).into_iter().chain([first[0].clone(), second[0].clone()]),
        ));
    }
    all_reused(&cx, appends, &[]).await
}

async fn missing_stream_of_append_refused(cx: Cx) -> Verdict {
    let streams = ["Order-1", "Cart-1", "User-1"].map(stream);
    let made = [events(2), events(2), events(1)];
    let of = |places: &[usize]| {
        places.iter().fold(Append::new(), |append, i| {
            append.write(&streams[*i], ExpectedVersion::Any, made[*i].clone())
        })
    };
    cx.append(of(&[0, 1, 2])).await?;
    let lacking = [of(&[0]), of(&[1]), of(&[2]), of(&[0, 1]), of(&[1, 2]), of(&[2, 0])];
    // A write of the stream without its events is a check, and does not stand for them.
    let emptied = of(&[0, 1]).write(&streams[2], ExpectedVersion::Any, []);
    all_reused(&cx, lacking.into_iter().chain([emptied]).collect(), &[]).await
}

async fn extra_stream_refused(cx: Cx) -> Verdict {
    let (order, cart, user) = (stream("Order-1"), stream("Cart-1"), stream("User-1"));
    let (one, other) = (events(2), events(2));
    cx.append_to(&order, exact(0), one.clone()).await?;
    let both = Append::to(&order, ExpectedVersion::Any, other.clone()).write(&cart, exact(0), events(1));
    cx.append(both.clone()).await?;
    let appends = vec![
        Append::to(&order, exact(0), one.clone()).write(&user, exact(0), events(1)),
        Append::to(&user, exact(0), events(1)).write(&order, exact(0), one.clone()),
        both.write(&user, ExpectedVersion::Any, events(2)),
        // The same events in another stream are other events there, which makes it no retry.
        Append::to(&order, exact(0), one.clone()).write(&user, exact(0), one),
    ];
    all_reused(&cx, appends, &[&user]).await
}

async fn same_id_next_version(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let made = events(1);
    cx.append_to(&order, exact(0), made.clone()).await?;
    cx.append_any("Order-1", 1).await?;
    let other = rewritten(&made);
    let appends = vec![
        Append::to(&order, exact(2), other.clone()),
        Append::to(&order, ExpectedVersion::Any, other.clone()),
        Append::to(&order, exact(2), events(1).into_iter().chain(other)),
        Append::to(&order, exact(2), events(1).into_iter().chain(made)),
    ];
    all_reused(&cx, appends, &[]).await
}

async fn reused_names_where(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    cx.append_any("Order-1", 3).await?;
    let (made, others) = (events(3), events(2));
    cx.append_to(&order, exact(3), made.clone()).await?;
    cx.append_to(&cart, exact(0), others.clone()).await?;
    let new = events(1);
    let changed = rewritten(&made);
    let cases = [
        // None is changed: the first in request order that stands in the log.
        (
            Append::to(&order, exact(6), [new[0].clone(), made[1].clone(), made[0].clone()]),
            made[1].id(),
            &order,
            5,
        ),
        (
            Append::to(&cart, exact(2), new.clone()).write(&order, exact(6), [made[2].clone()]),
            made[2].id(),
            &order,
            6,
        ),
        (
            Append::to(&cart, exact(0), [others[1].clone()]).write(&order, exact(6), made.clone()),
            others[1].id(),
            &cart,
            2,
        ),
        // One is changed: that one, wherever it is.
        (
            Append::to(&order, exact(3), [made[0].clone(), changed[1].clone(), made[2].clone()]),
            made[1].id(),
            &order,
            5,
        ),
        (
            Append::to(&order, exact(6), [made[0].clone(), new[0].clone(), changed[2].clone()]),
            made[2].id(),
            &order,
            6,
        ),
        (
            Append::to(&cart, exact(0), others.clone()).write(&order, exact(6), [changed[0].clone()]),
            made[0].id(),
            &order,
            4,
        ),
    ];
    for (n, (append, id, stream, version)) in cases.into_iter().enumerate() {
        let reused = expect::id_reused(cx.append(append).await)?;
        ensure_eq!(reused.id, id, "the id that is named in case {n}");
        ensure_eq!(&reused.stream, stream, "the stream that is named in case {n}");
        ensure_eq!(reused.version.get(), version, "the version that is named in case {n}");
    }
    Ok(())
}
