//! An append that is held up at any of its sends, while another handle appends and a third one follows the log.

use annalist_core::{Append, Query, Subscribe};

use crate::areas::network::{Sends, Told, send, there_once, told};
use crate::{Cx, Trouble, Verdict, checks, ensure, events, exact, same_events, stream};

checks! {
    area: "global",
    late_commit {
        guarantee: "G2", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "An append that is held up at any of its sends while others overtake it is skipped by no reader that follows the log.",
        likely_cause: "a place that is given when the event is inserted, and seen when it is committed: bigserial",
    }
    idle_session_no_stall {
        guarantee: "G2", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "While an append is held up at any of its sends, appends of other handles are acknowledged and delivered.",
        likely_cause: "a lock or a place that is held from one round trip to the next; a reader that waits for every hole",
    }
}

async fn late_commit(cx: Cx) -> Verdict {
    cx.minimum_ops(1);
    let mut sends = Sends::sweep(&cx, Trouble::Hold).await?;
    while sends.goes_on()? {
        sends.arm().await?;
        let when = sends.name("an append");
        let (reader, before) = (cx.fresh().await?, cx.read_log().await?.len());
        let mut tail = reader.tail(Subscribe::to(Query::all()).from_now()).await?;
        let late = Append::to(&stream(&format!("Late-{}", sends.at())), exact(0), events(2));
        let late = late.timeout(cx.patience());
        let task = send(&cx, &sends.handle, &late);
        let held = sends.until_fired(&task).await?;
        let (mut seen, other) = (Vec::new(), format!("Other-{}", sends.at()));
        if held {
            // Those that overtake it may have to wait for it here; that they must not is another check's.
            let overtaking = cx.clone();
            let overtaking = cx.spawn(async move { overtaking.append_any(&other, 3).await });
            let answered = async {
                while !overtaking.is_finished() {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            };
            if tokio::time::timeout(cx.patience() / 8, answered).await.is_ok() {
                let receipt = overtaking.join().await??;
                seen.extend(tail.until(receipt.position().expect("three events have a position")).await?);
                sends.heal().await;
            } else {
                sends.heal().await;
                cx.within("an append that waited for another", overtaking.join()).await???;
            }
        } else {
            sends.heal().await;
        }
        let answer = cx.within(&when, task.join()).await??;
        ensure!(
            !matches!(told(answer, &when)?, Told::Absent),
            "{when}: it went on its way, and is told to be absent"
        );
        there_once(&cx, &cx, &late, &when).await?;
        let last = cx.append_any("Last-1", 1).await?;
        seen.extend(tail.until(last.position().expect("an event has a position")).await?);
        let log = cx.fresh().await?.read_log().await?;
        same_events(&seen, &log[before..], &format!("what a reader saw that follows the log: {when}"))?;
    }
    Ok(())
}

async fn idle_session_no_stall(cx: Cx) -> Verdict {
    cx.minimum_ops(1);
    let mut sends = Sends::sweep(&cx, Trouble::Hold).await?;
    let mut tail = cx.fresh().await?.tail(Subscribe::to(Query::all()).from_now()).await?;
    while sends.goes_on()? {
        sends.arm().await?;
        let when = sends.name("an append");
        let idle = Append::to(&stream(&format!("Idle-{}", sends.at())), exact(0), events(2));
        let idle = idle.timeout(cx.patience());
        let task = send(&cx, &sends.handle, &idle);
        if sends.until_fired(&task).await? {
            for n in 0..3 {
                let name = format!("Other-{}-{n}", sends.at());
                let beside = cx.append_any(&name, 1);
                let receipt = cx.within(&format!("an append beside {when}"), beside).await??;
                tail.until(receipt.position().expect("an event has a position")).await?;
            }
        }
        sends.heal().await;
        let answer = cx.within(&when, task.join()).await??;
        told(answer, &when)?;
        there_once(&cx, &cx, &idle, &when).await?;
    }
    Ok(())
}
