//! Namespaces while an append of another one is held up.

use annalist_core::{Append, Query, Subscribe};

use crate::areas::network::{Sends, send};
use crate::{Cx, Trouble, Verdict, checks, ensure_eq, events, exact, stream};

checks! {
    area: "tenant",
    noisy {
        guarantee: "G2", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "An append that is held up in one namespace delays neither appends nor subscriptions of another.",
        likely_cause: "one advisory lock for the whole database; a horizon of transactions that all namespaces share",
    }
}

async fn noisy(cx: Cx) -> Verdict {
    cx.minimum_ops(1);
    let mut sends = Sends::sweep(&cx, Trouble::Hold).await?;
    let other = cx.other_namespace("quiet").await?;
    let mut tail = other.tail(Subscribe::to(Query::all()).from_now()).await?;
    let mut quiet = 0;
    while sends.goes_on()? {
        sends.arm().await?;
        let when = sends.name("an append of another namespace");
        let held = Append::to(&stream(&format!("Noisy-{}", sends.at())), exact(0), events(2));
        let task = send(&cx, &sends.handle, &held.timeout(cx.patience()));
        if sends.until_fired(&task).await? {
            for _ in 0..3 {
                let beside = other.append_any("Quiet-1", 1);
                let receipt = cx.within(&format!("an append beside {when}"), beside).await??;
                tail.until(receipt.position().expect("an event has a position")).await?;
                quiet += 1;
            }
        }
        sends.heal().await;
        cx.within(&when, task.join()).await???;
    }
    ensure_eq!(other.read_log().await?.len(), quiet, "events of the quiet namespace");
    Ok(())
}
