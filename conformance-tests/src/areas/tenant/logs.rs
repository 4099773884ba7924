//! What a namespace shows: its own streams, its own log, its own positions.

use annalist_core::{Append, ExpectedVersion, Query, Read, Subscribe, Version};

use crate::{
    Cx, Handle, Verdict, checks, ensure, ensure_eq, event, expect, query_medley, same_as_appended,
    same_events, stream,
};

checks! {
    area: "tenant",
    reads {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "A stream of one namespace has nothing to do with the stream of the same name in another.",
        likely_cause: "a query without the predicate for the namespace",
    }
    log {
        guarantee: "G1", level: 1, kind: Deterministic,
        summary: "The log of a namespace holds its own events only, whole or through any query, and so does its head.",
        likely_cause: "one table for all namespaces, and an index that knows nothing of them",
    }
    subs {
        guarantee: "S1", level: 1, kind: Deterministic,
        summary: "A subscription gives events of its own namespace only, caught up and live.",
        likely_cause: "one channel of notifications for all namespaces, whose payload is handed on",
    }
    positions {
        guarantee: "G5", level: 1, kind: Deterministic,
        summary: "A position of one namespace is refused as WrongHistory in another: in reads, conditions, subscriptions and checkpoints.",
        likely_cause: "one log id for the whole database",
    }
    prefix_names {
        guarantee: "R1", level: 1, kind: Deterministic,
        summary: "Namespaces of which one name begins with another never mix.",
        likely_cause: "begins_with on a joined key, or a name that is cut to the width of an identifier",
    }
}

/// Appends events with these data to `Order-1`, one by one.
async fn write(handle: &Handle, data: &[&str]) -> Verdict {
    for data in data {
        let made = event("Happened", (*data).to_owned());
        handle.append_to(&stream("Order-1"), ExpectedVersion::Any, [made]).await?;
    }
    Ok(())
}

async fn data_of(handle: &Handle, read: Read) -> Verdict<Vec<String>> {
    let events = handle.drain(read).await?.events;
    Ok(events.iter().map(|event| String::from_utf8_lossy(event.data()).into_owned()).collect())
}

async fn reads(cx: Cx) -> Verdict {
    let (other, order) = (cx.other_namespace("_other").await?, stream("Order-1"));
    write(&cx, &["mine 1", "mine 2"]).await?;
    let missing = other.drain(Read::stream(&order)).await?;
    ensure!(missing.events.is_empty(), "a new namespace gives {:?}", missing.events);
    ensure_eq!(missing.version, Version::NONE, "the version of a stream that the namespace does not have");
    write(&other, &["other 1"]).await?;
    write(&cx, &["mine 3"]).await?;
    for (handle, expected) in [
        (&*cx, vec!["mine 1", "mine 2", "mine 3"]),
        (&other, vec!["other 1"]),
        (&cx.fresh().await?, vec!["mine 1", "mine 2", "mine 3"]),
    ] {
        ensure_eq!(data_of(handle, Read::stream(&order)).await?, expected, "the stream in one namespace");
        let newest = data_of(handle, Read::stream(&order).backward().limit(1)).await?;
        let newest: Vec<_> = newest.iter().map(String::as_str).collect();
        ensure_eq!(
            newest,
            expected.last().copied().into_iter().collect::<Vec<_>>(),
            "the newest event in one namespace"
        );
        ensure_eq!(handle.version(&order).await?.get(), expected.len() as u64, "its version");
    }
    Ok(())
}

async fn log(cx: Cx) -> Verdict {
    let other = cx.other_namespace("_other").await?;
    let empty = other.head().await?;
    let mine = cx.append_medley(12).await?;
    ensure!(other.read_log().await?.is_empty(), "a namespace that was never written gives events");
    ensure_eq!(other.head().await?, empty, "the head of a namespace that was never written");

    let of_other = other.append_medley(9).await?;
    ensure_eq!((mine.len(), of_other.len()), (12, 9), "events in the two logs");
    same_events(&cx.read_log().await?, &mine, "one log, after the other was written")?;
    for (name, query) in query_medley() {
        for (handle, log) in [(&*cx, &mine), (&other, &of_other)] {
            let expected: Vec<_> =
                log.iter().filter(|event| query.matches_recorded(event)).cloned().collect();
            let found = handle.drain(Read::log(query.clone())).await?.events;
            same_events(&found, &expected, &format!("one log, through: {name}"))?;
        }
    }
    Ok(())
}

async fn subs(cx: Cx) -> Verdict {
    let other = cx.other_namespace("_other").await?;
    write(&cx, &["mine"]).await?;
    write(&other, &["other", "other"]).await?;
    let mut whole = cx.tail(Subscribe::to(Query::all())).await?;
    let (caught_up, _) = whole.until_caught_up().await?;
    same_events(&caught_up, &cx.read_log().await?, "what a subscription catches up on")?;
    let mut now = cx.tail(Subscribe::to(Query::category("Order")).from_now()).await?;
    // Whatever of the other namespace could arrive would arrive before what is written to this one afterwards.
    write(&other, &["other", "other"]).await?;
    for marker in ["marker 1", "marker 2"] {
        write(&cx, &[marker]).await?;
        for tail in [&mut whole, &mut now] {
            let event = tail.event().await?;
            ensure_eq!(event.data().as_ref(), marker.as_bytes(), "the next live event");
        }
        write(&other, &["other"]).await?;
    }
    Ok(())
}

async fn positions(cx: Cx) -> Verdict {
    let other = cx.other_namespace("_other").await?;
    write(&other, &["other 1", "other 2"]).await?;
    let mine = cx.append_medley(6).await?;
    for event in other.read_log().await? {
        let foreign = event.position();
        for read in
            [Read::log(Query::all()).after(foreign), Read::log(Query::all()).until(foreign).backward()]
        {
            expect::wrong_history(cx.read(read).await)?;
        }
        let append = Append::new().condition(Query::types(["Never"]), foreign);
        expect::wrong_history(cx.append(append).await)?;
        let subscribed = cx.store().subscribe(Subscribe::to(Query::all()).after(foreign)).await;
        expect::wrong_history(subscribed.map(drop))?;
        let name = crate::checkpoint("mailer");
        let owner = cx.checkpoints().claim_checkpoint(&name).await?.owner;
        expect::wrong_history(cx.checkpoints().save_checkpoint(&owner, foreign).await)?;
        expect::wrong_history(cx.checkpoints().reset_checkpoint(&name, foreign).await.map(drop))?;
        ensure_eq!(cx.checkpoints().load_checkpoint(&name).await?, None, "the checkpoint after refusals");
    }
    cx.log_is(&mine, &[], "after positions of another namespace were refused").await
}

async fn prefix_names(cx: Cx) -> Verdict {
    let mut handles = vec![("".to_owned(), (*cx).clone())];
    for suffix in ["1", "10", "1_0", "_", "__", "a", "ab", "x12345678901234", "x12345678901235"] {
        handles.push((suffix.to_owned(), cx.other_namespace(suffix).await?));
    }
    let made: Vec<_> = handles.iter().map(|(suffix, _)| event("Happened", suffix.clone())).collect();
    for ((suffix, handle), event) in handles.iter().zip(&made) {
        let written = handle.append_to(&stream("Order-1"), ExpectedVersion::NoStream, [event.clone()]).await;
        ensure!(written.is_ok(), "the first append to a namespace with the suffix {suffix:?}: {written:?}");
    }
    for ((suffix, handle), event) in handles.iter().zip(&made) {
        let log = handle.read_log().await?;
        same_as_appended(&log, std::slice::from_ref(event), &format!("the log with the suffix {suffix:?}"))?;
    }
    Ok(())
}
