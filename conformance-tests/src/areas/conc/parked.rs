//! Appends of several handles, one of which the network holds up.

use annalist_core::{Append, ErrorKind};

use crate::areas::network::{Sends, send};
use crate::{Cx, Trouble, Verdict, checks, ensure, ensure_eq, events, exact, stream};

checks! {
    area: "conc",
    parked_harms_nobody {
        guarantee: "C3", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "Appends of other handles get their own true answers in time while one is held up at any of its sends.",
        likely_cause: "a lock of the table or of the log that a transaction keeps until its client goes on",
    }
    parked_one_winner {
        guarantee: "A3", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "Of an append that is held up at any of its sends and one that overtakes it with the same `Exact`, exactly one commits.",
        likely_cause: "an expectation that is checked in one round trip, and written by the next",
    }
}

async fn parked_harms_nobody(cx: Cx) -> Verdict {
    cx.minimum_ops(1);
    let mut sends = Sends::sweep(&cx, Trouble::Hold).await?;
    let others = [cx.fresh().await?, cx.fresh().await?];
    while sends.goes_on()? {
        sends.arm().await?;
        let when = sends.name("an append");
        let parked = Append::to(&stream(&format!("Parked-{}", sends.at())), exact(0), events(2));
        let task = send(&cx, &sends.handle, &parked.clone().timeout(cx.patience()));
        if sends.until_fired(&task).await? {
            for (n, other) in others.iter().enumerate() {
                let order = stream(&format!("Other-{}-{n}", sends.at()));
                for version in 0..3 {
                    let answer = other.append_to(&order, exact(version), events(1));
                    let answer = cx.within(&format!("an append beside {when}"), answer).await?;
                    ensure!(answer.is_ok(), "beside {when} another one is answered {answer:?}");
                }
                let stale = other.append_to(&order, exact(1), events(1));
                let stale = cx.within(&format!("a stale append beside {when}"), stale).await?;
                crate::expect::version_conflict(stale, &order, exact(1), 3)?;
            }
        }
        sends.heal().await;
        cx.within(&when, task.join()).await???;
    }
    Ok(())
}

async fn parked_one_winner(cx: Cx) -> Verdict {
    cx.minimum_ops(1);
    let mut sends = Sends::sweep(&cx, Trouble::Hold).await?;
    while sends.goes_on()? {
        sends.arm().await?;
        let (when, order) = (sends.name("an append"), stream(&format!("Order-{}", sends.at())));
        let append = || Append::to(&order, exact(0), events(2)).timeout(cx.patience());
        let parked = send(&cx, &sends.handle, &append());
        // The second may have to wait for the first, and then until the first goes on.
        let (second, waits) = if sends.until_fired(&parked).await? {
            let second = append().timeout(cx.patience() / 8);
            (cx.within(&when, cx.append(second.clone())).await?, Some(second))
        } else {
            (cx.append(append()).await, None)
        };
        sends.heal().await;
        let parked = cx.within(&when, parked.join()).await??;
        let second = match (second, waits) {
            (Err(error), Some(second))
                if matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_)) =>
            {
                cx.append(second.timeout(cx.patience())).await
            }
            (second, _) => second,
        };
        let winners = usize::from(parked.is_ok()) + usize::from(second.is_ok());
        ensure_eq!(winners, 1, "winners of {when} ({parked:?}) and one that overtook it ({second:?})");
        let loser = if parked.is_ok() { second } else { parked };
        crate::expect::version_conflict(loser, &order, exact(0), 2)?;
        ensure_eq!(cx.fresh().await?.read_stream(&order).await?.len(), 2, "events after {when}");
    }
    Ok(())
}
