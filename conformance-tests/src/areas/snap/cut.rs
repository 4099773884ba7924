//! Snapshots whose connection is lost.

use annalist_core::{ErrorKind, Snapshot, Version};

use crate::areas::network::Sends;
use crate::{Cx, Trouble, Verdict, checks, ensure, ensure_eq, schema, stream};

checks! {
    area: "snap",
    atomic {
        guarantee: "N4", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "A snapshot that replaces another one is, wherever its connection is lost, the old one or the new one, whole; saving again puts it right.",
        likely_cause: "a delete and an insert, or an item for each part",
    }
}

async fn atomic(cx: Cx) -> Verdict {
    cx.minimum_ops(4);
    let (order, schema) = (stream("Order-1"), schema("order/1"));
    let made = |n: usize| {
        // A different length each time, so that a mixture shows.
        let data = format!("{n}-").repeat(20_000 + n);
        Snapshot::new(&order, &schema, Version::new(3), data)
    };
    let load = || async {
        let fresh = cx.fresh().await?;
        let found = fresh.snapshots().load_snapshot(&order, &schema, Version::MAX).await?;
        Ok::<_, crate::Failure>(found)
    };
    let mut n = 1;
    cx.snapshots().save_snapshot(made(n)).await?;
    for trouble in [Trouble::CutBefore, Trouble::CutAfter] {
        for lasting in [false, true] {
            let sends = Sends::sweep(&cx, trouble).await?;
            let mut sends = if lasting { sends.lasting() } else { sends };
            while sends.goes_on()? {
                let (old, new) = (made(n), made(n + 1));
                n += 1;
                sends.arm().await?;
                let when = sends.name("a snapshot");
                let answer = cx.within(&when, sends.handle.snapshots().save_snapshot(new.clone())).await?;
                sends.heal().await;
                let found = load().await?;
                let (is_old, is_new) = (found.as_ref() == Some(&old), found.as_ref() == Some(&new));
                match answer {
                    Ok(()) => ensure!(is_new, "{when}: it was acknowledged, and there is {found:?}"),
                    Err(error) => {
                        let certain = matches!(error.kind(), ErrorKind::Unavailable(_));
                        let open = certain || matches!(error.kind(), ErrorKind::Indeterminate(_));
                        ensure!(open, "{when}: it is answered {error:?}");
                        ensure!(
                            is_old || (is_new && !certain),
                            "{when}: it is answered {error:?}, and there is {found:?}, neither the old nor the new one"
                        );
                    }
                }
                let again = sends.handle.snapshots().save_snapshot(new.clone());
                cx.within(&format!("{when}, again"), again).await??;
                ensure_eq!(load().await?.as_ref(), Some(&new), "{when}: the snapshot after another save");
            }
        }
    }
    Ok(())
}
