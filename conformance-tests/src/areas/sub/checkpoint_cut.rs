//! Checkpoints whose connection is lost.

use annalist_core::{ErrorKind, Position};

use crate::areas::network::Sends;
use crate::{Cx, Failure, Trouble, Verdict, checkpoint, checks, ensure, ensure_eq};

checks! {
    area: "sub",
    checkpoint_claim_cut {
        guarantee: "S5", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "A claim any of whose sends or replies is lost gives an owner that holds, or an error; the next claim fences whatever it left.",
        likely_cause: "an epoch that the client counts by itself",
    }
    checkpoint_save_cut {
        guarantee: "S5", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "A save any of whose sends or replies is lost is there if it was acknowledged, and else there or not; saving again puts it right.",
        likely_cause: "a save that is sent and not waited for",
    }
}

/// Fails unless an error says that it can be sent again.
fn open(error: annalist_core::Error, when: &str) -> Verdict {
    let open = matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_));
    if open { Ok(()) } else { Err(Failure::violation(format!("{when}: it is answered {error:?}"))) }
}

async fn checkpoint_claim_cut(cx: Cx) -> Verdict {
    cx.minimum_ops(4);
    cx.append_any("Order-1", 3).await?;
    let head = cx.head().await?;
    for trouble in [Trouble::CutBefore, Trouble::CutAfter] {
        for lasting in [false, true] {
            let sends = Sends::sweep(&cx, trouble).await?;
            let mut sends = if lasting { sends.lasting() } else { sends };
            while sends.goes_on()? {
                sends.arm().await?;
                let when = sends.name("a claim");
                let name = checkpoint(&format!("mailer {when} {lasting}"));
                let before = cx.checkpoints().claim_checkpoint(&name).await?.owner;
                let answer = cx.within(&when, sends.handle.checkpoints().claim_checkpoint(&name)).await?;
                sends.heal().await;
                match answer {
                    Ok(claim) => {
                        ensure!(claim.owner.epoch() > before.epoch(), "{when}: {claim:?} after {before:?}");
                        cx.checkpoints().save_checkpoint(&claim.owner, head).await?;
                    }
                    Err(error) => open(error, &when)?,
                }
                let again = sends.handle.checkpoints().claim_checkpoint(&name);
                let again = cx.within(&format!("{when}, again"), again).await??.owner;
                crate::expect::fenced(cx.checkpoints().save_checkpoint(&before, head).await)?;
                cx.checkpoints().save_checkpoint(&again, head).await?;
            }
        }
    }
    Ok(())
}

async fn checkpoint_save_cut(cx: Cx) -> Verdict {
    cx.minimum_ops(2);
    let mut head = cx.append_any("Order-1", 1).await?.position().expect("an event has a position");
    let name = checkpoint("mailer");
    let owner = cx.checkpoints().claim_checkpoint(&name).await?.owner;
    let mut saved = Position::START;
    for trouble in [Trouble::CutBefore, Trouble::CutAfter] {
        let mut sends = Sends::sweep(&cx, trouble).await?.lasting();
        while sends.goes_on()? {
            sends.arm().await?;
            let when = sends.name("a save");
            let answer = cx.within(&when, sends.handle.checkpoints().save_checkpoint(&owner, head)).await?;
            sends.heal().await;
            let stored = cx.checkpoints().load_checkpoint(&name).await?.map(|stored| stored.position);
            let stored = stored.unwrap_or(Position::START);
            match answer {
                Ok(()) => ensure_eq!(stored, head, "{when}: it was acknowledged, and the checkpoint"),
                Err(error) => {
                    let certain = matches!(error.kind(), ErrorKind::Unavailable(_));
                    open(error, &when)?;
                    ensure!(
                        stored == saved || (stored == head && !certain),
                        "{when}: the checkpoint is {stored}, after {saved} and a failed save of {head} (certain: {certain})"
                    );
                }
            }
            let again = sends.handle.checkpoints().save_checkpoint(&owner, head);
            cx.within(&format!("{when}, again"), again).await??;
            let stored = cx.checkpoints().load_checkpoint(&name).await?.map(|stored| stored.position);
            ensure_eq!(stored, Some(head), "the checkpoint after {when} and another save");
            saved = head;
            head = cx.append_any("Order-1", 1).await?.position().expect("an event has a position");
        }
    }
    Ok(())
}
