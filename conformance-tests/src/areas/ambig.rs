//! Checks of the area `ambig`: what an append is told, and what becomes of it, when a connection is lost at any of its sends.

use std::time::Duration;

use annalist_core::{Append, ErrorKind, ExpectedVersion};

use super::network::{SOON, Sends, Told, converges, is_there, is_true, shapes, there_once, told};
use crate::{
    Check, Cx, Trouble, Verdict, checks, ensure, ensure_eq, events, exact, expect, same_as_appended, stream,
};

pub(crate) const PARTS: &[&[Check]] = &[CHECKS];

checks! {
    area: "ambig",
    cut_before {
        guarantee: "E1", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "An append any of whose sends is lost with its connection is answered truly, and the handle works on.",
        likely_cause: "a pool that gives a broken connection out again",
    }
    cut_after {
        guarantee: "E1", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "An append any of whose replies is lost for good is acknowledged only if it is there, told to be absent only if it is not, and else `Indeterminate`.",
        likely_cause: "an error of the transport after the commit was sent, told as a failure",
    }
    late_landing {
        guarantee: "E1", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "An append that is held up on its way is not told to be absent if it lands after its deadline, and a retry finds it, once.",
        likely_cause: "\"timed out, so it was not written\"",
    }
    slow_network {
        guarantee: "C2", level: 3, kind: Deterministic, hooks: [Proxy],
        summary: "On a slow network an append with time enough is acknowledged, and one with less is told the truth by its deadline.",
        likely_cause: "a deadline that ends the waiting, and says nothing of what is on its way",
    }
    retry_converges {
        guarantee: "I1", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "After any loss the same append, sent again, gets its receipt, and one copy exists.",
        likely_cause: "ids or tokens made anew for each call",
    }
    driver_auto_retry {
        guarantee: "E1", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "A retry below the caller, after a reply was lost, never makes a second copy and never conflicts with itself.",
        likely_cause: "a driver that sends again by itself, without an id to know the write by",
    }
    next_append_clean {
        guarantee: "C1", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "The next append of the handle is neither merged with a lost one nor refused for it, and carries none of its events.",
        likely_cause: "KIP-890: a transaction or producer that is used again with the lost append still in it",
    }
}

async fn cut_before(cx: Cx) -> Verdict {
    cx.minimum_ops(4);
    for cold in [false, true] {
        let sends = Sends::sweep(&cx, Trouble::CutBefore).await?;
        let mut sends = if cold { sends.cold() } else { sends };
        while sends.goes_on()? {
            // The shapes take turns over the places at which the connection is lost.
            for (shape, append) in shapes(&format!("{cold}-{}", sends.at())) {
                let when = sends.name(shape);
                sends.arm().await?;
                let answer = sends.handle.append(append.clone().timeout(cx.patience()));
                let answer = cx.within(&when, answer).await?;
                sends.heal().await;
                converges(&cx, &sends.handle, &append, answer, &when).await?;
                cx.within(&when, sends.handle.works("After-1")).await??;
            }
        }
    }
    Ok(())
}

async fn cut_after(cx: Cx) -> Verdict {
    cx.minimum_ops(4);
    for trouble in [Trouble::CutAfter, Trouble::SilentAfter] {
        let mut sends = Sends::sweep(&cx, trouble).await?.lasting();
        let mut left = Vec::new();
        while sends.goes_on()? {
            for (shape, append) in shapes(&format!("{:?}", trouble(sends.at()))) {
                let when = sends.name(shape);
                sends.arm().await?;
                let answer = cx.within(&when, sends.handle.append(append.clone().timeout(SOON))).await?;
                let told = told(answer, &when)?;
                sends.heal().await;
                is_true(&cx, &append, &told, &when).await?;
                left.push((when, append, told));
            }
        }
        for (when, append, told) in left {
            // What was told to be absent never comes.
            is_true(&cx, &append, &told, &format!("{when}, later")).await?;
            there_once(&cx, &cx, &append, &when).await?;
        }
    }
    Ok(())
}

/// How long to look for an append that must not land.
const LANDS_WITHIN: Duration = Duration::from_millis(300);

/// Waits for an append that may be on its way: it lands, or does not in a time that is long for what was sent already.
async fn lands(cx: &Cx, append: &Append, when: &str) -> Verdict {
    let landed = async {
        while !is_there(cx, append, when).await? {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    };
    tokio::time::timeout(LANDS_WITHIN, landed).await.unwrap_or(Ok(()))
}

async fn late_landing(cx: Cx) -> Verdict {
    cx.minimum_ops(1);
    let mut sends = Sends::sweep(&cx, Trouble::Hold).await?.lasting();
    while sends.goes_on()? {
        let order = stream(&format!("Order-{}", sends.at()));
        let append = Append::to(&order, exact(0), events(2));
        let when = sends.name("an append");
        sends.arm().await?;
        let answer = cx.within(&when, sends.handle.append(append.clone().timeout(SOON))).await?;
        let told = told(answer, &when)?;
        if matches!(told, Told::Written(_)) {
            // What is held may be something else that the store sends. The append itself must have got through.
            is_true(&cx, &append, &told, &format!("{when}, while what is held is held")).await?;
        }
        if sends.heal().await {
            lands(&cx, &append, &when).await?;
        }
        let there = is_true(&cx, &append, &told, &when).await?;
        let again = there_once(&cx, &sends.handle, &append, &when).await?;
        ensure!(!there || again.already_committed(), "{when}: it landed late, and a retry is told to be new");
    }
    Ok(())
}

async fn slow_network(cx: Cx) -> Verdict {
    const SLOW: Duration = Duration::from_millis(120);
    let (handle, proxy) = cx.proxied().await?;
    for part in [1, 3, 4, 5, 6, 7, 9, 13] {
        let when = format!("an append with {part} quarters of the time of a send");
        cx.within("a read before", handle.head()).await??;
        proxy.arm(Trouble::Delay(SLOW)).await;
        let append = Append::to(&stream(&format!("Order-{part}")), exact(0), events(2));
        let answer = cx.within(&when, handle.append(append.clone().timeout(SLOW * part / 4))).await?;
        proxy.has_fired(&when)?;
        let told = told(answer, &when)?;
        lands(&cx, &append, &when).await?;
        is_true(&cx, &append, &told, &when).await?;
        let enough = handle.append(append.clone().timeout(cx.patience()));
        cx.within(&format!("{when}, and then enough"), enough).await??;
        proxy.heal().await;
        there_once(&cx, &handle, &append, &when).await?;
    }
    Ok(())
}

async fn retry_converges(cx: Cx) -> Verdict {
    cx.minimum_ops(4);
    for trouble in [Trouble::CutBefore, Trouble::CutAfter] {
        let mut sends = Sends::sweep(&cx, trouble).await?.lasting();
        while sends.goes_on()? {
            for (shape, append) in shapes(&format!("{:?}", trouble(sends.at()))) {
                let when = sends.name(shape);
                sends.arm().await?;
                let answer = cx.within(&when, sends.handle.append(append.clone().timeout(SOON))).await?;
                sends.heal().await;
                converges(&cx, &sends.handle, &append, answer, &when).await?;
                // And once more, through another handle.
                let again = there_once(&cx, &cx, &append, &when).await?;
                ensure!(again.already_committed(), "{when}: a third time it is told to be new");
            }
        }
    }
    Ok(())
}

async fn driver_auto_retry(cx: Cx) -> Verdict {
    cx.minimum_ops(2);
    let mut sends = Sends::sweep(&cx, Trouble::CutAfter).await?;
    while sends.goes_on()? {
        for (shape, append) in shapes(&sends.at().to_string()) {
            let when = sends.name(shape);
            sends.arm().await?;
            let answer = sends.handle.append(append.clone().timeout(cx.patience()));
            let answer = cx.within(&when, answer).await?;
            sends.heal().await;
            if let Err(error) = &answer {
                let honest = matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_));
                ensure!(honest, "{when}: one reply was lost, and it is answered {error:?}");
            }
            converges(&cx, &sends.handle, &append, answer, &when).await?;
        }
    }
    Ok(())
}

async fn next_append_clean(cx: Cx) -> Verdict {
    cx.minimum_ops(3);
    for trouble in [Trouble::CutBefore, Trouble::CutAfter, Trouble::SilentAfter] {
        let mut sends = Sends::sweep(&cx, trouble).await?.lasting();
        while sends.goes_on()? {
            let name = sends.name("a lost append");
            let lost = Append::to(&stream(&format!("Lost-{name}")), exact(0), events(2));
            sends.arm().await?;
            let answer = cx.within(&name, sends.handle.append(lost.clone().timeout(SOON))).await?;
            let told = told(answer, &name)?;
            sends.heal().await;
            let (next, given, before) = (stream(&format!("Next-{name}")), events(3), cx.head().await?);
            let append = Append::to(&next, ExpectedVersion::NoStream, given.clone()).timeout(cx.patience());
            let receipt = cx.within(&name, sends.handle.append(append)).await??;
            ensure_eq!(receipt.written().len(), 1, "streams of the receipt after {name}");
            ensure!(!receipt.already_committed(), "after {name} a new append is told to be known");
            let found = cx.fresh().await?.read_stream(&next).await?;
            same_as_appended(&found, &given, &format!("the append after {name}"))?;
            ensure!(found[0].position() > before, "the append after {name} stands below what was there");
            expect::conflict(sends.handle.append_to(&next, exact(0), events(1)).await)?;
            is_true(&cx, &lost, &told, &format!("{name}, after the next append")).await?;
            there_once(&cx, &sends.handle, &lost, &name).await?;
        }
    }
    Ok(())
}
