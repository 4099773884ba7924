//! Positions that are not of this log, or not yet (G5).

use annalist_core::{Append, ExpectedVersion, Position, Query, Read};

use super::{all, numbers, with_numbers};
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, expect, stream};

checks! {
    area: "global",
    past_head_refused {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "A position past the head is refused as WrongHistory, as a bound of a read and in a condition.",
        likely_cause: "a bound that nothing meets gives nothing, which a consumer takes for \"nothing new\" for ever",
    }
    other_log_refused {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "A position of another log is refused as WrongHistory, as a bound of a read and in a condition, however small it is.",
        likely_cause: "positions are bare numbers, which fit any log",
    }
    past_head_until_written {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "A position is refused only until the log has reached it.",
        likely_cause: "a cached head, or a refusal that is remembered",
    }
}

/// Sees to it that a position is refused wherever one can be named, and that it leaves nothing behind.
async fn refused_everywhere(cx: &Cx, position: Position) -> Verdict {
    let reads = [
        all().after(position),
        all().after(position).backward(),
        all().after(position).limit(0),
        all().until(position),
        all().until(position).backward().page_size(1),
        Read::log(Query::types(["Never"])).after(position),
    ];
    for read in reads {
        expect::wrong_history(cx.read(read).await)?;
    }
    let only_check = Append::new().condition(Query::types(["Never"]), position);
    expect::wrong_history(cx.append(only_check).await)?;
    let write = Append::to(&stream("Order-1"), ExpectedVersion::Any, events(1));
    expect::wrong_history(cx.append(write.condition(Query::all(), position)).await)?;
    Ok(())
}

async fn past_head_refused(cx: Cx) -> Verdict {
    let log = cx.append_medley(5).await?;
    let head = cx.head().await?;
    let (major, minor) = numbers(head);
    let past = [
        (major, minor.saturating_add(1)),
        (major, u32::MAX),
        (major.saturating_add(1), 0),
        (major.saturating_add(1_000_000), 0),
        (u64::MAX, u32::MAX),
    ];
    for (major, minor) in past {
        let position = with_numbers(head, major, minor);
        ensure!(position > head, "the head {head} is the last position that can be named");
        refused_everywhere(&cx, position).await?;
    }
    cx.log_is(&log, &[], "after positions past its head were refused").await
}

async fn other_log_refused(cx: Cx) -> Verdict {
    let log = cx.append_medley(8).await?;
    let other = cx.other_namespace("_other").await?;
    other.append_any("Order-1", 4).await?;
    for event in other.read_log().await? {
        refused_everywhere(&cx, event.position()).await?;
    }
    let mine = numbers(log[3].position());
    let text = log[3].position().to_string();
    let tag = u32::from_str_radix(&text[..8], 16).map_or(1, |tag| tag.wrapping_add(1).max(1));
    let foreign = format!("{tag:08x}-{:016x}-{:08x}", mine.0, mine.1);
    let foreign: Position = foreign.parse()?;
    refused_everywhere(&cx, foreign).await?;
    ensure_eq!(other.read_log().await?.len(), 4, "events in the other log");
    cx.log_is(&log, &[], "after positions of another log were refused").await
}

async fn past_head_until_written(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 1).await?;
    let other = cx.fresh().await?;
    for _ in 0..5 {
        let head = cx.head().await?;
        let (major, minor) = numbers(head);
        let next = with_numbers(head, major, minor.saturating_add(1));
        expect::wrong_history(cx.read(all().after(next)).await)?;
        let reached = other.append_any("Order-1", 2).await?.written()[0].positions()[1];
        let after = cx.drain(all().after(reached)).await?.events;
        ensure_eq!(after.len(), 0, "events after the position of the newest");
        let after = cx.drain(all().after(head)).await?.events;
        ensure_eq!(after.len(), 2, "events after the head before the append");
    }
    Ok(())
}
