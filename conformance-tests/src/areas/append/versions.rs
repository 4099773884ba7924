//! Versions: from 1, consecutive, each stream for itself.

use annalist_core::{ExpectedVersion, Version};

use crate::{Cx, Verdict, checks, ensure, ensure_eq, event, events, exact, expect, same_as_appended, stream};

checks! {
    area: "append",
    first_version {
        guarantee: "A4", level: 1, kind: Deterministic,
        summary: "The first event of a stream has version 1, in the receipt and when it is read.",
        likely_cause: "versions counted from 0",
    }
    versions_contiguous {
        guarantee: "A2", level: 1, kind: Deterministic,
        summary: "Appends of any size take consecutive versions in their stream, whatever is appended to other streams meanwhile.",
        likely_cause: "a sequence, a clock or the place in the log used as the version",
    }
    any {
        guarantee: "A6", level: 1, kind: Deterministic,
        summary: "An append that expects nothing succeeds on a missing stream and on one that is there.",
        likely_cause: "an update of the stream's row, which a new stream does not have",
    }
    mixed_modes {
        guarantee: "A2", level: 1, kind: Deterministic,
        summary: "Appends under all kinds of expectations continue one and the same sequence of versions.",
        likely_cause: "a counter or a cache for each mode",
    }
    streams_independent {
        guarantee: "A3", level: 1, kind: Deterministic,
        summary: "Neither events nor conflicts of one stream change what another stream's version is.",
        likely_cause: "one version for the whole table",
    }
    beyond_digit_edges {
        guarantee: "A2", level: 1, kind: Deterministic,
        summary: "Versions go on rightly where they get one more digit.",
        likely_cause: "versions kept, compared or sorted as text",
    }
}

async fn first_version(cx: Cx) -> Verdict {
    let (order, placed) = (stream("Order-1"), event("OrderPlaced", "{}"));
    let receipt = cx.append_to(&order, ExpectedVersion::NoStream, [placed.clone()]).await?;
    ensure_eq!(receipt.written().len(), 1, "streams in the receipt");
    ensure_eq!(receipt.written()[0].first_version(), Version::FIRST, "the first version in the receipt");
    ensure_eq!(receipt.version_of(&order), Some(Version::FIRST), "the stream's version in the receipt");

    let read = cx.read_stream(&order).await?;
    same_as_appended(&read, &[placed], "the stream")?;
    ensure_eq!(read[0].version(), Version::FIRST, "the version of the event as read");
    Ok(())
}

async fn versions_contiguous(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let mut appended = Vec::new();
    for n in [1, 2, 3, 5] {
        cx.append_any("Cart-1", n).await?;
        let more = events(n);
        let receipt = cx.append_to(&order, ExpectedVersion::Any, more.clone()).await?;
        let (first, last) = (appended.len() as u64 + 1, (appended.len() + n) as u64);
        let written = &receipt.written()[0];
        ensure_eq!(written.first_version(), Version::new(first), "the first version of {n} events");
        ensure_eq!(written.last_version(), Version::new(last), "the last version of {n} events");
        appended.extend(more);
    }
    for handle in cx.handles(2).await? {
        let read = handle.read_stream(&order).await?;
        same_as_appended(&read, &appended, "the stream")?;
        let versions: Vec<_> = read.iter().map(|event| event.version().get()).collect();
        ensure_eq!(versions, (1..=11).collect::<Vec<u64>>(), "the versions as read");
    }
    Ok(())
}

async fn any(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    for n in 1..=3 {
        let receipt = cx.append_to(&order, ExpectedVersion::Any, events(1)).await?;
        ensure_eq!(receipt.version_of(&order), Some(Version::new(n)), "the version after append {n}");
    }
    ensure_eq!(cx.fresh().await?.version(&order).await?, Version::new(3), "the version of the stream");
    Ok(())
}

async fn mixed_modes(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let modes = [
        ExpectedVersion::NoStream,
        ExpectedVersion::Any,
        exact(2),
        exact(3),
        ExpectedVersion::Exists,
        exact(5),
        ExpectedVersion::Any,
        ExpectedVersion::Any,
        exact(8),
    ];
    for (before, mode) in modes.into_iter().enumerate() {
        let receipt = cx.append_to(&order, mode, events(1)).await?;
        let version = Version::new(before as u64 + 1);
        ensure_eq!(receipt.version_of(&order), Some(version), "the version after an append with {mode}");
    }
    let versions: Vec<_> = cx.read_stream(&order).await?.iter().map(|event| event.version().get()).collect();
    ensure_eq!(versions, (1..=9).collect::<Vec<u64>>(), "the versions as read");
    Ok(())
}

async fn streams_independent(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    for version in 0..5 {
        cx.append_to(&order, exact(version), events(1)).await?;
        expect::version_conflict(
            cx.append_to(&order, exact(99), events(1)).await,
            &order,
            exact(99),
            version + 1,
        )?;
        cx.append_to(&cart, exact(2 * version), events(2)).await?;
    }
    let fresh = cx.fresh().await?;
    ensure_eq!(fresh.version(&order).await?, Version::new(5), "the version of the first stream");
    ensure_eq!(fresh.version(&cart).await?, Version::new(10), "the version of the second stream");
    let foreign = fresh.read_stream(&order).await?.iter().filter(|event| event.stream() != &order).count();
    ensure!(foreign == 0, "{foreign} events of another stream in {order:?}");
    Ok(())
}

async fn beyond_digit_edges(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let mut version = 0;
    for edge in [10, 100, 1_000] {
        let bulk = edge - 2 - version;
        cx.append_to(&order, exact(version), events(usize::try_from(bulk).unwrap_or(1))).await?;
        version += bulk;
        for _ in 0..4 {
            let receipt = cx.append_to(&order, exact(version), events(1)).await?;
            version += 1;
            ensure_eq!(receipt.version_of(&order), Some(Version::new(version)), "the version in the receipt");
            ensure_eq!(cx.version(&order).await?, Version::new(version), "the version that a read tells");
        }
    }
    let versions: Vec<_> = cx.read_stream(&order).await?.iter().map(|event| event.version().get()).collect();
    ensure_eq!(versions, (1..=version).collect::<Vec<u64>>(), "the versions as read");
    Ok(())
}
