//! Appends that do not exclude one another: all of them land.

use annalist_core::{Append, ErrorKind, ExpectedVersion, RecordedEvent};

use super::race;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, exact, same_as_appended, stream};

checks! {
    area: "conc",
    any_all_land {
        guarantee: "A6", level: 2, kind: Stochastic,
        summary: "All appends that expect nothing land, each with versions of its own, without a gap.",
        likely_cause: "the next version computed twice, so that one overwrites the other",
    }
    counter {
        guarantee: "A3", level: 2, kind: Stochastic,
        summary: "Writers that read, append and try again on conflict count up without a miss.",
        likely_cause: "a stale read beside a weak check; a cache that makes every retry conflict",
    }
    no_false_conflict {
        guarantee: "A5", level: 2, kind: Stochastic,
        summary: "Writers of different streams never conflict.",
        likely_cause: "a serialisation failure, or contention on a shared counter, told as a conflict",
    }
    mixed_sizes {
        guarantee: "A2", level: 2, kind: Stochastic,
        summary: "Large appends beside single events stay whole and in one piece, in the stream and in the log.",
        likely_cause: "a large append written in chunks",
    }
}

async fn any_all_land(cx: Cx) -> Verdict {
    const CALLERS: usize = 8;
    let each = cx.scale(20);
    cx.minimum_ops(CALLERS * each);
    let (handles, order) = (cx.handles(4).await?, stream("Order-1"));
    let task = |i: usize| {
        let (handle, order) = (handles[i % handles.len()].clone(), order.clone());
        async move {
            let mut told = Vec::new();
            for n in 0..each {
                let given = events(1 + n % 3);
                let receipt = handle.append_to(&order, ExpectedVersion::Any, given.clone()).await?;
                told.push((receipt, given));
            }
            Ok::<_, annalist_core::Error>(told)
        }
    };
    let answers = cx.within("writers of one stream", cx.at_once(CALLERS, task)).await??;
    let found = cx.fresh().await?.read_stream(&order).await?;
    let mut total = 0;
    for answer in answers {
        for (receipt, given) in answer? {
            let written = &receipt.written()[0];
            let first =
                usize::try_from(written.first_version().get()).unwrap_or(usize::MAX).saturating_sub(1);
            let of_append = found.get(first..first + given.len()).unwrap_or_default();
            same_as_appended(of_append, &given, "the versions that a receipt tells")?;
            total += given.len();
            cx.count_op();
        }
    }
    ensure_eq!(found.len(), total, "events of all writers");
    let versions: Vec<_> = found.iter().map(|event| event.version().get()).collect();
    ensure!(versions.iter().copied().eq(1..=total as u64), "the versions have gaps: {versions:?}");
    Ok(())
}

async fn counter(cx: Cx) -> Verdict {
    const CALLERS: usize = 6;
    let each = cx.scale(8);
    cx.minimum_ops(CALLERS * each);
    let (handles, order) = (cx.handles(3).await?, stream("Counter-1"));
    let task = |i: usize| {
        let (cx, handle, order) = (cx.clone(), handles[i % handles.len()].clone(), order.clone());
        async move {
            for _ in 0..each {
                loop {
                    let version = handle.version(&order).await?.get();
                    match handle.append_to(&order, exact(version), events(1)).await {
                        Ok(receipt) => {
                            let told = receipt.version_of(&order).map_or(0, |told| told.get());
                            ensure!(told == version + 1, "counting up from {version} led to {told}");
                            break;
                        }
                        Err(error) if matches!(error.kind(), ErrorKind::Conflict(_)) => {
                            tokio::task::yield_now().await;
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                cx.count_op();
            }
            Ok(())
        }
    };
    for answer in cx.within("writers that try again on conflict", cx.at_once(CALLERS, task)).await?? {
        answer?;
    }
    ensure_eq!(cx.fresh().await?.read_stream(&order).await?.len(), CALLERS * each, "events of all writers");
    Ok(())
}

async fn no_false_conflict(cx: Cx) -> Verdict {
    const WRITERS: usize = 16;
    let each = cx.scale(10);
    cx.minimum_ops(WRITERS * each);
    let handles = cx.handles(4).await?;
    let task = |i: usize| {
        let (cx, handle) = (cx.clone(), handles[i % handles.len()].clone());
        async move {
            let own = stream(&format!("Own-{i}"));
            for version in 0..each as u64 {
                // Nobody else touches it, nor what is checked and asked here.
                let append = Append::to(&own, exact(version), events(1))
                    .check(&stream(&format!("Nobody-{i}")), ExpectedVersion::NoStream)
                    .condition(
                        annalist_core::Query::tags([format!("nobody {i}")]),
                        annalist_core::Position::START,
                    );
                handle.append(append).await?;
                cx.count_op();
            }
            Ok::<_, annalist_core::Error>(())
        }
    };
    for (i, answer) in
        cx.within("writers of different streams", cx.at_once(WRITERS, task)).await??.into_iter().enumerate()
    {
        if let Err(error) = answer {
            return Err(crate::Failure::violation(format!(
                "writer {i}, alone on its stream, is answered {error:?}"
            )));
        }
    }
    Ok(())
}

/// Whether the events of an append stand side by side.
fn side_by_side(log: &[RecordedEvent], append: &Append) -> Verdict {
    let events = &append.writes()[0].events;
    let first = log.iter().position(|event| event.id() == events[0].id());
    let first = first.ok_or_else(|| crate::Failure::violation("an acknowledged append is not in the log"))?;
    same_as_appended(
        log.get(first..first + events.len()).unwrap_or_default(),
        events,
        "neighbours in the log",
    )
}

async fn mixed_sizes(cx: Cx) -> Verdict {
    let rounds = cx.scale(6);
    cx.minimum_ops(rounds * 12);
    let handles = cx.handles(3).await?;
    for round in 0..rounds {
        let append = |i: usize| {
            let size = if i.is_multiple_of(4) { 150 } else { 1 };
            Append::to(&stream(&format!("Order-{}", i % 2)), ExpectedVersion::Any, events(size))
        };
        let appends: Vec<_> = (0..12).map(append).collect();
        for answer in race(&cx, &handles, appends.clone()).await? {
            answer?;
        }
        let log = cx.read_log().await?;
        ensure_eq!(log.len(), (round + 1) * (3 * 150 + 9), "events after round {round}");
        for append in &appends {
            side_by_side(&log, append)?;
            side_by_side(&cx.read_stream(&append.writes()[0].stream).await?, append)?;
        }
    }
    Ok(())
}
