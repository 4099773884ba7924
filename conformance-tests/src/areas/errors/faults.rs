//! What an append is answered when the way to the log breaks.

use std::time::Duration;

use annalist_core::{Append, ErrorKind, ExpectedVersion, Position, Query, Read};

use crate::areas::network::{SOON, shapes, there_once};
use crate::areas::res::{first_held, send};
use crate::{
    Cx, Fault, Verdict, checks, ensure, ensure_eq, event, events, exact, expect, same_as_appended, stream,
};

checks! {
    area: "errors",
    not_sent_is_unavailable {
        guarantee: "E1", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "An append that certainly was not sent by its deadline is `Unavailable`, is absent, and can be sent again.",
        likely_cause: "every fault of a connection told as `Indeterminate`, or as a conflict",
    }
    refused_once {
        guarantee: "E1", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "A fault before sending is bridged, or told as `Unavailable` and retryable; never as anything else.",
        likely_cause: "the driver's error passed on as `Internal`",
    }
    lost_reply_is_indeterminate_or_ok {
        guarantee: "E1", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "An append whose reply is lost once is answered with its receipt or as `Indeterminate`, whatever it expects, and is there once.",
        likely_cause: "a retry inside the store that meets its own events: a conflict with oneself",
    }
    lost_reply_then_retry_converges {
        guarantee: "I1", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "After a lost reply the same append, sent again, gets its receipt, and one copy exists.",
        likely_cause: "ids made anew for a retry, or a retry that is checked against the version that it made itself",
    }
    lost_reply_never_downgraded {
        guarantee: "E1", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "Once an attempt may have left, later attempts that certainly did not leave the answer `Indeterminate`.",
        likely_cause: "the answer of the last attempt taken for that of the append",
    }
    late_landing {
        guarantee: "E1", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "An append that is under way at its deadline is `Indeterminate`; when it lands later, a retry finds it, once.",
        likely_cause: "\"timed out, so it was not written\"",
    }
    next_append_clean {
        guarantee: "C1", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "Appends after one whose reply was lost have nothing to do with it.",
        likely_cause: "a connection or producer that is used again with the lost append still on it",
    }
    mates_unharmed {
        guarantee: "C3", level: 2, kind: Deterministic, hooks: [Fault],
        summary: "Appends that travel together with ones that conflict, are dropped or run out of time get their own true answers.",
        likely_cause: "one transaction for a batch, which one refusal rolls back for all",
    }
}

/// How it shows that an append has left the store.
#[derive(Clone, Copy)]
enum Left {
    Landed,
    Held,
}

impl Left {
    async fn has(self, cx: &Cx, append: &Append) -> Verdict<bool> {
        let write = &append.writes()[0];
        match self {
            Self::Landed => Ok(cx.read(Read::stream(&write.stream).limit(0)).await?.version.get() > 0),
            Self::Held => Ok(cx.held().await?.contains(&write.events[0].id())),
        }
    }
}

/// Sends an append that cannot get an answer, for ever longer until it has left at all: only then its answer says something, and must be
/// `Indeterminate`.
async fn undecided(cx: &Cx, append: &Append, left: Left, when: &str) -> Verdict {
    for timeout in [SOON, 4 * SOON, 16 * SOON] {
        let task = send(cx, append.clone().timeout(timeout));
        while !task.is_finished() && !left.has(cx, append).await? {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let has_left = left.has(cx, append).await?;
        if has_left && matches!(left, Left::Landed) {
            // From here on no further attempt leaves.
            cx.fault(Fault::Refuse(u32::MAX)).await?;
        }
        let error = expect::error(cx.within(when, task.join()).await??)?;
        let open = matches!(error.kind(), ErrorKind::Indeterminate(_));
        let has_left = has_left || left.has(cx, append).await?;
        ensure!(open || !has_left, "{when} the answer is {error:?}, not `Indeterminate`");
        if has_left {
            return Ok(());
        }
        let certain = matches!(error.kind(), ErrorKind::Unavailable(_));
        ensure!(open || certain, "{when} the answer is {error:?}");
    }
    Err(crate::Failure::Inconclusive(format!("{when} nothing left the store within {:?}", 16 * SOON)))
}

async fn not_sent_is_unavailable(cx: Cx) -> Verdict {
    cx.append_any("Order-1", 1).await?;
    let before = cx.read_log().await?;
    cx.fault(Fault::Refuse(u32::MAX)).await?;
    let mut refused = Vec::new();
    for (shape, append) in shapes("1") {
        let answer = cx.within(shape, cx.append(append.clone().timeout(SOON / 4))).await?;
        let error = expect::error(answer)?;
        let certain = matches!(error.kind(), ErrorKind::Unavailable(_));
        cx.collect(
            if certain {
                Ok(())
            } else {
                Err(crate::Failure::violation(format!("it is answered {error:?}")))
            },
            shape,
        )?;
        refused.push((shape, append));
    }
    cx.fault(Fault::None).await?;
    cx.log_is(&before, &[], "after nothing was sent").await?;
    for (shape, append) in refused {
        there_once(&cx, &cx, &append, shape).await?;
    }
    Ok(())
}

async fn refused_once(cx: Cx) -> Verdict {
    for (shape, append) in shapes("1") {
        cx.fault(Fault::Refuse(1)).await?;
        let answer = cx.within(shape, cx.append(append.clone())).await?;
        cx.fault(Fault::None).await?;
        match answer {
            Ok(receipt) => ensure!(!receipt.already_committed(), "{shape}: it is new, and told to be known"),
            Err(error) => {
                let certain = matches!(error.kind(), ErrorKind::Unavailable(_));
                ensure!(certain, "{shape}: it was not sent, and is answered {error:?}");
                let found = cx.fresh().await?.read_stream(&append.writes()[0].stream).await?;
                ensure!(found.is_empty(), "{shape}: it was not sent, and {} events are there", found.len());
            }
        }
        there_once(&cx, &cx, &append, shape).await?;
    }
    Ok(())
}

async fn lost_reply_is_indeterminate_or_ok(cx: Cx) -> Verdict {
    for (shape, append) in shapes("1") {
        cx.fault(Fault::LoseReplies(1)).await?;
        let answer = cx.within(shape, cx.append(append.clone())).await?;
        cx.fault(Fault::None).await?;
        let receipt = match answer {
            Ok(receipt) => Some(receipt),
            Err(error) => {
                let open = matches!(error.kind(), ErrorKind::Indeterminate(_));
                ensure!(open, "{shape}: its reply was lost, and it is answered {error:?}");
                None
            }
        };
        let again = there_once(&cx, &cx, &append, shape).await?;
        ensure!(again.already_committed(), "{shape}: it was written, and a retry is told to be new");
        if let Some(receipt) = receipt {
            ensure_eq!(receipt.written(), again.written(), "{shape}: the receipt after a lost reply");
        }
    }
    Ok(())
}

async fn lost_reply_then_retry_converges(cx: Cx) -> Verdict {
    for (shape, append) in shapes("1") {
        cx.fault(Fault::LoseReplies(u32::MAX)).await?;
        undecided(&cx, &append, Left::Landed, &format!("{shape}: its reply was lost, and")).await?;
        cx.fault(Fault::None).await?;
        let receipt = there_once(&cx, &cx, &append, shape).await?;
        ensure!(receipt.already_committed(), "{shape}: it was written, and a retry is told to be new");
    }
    Ok(())
}

async fn lost_reply_never_downgraded(cx: Cx) -> Verdict {
    for (shape, append) in shapes("1") {
        cx.fault(Fault::LoseReplies(u32::MAX)).await?;
        let when = format!("{shape}: it landed, later attempts did not leave, and");
        undecided(&cx, &append, Left::Landed, &when).await?;
        cx.fault(Fault::None).await?;
        there_once(&cx, &cx, &append, shape).await?;
    }
    Ok(())
}

async fn late_landing(cx: Cx) -> Verdict {
    for (shape, append) in shapes("1") {
        cx.fault(Fault::Stall).await?;
        let when = format!("{shape}: it was held up on its way, and");
        undecided(&cx, &append, Left::Held, &when).await?;
        ensure!(Left::Held.has(&cx, &append).await?, "{shape}: it is not under way any more");
        cx.fault(Fault::None).await?;
        there_once(&cx, &cx, &append, shape).await?;
        cx.works("After-1").await?;
        there_once(&cx, &cx, &append, shape).await?;
    }
    Ok(())
}

async fn next_append_clean(cx: Cx) -> Verdict {
    for round in 0..5 {
        let lost = Append::to(&stream(&format!("Lost-{round}")), exact(0), events(2));
        cx.fault(Fault::LoseReplies(u32::MAX)).await?;
        undecided(&cx, &lost, Left::Landed, "its reply was lost, and").await?;
        cx.fault(Fault::None).await?;
        let next = stream(&format!("Next-{round}"));
        let given = events(3);
        let receipt = cx.append_to(&next, exact(0), given.clone()).await?;
        ensure_eq!(receipt.written().len(), 1, "streams of the next append's receipt");
        let fresh = cx.fresh().await?;
        same_as_appended(&fresh.read_stream(&next).await?, &given, "the next append")?;
        expect::conflict(cx.append_to(&next, exact(0), events(1)).await)?;
        there_once(&cx, &cx, &lost, "after the next append").await?;
    }
    ensure_eq!(cx.read_log().await?.len(), 25, "events of five rounds");
    Ok(())
}

async fn mates_unharmed(cx: Cx) -> Verdict {
    let taken = event("Taken", "{}");
    cx.append_to(&stream("Taken-1"), exact(0), [taken.clone()]).await?;
    let (_, first) = first_held(&cx).await?;
    let good = |n: usize| Append::to(&stream(&format!("Good-{n}")), exact(0), events(2));
    let bad = [
        Append::to(&stream("Taken-1"), exact(0), events(1)),
        Append::to(&stream("Taken-1"), ExpectedVersion::Any, [event("Other", "{}").with_id(taken.id())]),
        Append::to(&stream("Bad-1"), exact(0), events(1)).condition(Query::types(["Taken"]), Position::START),
        Append::to(&stream("Bad-2"), exact(0), events(1))
            .check(&stream("Taken-1"), ExpectedVersion::NoStream),
    ];
    let mut goods = Vec::new();
    let mut bads = Vec::new();
    for (n, bad) in bad.into_iter().enumerate() {
        goods.push(send(&cx, good(n)));
        bads.push(send(&cx, bad));
    }
    let hurried = send(&cx, Append::to(&stream("Hurried-1"), exact(0), events(1)).timeout(SOON / 4));
    let dropped = send(&cx, Append::to(&stream("Dropped-1"), exact(0), events(1)));
    goods.extend((4..8).map(|n| send(&cx, good(n))));
    let hurried = cx.within("an append whose time is up", hurried.join()).await??;
    expect::error(hurried)?;
    drop(dropped);
    cx.fault(Fault::None).await?;
    cx.within("the append that was held up", first.join()).await???;
    for (n, good) in goods.into_iter().enumerate() {
        let answer = cx.within("an append beside bad ones", good.join()).await??;
        ensure!(
            answer.as_ref().is_ok_and(|receipt| !receipt.already_committed()),
            "good append {n} is answered {answer:?}"
        );
    }
    let mut answers = Vec::new();
    for bad in bads {
        answers.push(cx.within("an append that must be refused", bad.join()).await??);
    }
    let [stale, reused, condition, check] = answers.try_into().expect("there are four of them");
    expect::version_conflict(stale, &stream("Taken-1"), exact(0), 1)?;
    expect::id_reused(reused)?;
    expect::conflict(condition)?;
    expect::version_conflict(check, &stream("Taken-1"), ExpectedVersion::NoStream, 1)?;
    let fresh = cx.fresh().await?;
    for n in 0..8 {
        ensure_eq!(
            fresh.read_stream(&stream(&format!("Good-{n}"))).await?.len(),
            2,
            "events of good append {n}"
        );
    }
    ensure_eq!(fresh.read_stream(&stream("Bad-1")).await?.len(), 0, "events of an append that was refused");
    Ok(())
}
