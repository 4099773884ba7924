//! Expected versions: every kind, where it holds and where it does not.

use annalist_core::{ExpectedVersion, Version};

use crate::{Cx, Verdict, checks, ensure_eq, events, exact, expect, stream};

checks! {
    area: "append",
    exact_ok {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append that expects exactly the stream's version succeeds.",
        likely_cause: "the expectation compared with the version to be written, off by one",
    }
    exact_stale {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append that expects any version below the stream's own conflicts and writes nothing.",
        likely_cause: "a put without a condition: the expected version is never compared",
    }
    exact_future {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append that expects a version above the stream's own conflicts and leaves no hole.",
        likely_cause: "only the key of the new event is checked for absence, not that of the one before it",
    }
    nostream_new {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append that expects no stream succeeds where there is none, whatever other streams there are.",
        likely_cause: "looks for a row of the stream that has version 0",
    }
    nostream_existing {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append that expects no stream conflicts where there is one, with one event or with many.",
        likely_cause: "an upsert",
    }
    exists_missing {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append that expects the stream to exist conflicts where it does not.",
        likely_cause: "`Exists` taken as `Any`",
    }
    exists_present {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "An append that expects the stream to exist succeeds at every version from 1, whoever wrote the stream.",
        likely_cause: "existence looked up in a cache of this process",
    }
    exact_zero {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "Expecting version 0 means expecting no stream.",
        likely_cause: "0 read as: nothing is expected",
    }
    expected_extremes {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "The largest versions that can be expected conflict like any other that does not hold.",
        likely_cause: "versions kept as signed or 32-bit numbers, so that the expectation wraps round",
    }
    any_never_conflicts {
        guarantee: "A6", level: 2, kind: Stochastic,
        summary: "Appends that expect nothing never conflict, however many write the same stream at once.",
        likely_cause: "the version read first and then written with a condition, without trying again",
    }
}

async fn exact_ok(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    cx.append_any("Cart-1", 7).await?;
    let mut version = 0;
    for n in [1, 1, 3, 1, 10] {
        let receipt = cx.append_to(&order, exact(version), events(n)).await?;
        version += n as u64;
        ensure_eq!(receipt.version_of(&order), Some(Version::new(version)), "the version after {n} more");
    }
    ensure_eq!(cx.fresh().await?.read_stream(&order).await?.len(), 16, "events in the stream");
    Ok(())
}

async fn exact_stale(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    cx.append_any("Order-1", 5).await?;
    let before = cx.read_log().await?;
    for stale in 0..5 {
        let answer = cx.append_to(&order, exact(stale), events(1)).await;
        expect::version_conflict(answer, &order, exact(stale), 5)?;
    }
    cx.log_is(&before, &[&order], "after five stale appends").await
}

async fn exact_future(cx: Cx) -> Verdict {
    let (order, missing) = (stream("Order-1"), stream("Order-2"));
    cx.append_any("Order-1", 3).await?;
    let before = cx.read_log().await?;
    for ahead in [4, 5, 1_003] {
        let answer = cx.append_to(&order, exact(ahead), events(2)).await;
        expect::version_conflict(answer, &order, exact(ahead), 3)?;
        let answer = cx.append_to(&missing, exact(ahead - 3), events(2)).await;
        expect::version_conflict(answer, &missing, exact(ahead - 3), 0)?;
    }
    cx.log_is(&before, &[&order, &missing], "after appends that expected later versions").await
}

async fn nostream_new(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 2).await?;
    for name in ["Order-2", "Order", "Order-11", "order-1"] {
        let new = stream(name);
        let receipt = cx.append_to(&new, ExpectedVersion::NoStream, events(2)).await?;
        ensure_eq!(receipt.version_of(&new), Some(Version::new(2)), "the version of the new stream");
        ensure_eq!(cx.fresh().await?.read_stream(&new).await?.len(), 2, "events in the new stream");
    }
    Ok(())
}

async fn nostream_existing(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    cx.append_any("Order-1", 1).await?;
    cx.append_any("Cart-1", 100).await?;
    let before = cx.read_log().await?;
    for handle in cx.handles(2).await? {
        for (stream, version) in [(&order, 1), (&cart, 100)] {
            let answer = handle.append_to(stream, ExpectedVersion::NoStream, events(1)).await;
            expect::version_conflict(answer, stream, ExpectedVersion::NoStream, version)?;
        }
    }
    cx.log_is(&before, &[], "after appends that expected no stream").await
}

async fn exists_missing(cx: Cx) -> Verdict {
    let missing = stream("Order-2");
    cx.append_any("Order-1", 2).await?;
    let before = cx.read_log().await?;
    for _ in 0..2 {
        let answer = cx.append_to(&missing, ExpectedVersion::Exists, events(1)).await;
        expect::version_conflict(answer, &missing, ExpectedVersion::Exists, 0)?;
    }
    cx.log_is(&before, &[&missing], "after appends that expected a stream").await
}

async fn exists_present(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    cx.append_any("Order-1", 1).await?;
    let fresh = cx.fresh().await?;
    for version in 2..=5 {
        let handle = if version % 2 == 0 { &fresh } else { &*cx };
        let receipt = handle.append_to(&order, ExpectedVersion::Exists, events(1)).await?;
        ensure_eq!(receipt.version_of(&order), Some(Version::new(version)), "the version in the receipt");
    }
    ensure_eq!(cx.read_stream(&order).await?.len(), 5, "events in the stream");
    Ok(())
}

async fn exact_zero(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    let receipt = cx.append_to(&order, exact(0), events(2)).await?;
    ensure_eq!(receipt.version_of(&order), Some(Version::new(2)), "the version of the new stream");
    cx.append_to(&cart, exact(0), events(1)).await?;
    let before = cx.read_log().await?;
    for (stream, version) in [(&order, 2), (&cart, 1)] {
        let answer = cx.append_to(stream, exact(0), events(1)).await;
        expect::version_conflict(answer, stream, exact(0), version)?;
    }
    cx.log_is(&before, &[], "after appends that expected version 0").await
}

async fn expected_extremes(cx: Cx) -> Verdict {
    const EXTREMES: [u64; 7] =
        [u64::MAX, u64::MAX - 1, 1 << 63, i64::MAX as u64, 1 << 53, (1 << 32) + 2, 1 << 32];
    let (order, missing) = (stream("Order-1"), stream("Order-2"));
    cx.append_any("Order-1", 2).await?;
    let before = cx.read_log().await?;
    for extreme in EXTREMES {
        let answer = cx.append_to(&order, exact(extreme), events(1)).await;
        expect::version_conflict(answer, &order, exact(extreme), 2)?;
        let answer = cx.append_to(&missing, exact(extreme), events(1)).await;
        expect::version_conflict(answer, &missing, exact(extreme), 0)?;
    }
    cx.log_is(&before, &[&order, &missing], "after appends that expected extreme versions").await
}

async fn any_never_conflicts(cx: Cx) -> Verdict {
    const WRITERS: usize = 16;
    cx.minimum_ops(WRITERS * 4);
    let appends = cx.scale(5);
    let handles = cx.handles(4).await?;
    let written = cx
        .at_once(WRITERS, |writer| {
            let (cx, handle) = (cx.clone(), handles[writer % 4].clone());
            async move {
                for n in 0..appends {
                    handle.append_any("Order-1", 1 + n % 2).await?;
                    cx.count_op();
                    tokio::task::yield_now().await;
                }
                Verdict::Ok(())
            }
        })
        .await?;
    written.into_iter().collect::<Verdict<()>>()?;
    let read = cx.fresh().await?.read_stream(&stream("Order-1")).await?;
    let versions: Vec<_> = read.iter().map(|event| event.version().get()).collect();
    let all = WRITERS * (0..appends).map(|n| 1 + n % 2).sum::<usize>();
    ensure_eq!(versions, (1..=all as u64).collect::<Vec<u64>>(), "the versions in the stream");
    Ok(())
}
