//! Appends to several streams.

use annalist_core::{Append, ExpectedVersion, Version};

use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, exact, expect, same_as_appended, stream};

checks! {
    area: "append",
    multi_receipt {
        guarantee: "A4", level: 1, kind: Deterministic,
        summary: "The receipt of an append to several streams tells of each stream, in the order of the request, what is read there.",
        likely_cause: "the streams told in the order in which they were locked, or only the first of them",
    }
    multi_order_in_log {
        guarantee: "A2", level: 1, kind: Deterministic,
        summary: "The events of an append to several streams stand in the log side by side, in the order of the request.",
        likely_cause: "streams sorted before they are written",
    }
    multi_one_conflict_aborts_all {
        guarantee: "A1", level: 1, kind: Deterministic,
        summary: "If the expectation of one stream does not hold, whichever it is, nothing is written to any of them.",
        likely_cause: "streams written one after the other",
    }
}

const NAMES: [&str; 4] = ["Z-1", "A-1", "M-1", "B-1"];

async fn multi_receipt(cx: Cx) -> Verdict {
    cx.append_any("A-1", 5).await?;
    let mut append = Append::new();
    for (i, name) in NAMES.iter().enumerate() {
        append = append.write(&stream(name), ExpectedVersion::Any, events(i + 1));
    }
    let receipt = cx.append(append).await?;
    let told: Vec<_> = receipt.written().iter().map(|written| written.stream().as_str()).collect();
    ensure_eq!(told, NAMES, "the streams in the receipt");

    let fresh = cx.fresh().await?;
    for (i, name) in NAMES.iter().enumerate() {
        let (written, before) = (&receipt.written()[i], if *name == "A-1" { 5 } else { 0 });
        let read = fresh.read_stream(&stream(name)).await?.split_off(before);
        ensure_eq!(written.first_version(), Version::new(before as u64 + 1), "the first version in {name}");
        let positions: Vec<_> = read.iter().map(|event| event.position()).collect();
        ensure_eq!(written.positions(), positions.as_slice(), "the positions in {name}");
        ensure_eq!(positions.len(), i + 1, "events in {name}");
    }
    let last = fresh.read_log().await?.last().map(|event| event.position());
    ensure_eq!(receipt.position(), last, "the position of the append");
    Ok(())
}

async fn multi_order_in_log(cx: Cx) -> Verdict {
    for names in [["Z-1", "A-1", "M-1"], ["M-1", "Z-1", "A-1"], ["A-1", "M-1", "Z-1"]] {
        let before = cx.read_log().await?.len();
        let (mut append, mut wanted) = (Append::new(), Vec::new());
        for name in names {
            let made = events(3);
            wanted.extend(made.clone());
            append = append.write(&stream(name), ExpectedVersion::Any, made);
        }
        cx.append(append).await?;
        let log = cx.fresh().await?.read_log().await?.split_off(before);
        same_as_appended(&log, &wanted, "the events in the log")?;
        let streams: Vec<_> = log.iter().map(|event| event.stream().as_str()).collect();
        let wanted: Vec<_> = names.iter().flat_map(|name| [*name; 3]).collect();
        ensure_eq!(streams, wanted, "the streams in the log");
    }
    Ok(())
}

async fn multi_one_conflict_aborts_all(cx: Cx) -> Verdict {
    for name in NAMES {
        cx.append_any(name, 2).await?;
    }
    let before = cx.read_log().await?;
    for (failing, name) in NAMES.iter().enumerate() {
        for wrong in [exact(1), exact(3), ExpectedVersion::NoStream] {
            let mut append = Append::new();
            for (i, name) in NAMES.iter().enumerate() {
                append = append.write(&stream(name), if i == failing { wrong } else { exact(2) }, events(2));
            }
            expect::version_conflict(cx.append(append).await, &stream(name), wrong, 2)?;
        }
    }
    cx.log_is(&before, &[], "after appends of which one stream conflicts").await?;
    let all =
        NAMES.iter().fold(Append::new(), |append, name| append.write(&stream(name), exact(2), events(1)));
    let receipt = cx.append(all).await?;
    ensure!(receipt.written().len() == NAMES.len(), "not all streams are in the receipt: {receipt:?}");
    Ok(())
}
