//! Reading from and up to positions (G5).

use annalist_core::{Append, Conflict, ExpectedVersion, Position, Query, Read};

use super::{above, all, numbers, reversed, up_to, with_numbers};
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, expect, same_events, stream};

checks! {
    area: "global",
    after_exclusive {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "Reading after the position of an event gives the next one first, for every event.",
        likely_cause: "an inclusive bound, which gives the last event again for ever",
    }
    resume_everywhere {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "Reading after the position of any event gives exactly the rest, in pages and through any handle.",
        likely_cause: "a cursor by timestamp, which skips or repeats events of the same instant",
    }
    resume_between {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "Reading after a position that holds no event gives exactly the rest; so do bounds and conditions there.",
        likely_cause: "the place is looked up by equality, and one that is not found is taken for the beginning or the end",
    }
    until_inclusive {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "Reading until the position of any event ends with that event, in both directions.",
        likely_cause: "an exclusive bound",
    }
    after_and_until {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "Both bounds together give what lies between; nothing where they stand the wrong way round.",
        likely_cause: "one bound overwrites the other, or they are swapped without a word",
    }
}

async fn after_exclusive(cx: Cx) -> Verdict {
    let log = cx.append_medley(15).await?;
    for (i, event) in log.iter().enumerate() {
        let next = cx.drain(all().after(event.position()).limit(1)).await?.events;
        same_events(&next, &log[i + 1..log.len().min(i + 2)], &format!("one event after the {}.", i + 1))?;
    }
    Ok(())
}

async fn resume_everywhere(cx: Cx) -> Verdict {
    for i in 0..10 {
        cx.append_any(&format!("Order-{}", i % 3), 1 + i % 4).await?;
    }
    let (log, fresh) = (cx.read_log().await?, cx.fresh().await?);
    same_events(&fresh.drain(all().after(Position::START)).await?.events, &log, "the log after START")?;
    for (i, event) in log.iter().enumerate() {
        for page_size in [1, 3, 1_000] {
            let rest = fresh.drain(all().after(event.position()).page_size(page_size)).await?.events;
            same_events(
                &rest,
                &log[i + 1..],
                &format!("the rest after event {} in pages of {page_size}", i + 1),
            )?;
        }
    }
    Ok(())
}

/// Positions beside those of the events, none above the head: most hold no event in most stores.
fn neighbours(positions: &[Position], head: Position) -> Vec<Position> {
    let mut beside = Vec::new();
    for position in positions {
        let (major, minor) = numbers(*position);
        let numbers = [
            (major, minor.saturating_add(1)),
            (major, u32::MAX),
            (major, minor.saturating_sub(1)),
            (major.saturating_sub(1), u32::MAX),
            (major.saturating_sub(1), 1),
        ];
        // (0, 0) is no position of a log.
        let named = numbers.into_iter().filter(|numbers| *numbers != (0, 0));
        beside.extend(named.map(|(major, minor)| with_numbers(*position, major, minor)));
    }
    beside.retain(|position| *position <= head);
    beside.sort_unstable();
    beside.dedup();
    beside
}

async fn resume_between(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 3).await?;
    for i in 0..5 {
        cx.append_any(&format!("Order-{i}"), 1 + i % 2).await?;
        let taken = cx.append_to(&stream("Order-1"), ExpectedVersion::NoStream, events(1)).await;
        expect::conflict(taken)?;
    }
    let drained = cx.drain(all()).await?;
    let (log, head) = (drained.events, drained.head);
    let positions: Vec<_> = log.iter().map(|event| event.position()).collect();
    let beside = neighbours(&positions, head);
    ensure!(!beside.is_empty(), "no position can be named beside those of {} events", log.len());
    for position in beside {
        let (rest, before) = (above(&log, position), up_to(&log, position));
        let after = cx.drain(all().after(position).page_size(4)).await?.events;
        same_events(&after, &rest, &format!("the log after {position}"))?;
        let until = cx.drain(all().until(position)).await?.events;
        same_events(&until, &before, &format!("the log until {position}"))?;
        let backward = cx.drain(all().until(position).backward().page_size(3)).await?.events;
        same_events(&backward, &reversed(before), &format!("the log backward from {position}"))?;

        let unless_newer = Append::new().condition(Query::all(), position);
        match rest.first().map(|event| event.position()) {
            Some(matched) => {
                let found = expect::conflict(cx.append(unless_newer).await)?;
                ensure_eq!(found, Conflict::Condition { index: 0, matched }, "a condition after {position}");
            }
            None => drop(cx.append(unless_newer).await?),
        }
    }
    Ok(())
}

async fn until_inclusive(cx: Cx) -> Verdict {
    let log = cx.append_medley(15).await?;
    for (i, event) in log.iter().enumerate() {
        let what = format!("the log until the {}. event", i + 1);
        let until = cx.drain(all().until(event.position()).page_size(4)).await?.events;
        same_events(&until, &log[..=i], &what)?;
        let backward = cx.drain(all().until(event.position()).backward()).await?.events;
        same_events(&backward, &reversed(log[..=i].to_vec()), &format!("{what}, backward"))?;
    }
    Ok(())
}

async fn after_and_until(cx: Cx) -> Verdict {
    let log = cx.append_medley(9).await?;
    for (i, j) in (0..9).flat_map(|i| (0..9).map(move |j| (i, j))) {
        let (after, until) = (log[i].position(), log[j].position());
        let (what, expected) =
            (format!("between events {} and {}", i + 1, j + 1), up_to(&above(&log, after), until));
        for query in [Query::all(), Query::category("Order")] {
            let matching: Vec<_> =
                expected.iter().filter(|event| query.matches_recorded(event)).cloned().collect();
            let read = Read::log(query).after(after).until(until).page_size(3);
            same_events(&cx.drain(read.clone()).await?.events, &matching, &what)?;
            let backward = cx.drain(read.backward()).await?.events;
            same_events(&reversed(backward), &matching, &format!("{what}, backward"))?;
        }
    }
    Ok(())
}
