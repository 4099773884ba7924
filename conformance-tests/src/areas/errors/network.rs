//! Which kind of error a network that fails gives.

use annalist_core::{Error, Remedy};

use crate::areas::every::{Operation, every_operation};
use crate::areas::network::{EVER_LONGER, SOON, Sends, Told, converges, is_there, shapes, told};
use crate::{Cx, Trouble, Verdict, checks, ensure};

checks! {
    area: "errors",
    unavailable_retryable {
        guarantee: "E1", level: 3, kind: Deterministic, hooks: [Proxy],
        summary: "While the server is down, an append is `Unavailable` by its deadline and absent, and can be sent again later.",
        likely_cause: "every error of a driver told as `Indeterminate`, so that callers give up, or as `Internal`",
    }
    indeterminate_only_when_needed {
        guarantee: "E1", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "An append whose connection is lost for good before its commit was sent is `Unavailable`, not `Indeterminate`.",
        likely_cause: "one catch around the whole transaction",
    }
    retryable_means_retryable {
        guarantee: "E1", level: 3, kind: Deterministic, hooks: [Proxy],
        summary: "Whatever fails while the network does says that it can be sent again, and succeeds on the same handle once the network is healed.",
        likely_cause: "a client that is broken for good by its first lost connection",
    }
}

async fn unavailable_retryable(cx: Cx) -> Verdict {
    let (handle, proxy) = cx.proxied().await?;
    for (round, warm) in [false, true].into_iter().enumerate() {
        if warm {
            proxy.heal().await;
            cx.within("an append before", handle.works("Before-1")).await??;
            ensure!(proxy.sends() > 0, "an append went past the proxy");
        }
        proxy.arm(Trouble::Down).await;
        let mut refused = Vec::new();
        for (shape, append) in shapes(&round.to_string()) {
            let mut answers = Vec::new();
            for deadline in EVER_LONGER {
                // A connection that was lost while it was idle may have looked as if it took the append; a refused one cannot.
                let answer = cx.within(shape, handle.append(append.clone().timeout(deadline))).await?;
                answers.push(told(answer, shape)?);
                if answers.last() == Some(&Told::Absent) {
                    break;
                }
            }
            ensure!(
                answers.contains(&Told::Absent),
                "{shape}: the server is down, and it is told {answers:?}, one after another"
            );
            ensure!(!is_there(&cx, &append, shape).await?, "{shape}: the server was down, and it is there");
            refused.push((shape, append));
        }
        proxy.heal().await;
        for (shape, append) in refused {
            let answer = cx.within(shape, handle.append(append.clone().timeout(cx.patience()))).await?;
            converges(&cx, &handle, &append, Ok(answer?), shape).await?;
        }
    }
    Ok(())
}

/// The first send whose loss leaves an append in the log: before it nothing was committed.
async fn commits_at(cx: &Cx, round: usize) -> Verdict<u64> {
    let mut sends = Sends::sweep(cx, Trouble::CutAfter).await?.lasting();
    while sends.goes_on()? {
        let (shape, append) = shapes(&format!("{round}-{}", sends.at())).swap_remove(1);
        // A connection that was just in use need not be tried first.
        cx.within("an append before", sends.handle.works("Before-1")).await??;
        sends.arm().await?;
        let answer = cx.within(shape, sends.handle.append(append.clone().timeout(SOON))).await?;
        let fired = sends.heal().await;
        if fired && is_there(cx, &append, shape).await? {
            return Ok(sends.at());
        }
        converges(cx, &sends.handle, &append, answer, shape).await?;
    }
    Ok(0)
}

async fn indeterminate_only_when_needed(cx: Cx) -> Verdict {
    cx.minimum_ops(2);
    // Sends in the background may come between, which can only make it look later.
    let (mut commit, mut rounds) = (u64::MAX, 0..9);
    for round in rounds.by_ref().take(3) {
        commit = commit.min(commits_at(&cx, round).await?);
    }
    for trouble in [Trouble::CutBefore, Trouble::CutAfter] {
        let mut sends = Sends::sweep(&cx, trouble).await?.lasting();
        while sends.goes_on()? && sends.at() < commit {
            for (shape, append) in shapes(&format!("{:?}", trouble(sends.at()))) {
                let when = sends.name(shape);
                let mut answers = Vec::new();
                for deadline in EVER_LONGER {
                    sends.arm().await?;
                    let append = append.clone().timeout(deadline);
                    let answer = cx.within(&when, sends.handle.append(append)).await?;
                    let fired = sends.heal().await;
                    answers.push(told(answer, &when)?);
                    if !fired || answers.last() == Some(&Told::Absent) {
                        answers.clear();
                        break;
                    }
                }
                if !answers.is_empty() {
                    for round in rounds.by_ref().take(3) {
                        commit = commit.min(commits_at(&cx, round).await?);
                    }
                }
                ensure!(
                    answers.is_empty() || commit <= sends.at(),
                    "{when}: only the loss of send {commit} leaves it open, and it is told {answers:?}, one after another"
                );
            }
        }
    }
    Ok(())
}

fn can_be_sent_again(error: &Error) -> bool {
    matches!(error.remedy(), Remedy::SendLater | Remedy::SendAgain)
}

async fn retryable_means_retryable(cx: Cx) -> Verdict {
    let (handle, proxy) = cx.proxied().await?;
    let set = Operation::prepare(&cx).await?;
    for (round, trouble) in [Trouble::CutBefore(0), Trouble::CutAfter(0), Trouble::CutReply(1), Trouble::Down]
        .into_iter()
        .enumerate()
    {
        let mut failed = 0;
        for operation in every_operation(&set, round) {
            let when = format!("{} {trouble:?}", operation.name);
            cx.within("a read before the trouble", handle.head()).await??;
            proxy.arm_lasting(trouble).await;
            let answer = cx.within(&when, operation.run(handle.clone(), SOON)).await?;
            if let Err(error) = answer {
                failed += 1;
                ensure!(can_be_sent_again(&error), "{when}: it is told {error:?}");
            }
            proxy.heal().await;
            let again = cx.within(&when, operation.run(handle.clone(), cx.patience())).await?;
            ensure!(again.is_ok(), "{when}: the network is healed, and it is told {again:?}");
        }
        ensure!(failed > 0, "{trouble:?}: nothing failed");
    }
    Ok(())
}
