//! Retries from elsewhere, under other expectations, and after refusals.

use annalist_core::{Append, ExpectedVersion, Position, Query};

use super::replays;
use crate::{Cx, Verdict, checks, ensure, ensure_eq, events, exact, expect, stream};

checks! {
    area: "idem",
    retry_whatever_expectations {
        guarantee: "I1", level: 1, kind: Deterministic,
        summary: "A retry is known whatever its expectations, checks and conditions say, and whether they are those of the first time.",
        likely_cause: "versions or conditions compared before ids, or the whole request compared",
    }
    retry_from_another_handle {
        guarantee: "I1", level: 1, kind: Deterministic,
        summary: "A retry is known through every other handle.",
        likely_cause: "ids kept in the memory of the handle that wrote them",
    }
    replay_after_reopen {
        guarantee: "I1", level: 1, kind: Deterministic,
        summary: "A retry is known after the handle that wrote was closed, through one that is opened afterwards.",
        likely_cause: "ids kept in memory, and not filled again when the store is opened",
    }
    failed_id_reusable {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "The ids of appends that were refused, for whatever reason, can be appended later.",
        likely_cause: "an id reserved before the append is decided",
    }
    conflict_then_retry_ok {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "An append that was refused succeeds when it is sent again once it holds, and is known as a retry from then on.",
        likely_cause: "the refusal remembered by the ids of the append",
    }
    refused_again_is_no_replay {
        guarantee: "A5", level: 1, kind: Deterministic,
        summary: "An append that was refused is refused when it is sent again, and not told to be committed.",
        likely_cause: "ids kept although the append was refused",
    }
}

async fn retry_whatever_expectations(cx: Cx) -> Verdict {
    let (order, cart, user) = (stream("Order-1"), stream("Cart-1"), stream("User-1"));
    let made = events(2);
    let first = Append::to(&order, exact(0), made.clone())
        .check(&cart, ExpectedVersion::NoStream)
        .write(&user, ExpectedVersion::NoStream, [])
        .condition(Query::all(), Position::START);
    let receipt = cx.append(first.clone()).await?;
    for name in ["Order-1", "Cart-1", "User-1"] {
        cx.append_any(name, 1).await?;
    }
    let before = cx.read_log().await?;
    let again = |expected| Append::to(&order, expected, made.clone());
    let retries = [
        first,
        again(exact(0)),
        again(exact(2)),
        again(exact(3)),
        again(exact(u64::MAX)),
        again(ExpectedVersion::NoStream),
        again(ExpectedVersion::Any),
        again(ExpectedVersion::Exists),
        again(exact(3)).check(&cart, exact(17)),
        again(exact(3)).write(&user, ExpectedVersion::NoStream, []),
        again(exact(3)).condition(Query::all(), Position::START),
        again(exact(3)).condition(Query::types(["Happened"]), before[0].position()),
    ];
    for append in retries {
        replays(&cx, append, &receipt, "under other expectations").await?;
    }
    cx.log_is(&before, &[], "after the retries").await
}

async fn retry_from_another_handle(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let handles = cx.handles(3).await?;
    for n in 0..6 {
        let append = Append::to(&order, exact(2 * n as u64), events(2));
        let receipt = handles[n % 3].append(append.clone()).await?;
        for handle in &handles {
            replays(handle, append.clone(), &receipt, "through another handle").await?;
        }
    }
    ensure_eq!(cx.fresh().await?.read_stream(&order).await?.len(), 12, "events in the stream");
    Ok(())
}

async fn replay_after_reopen(cx: Cx) -> Verdict {
    let append = Append::to(&stream("Order-1"), exact(0), events(3));
    let first = cx.fresh().await?;
    let receipt = first.append(append.clone()).await?;
    first.close().await?;
    drop(first);
    let before = cx.read_log().await?;
    let reopened = cx.fresh().await?;
    replays(&reopened, append.clone(), &receipt, "after opening again").await?;
    reopened.append_any("Order-1", 1).await?;
    replays(&cx.fresh().await?, append, &receipt, "after opening again and writing more").await?;
    ensure_eq!(cx.read_log().await?.len(), before.len() + 1, "events in the log");
    Ok(())
}

async fn failed_id_reusable(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    cx.append_any("Order-1", 1).await?;
    let made = events(3);
    let to_order = |expected| Append::to(&order, expected, made.clone());
    let refused = [
        to_order(exact(0)),
        to_order(exact(5)),
        to_order(exact(1)).check(&stream("Cart-1"), ExpectedVersion::Exists),
        to_order(exact(1)).condition(Query::all(), Position::START),
        to_order(exact(1)).condition(Query::any_of([]), Position::START),
        to_order(exact(1)).check(&order, exact(1)),
    ];
    for append in refused {
        expect::error(cx.append(append).await)?;
    }
    for (version, one) in (1..).zip(made.iter().rev()) {
        let receipt = cx.append_to(&order, exact(version), [one.clone()]).await?;
        ensure!(!receipt.already_committed(), "an event that was refused is told to be committed");
    }
    ensure_eq!(cx.fresh().await?.read_stream(&order).await?.len(), 4, "events in the stream");
    Ok(())
}

async fn conflict_then_retry_ok(cx: Cx) -> Verdict {
    let order = stream("Order-1");
    let append = Append::to(&order, exact(2), events(2)).check(&stream("Cart-1"), exact(1));
    expect::version_conflict(cx.append(append.clone()).await, &order, exact(2), 0)?;
    cx.append_any("Order-1", 2).await?;
    expect::version_conflict(cx.append(append.clone()).await, &stream("Cart-1"), exact(1), 0)?;
    cx.append_any("Cart-1", 1).await?;
    let receipt = cx.append(append.clone()).await?;
    ensure!(!receipt.already_committed(), "an append that was only refused is told to be committed");
    ensure_eq!(receipt.version_of(&order).map(|version| version.get()), Some(4), "the version it makes");
    replays(&cx.fresh().await?, append, &receipt, "after it had been refused twice").await
}

async fn refused_again_is_no_replay(cx: Cx) -> Verdict {
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    cx.append_any("Order-1", 2).await?;
    let before = cx.read_log().await?;
    let one = Append::to(&order, exact(0), events(2));
    let several = Append::to(&cart, exact(0), events(2)).write(&order, exact(0), events(1));
    for handle in cx.handles(2).await? {
        for _ in 0..2 {
            expect::version_conflict(handle.append(one.clone()).await, &order, exact(0), 2)?;
            expect::version_conflict(handle.append(several.clone()).await, &order, exact(0), 2)?;
        }
    }
    cx.log_is(&before, &[&cart], "after appends that were refused four times").await
}
