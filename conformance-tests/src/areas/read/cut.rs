//! Reads whose connection is lost.

use annalist_core::{ErrorKind, ExpectedVersion, Query, Read, RecordedEvent};

use crate::areas::network::{SOON, Sends};
use crate::{Cx, Failure, Handle, Trouble, Verdict, checks, ensure, event, same_events, stream};

checks! {
    area: "read",
    cut_sweep {
        guarantee: "E4", level: 3, kind: Sweep, hooks: [Proxy],
        summary: "A read any of whose sends or replies is lost is complete, or ends with an error that can be sent again.",
        likely_cause: "a lost connection told as an empty stream",
    }
    error_not_truncation {
        guarantee: "E4", level: 3, kind: Sweep, needs: [RemoteReads], hooks: [Proxy],
        summary: "A read whose connection is lost in the middle of a large reply ends with an error, never with a shorter result.",
        likely_cause: "the end of the connection taken for the end of the rows",
    }
}

const EVENTS: usize = 300;

/// Some hundred kilobytes in one stream.
async fn large_log(cx: &Cx) -> Verdict<Vec<RecordedEvent>> {
    let order = stream("Order-1");
    for part in 0..3 {
        let data = |n: usize| format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(1_000));
        let events = (0..EVENTS / 3).map(|n| event("Noted", data(part * EVENTS / 3 + n)));
        cx.append_to(&order, ExpectedVersion::Any, events).await?;
    }
    cx.read_log().await
}

fn reads() -> [(&'static str, Read); 3] {
    let order = stream("Order-1");
    let whole = |read: Read| read.page_size(EVENTS);
    [
        ("a stream", whole(Read::stream(&order))),
        ("a stream backward", whole(Read::stream(&order).backward())),
        ("the log", whole(Read::log(Query::category("Order")))),
    ]
}

/// All pages of a read, or its error.
async fn drained(handle: &Handle, read: Read) -> Result<Vec<RecordedEvent>, annalist_core::Error> {
    let (mut events, mut next) = (Vec::new(), Some(read));
    while let Some(read) = next {
        let page = handle.read(read).await?;
        events.extend(page.events);
        next = page.next;
    }
    Ok(events)
}

/// Complete, or an error that says that it can be sent again. Whether it is complete.
fn whole_or_error(
    answer: Result<Vec<RecordedEvent>, annalist_core::Error>,
    log: &[RecordedEvent],
    read: &Read,
    when: &str,
) -> Verdict<bool> {
    let error = match answer {
        Ok(mut found) => {
            if read.direction() == annalist_core::Direction::Backward {
                found.reverse();
            }
            same_events(&found, log, when)?;
            return Ok(true);
        }
        Err(error) => error,
    };
    let again = matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_));
    if again { Ok(false) } else { Err(Failure::violation(format!("{when}: it ends with {error:?}"))) }
}

async fn cut_sweep(cx: Cx) -> Verdict {
    cx.minimum_ops(4);
    let log = large_log(&cx).await?;
    for trouble in [Trouble::CutBefore, Trouble::CutAfter, Trouble::SilentAfter] {
        let mut sends = Sends::sweep(&cx, trouble).await?.lasting();
        while sends.goes_on()? {
            for (what, read) in reads() {
                let when = sends.name(what);
                sends.arm().await?;
                let answer = drained(&sends.handle, read.clone().timeout(SOON));
                let answer = cx.within(&when, answer).await?;
                sends.heal().await;
                whole_or_error(answer, &log, &read, &when)?;
                let again = drained(&sends.handle, read.clone().timeout(cx.patience()));
                let again = cx.within(&format!("{when}, again"), again).await?;
                ensure!(
                    whole_or_error(again, &log, &read, &when)?,
                    "{when}: it fails after the network is healed"
                );
            }
        }
    }
    Ok(())
}

async fn error_not_truncation(cx: Cx) -> Verdict {
    cx.minimum_ops(10);
    let log = large_log(&cx).await?;
    let (handle, proxy) = cx.proxied().await?;
    for (what, read) in reads() {
        proxy.heal().await;
        let complete = cx.within(what, drained(&handle, read.clone().timeout(cx.patience()))).await?;
        ensure!(whole_or_error(complete, &log, &read, what)?, "{what}: it fails while nothing is wrong");
        let bytes = proxy.replied();
        ensure!(bytes > 1_000, "{what}: a large reply has {bytes} bytes");
        for part in 0..8 {
            // From the first byte to the last but one.
            let at = (bytes - 2) * part / 7 + 1;
            for lasting in [true, false] {
                let when = format!("{what}, cut after {at} of {bytes} bytes");
                cx.within(&when, handle.head()).await??;
                if lasting {
                    proxy.arm_lasting(Trouble::CutReply(at)).await;
                } else {
                    proxy.arm(Trouble::CutReply(at)).await;
                }
                let answer = drained(&handle, read.clone().timeout(4 * SOON));
                let answer = cx.within(&when, answer).await?;
                let fired = proxy.fired() > 0;
                proxy.heal().await;
                whole_or_error(answer, &log, &read, &when)?;
                if fired {
                    cx.count_op();
                }
            }
        }
    }
    Ok(())
}
