//! What errors and log lines tell while the network fails.

use std::time::Duration;

use annalist_core::{Error, Query, Subscribe};

use super::told::texts;
use crate::areas::every::{Operation, every_operation};
use crate::areas::network::SOON;
use crate::logs::Watch;
use crate::{Cx, Trouble, Verdict, checks, ensure, note};

checks! {
    area: "errors",
    no_secrets_in_faults {
        guarantee: "E2", level: 3, kind: Deterministic, hooks: [Proxy],
        summary: "While the network fails, no error, log line, span or debug text has a payload, password, key or token in it.",
        likely_cause: "a connection string told with the error; a request logged before it is sent again",
    }
}

async fn no_secrets_in_faults(cx: Cx) -> Verdict {
    let set = Operation::prepare(&cx).await?;
    let watch = Watch::start(cx.secrets().into_iter().chain([set.marker.clone()]).collect())?;
    let (handle, proxy) = cx.proxied().await?;
    let tells = |when: &str, error: &Error| {
        let telling = texts(error).iter().find_map(|text| watch.in_text(text));
        note!(cx, telling.is_none(), "{when}: the error tells a secret, at byte {telling:?} of a text");
    };
    let troubles = [Trouble::CutBefore(0), Trouble::CutAfter(0), Trouble::CutReply(1), Trouble::Down];
    for (round, trouble) in troubles.into_iter().enumerate() {
        let mut failed = 0;
        for operation in every_operation(&set, round) {
            let when = format!("{} {trouble:?}", operation.name);
            cx.within("a read before the trouble", handle.head()).await??;
            proxy.arm_lasting(trouble).await;
            let answer = cx.within(&when, operation.run(handle.clone(), SOON)).await?;
            if let Err(error) = answer {
                failed += 1;
                tells(&when, &error);
            }
            proxy.heal().await;
        }
        ensure!(failed > 0, "{trouble:?}: nothing failed");
    }
    // All at once, because each takes its whole time.
    proxy.arm(Trouble::Silent).await;
    let silent: Vec<_> = every_operation(&set, 4)
        .into_iter()
        .map(|operation| (operation.name, cx.spawn(operation.run(handle.clone(), SOON))))
        .collect();
    for (name, task) in silent {
        let when = format!("{name} while nothing gets through");
        if let Err(error) = cx.within(&when, task.join()).await?? {
            tells(&when, &error);
        }
    }
    proxy.has_fired("operations while nothing gets through")?;
    proxy.heal().await;
    let subscribe = Subscribe::to(Query::all()).outage_max(Duration::ZERO);
    let mut tail = cx.within("subscribing", handle.tail(subscribe)).await??;
    tail.until_caught_up().await?;
    proxy.arm(Trouble::Down).await;
    let mut told = texts(&tail.end().await?);
    told.push(format!("{:?} {:?} {:?}", handle.store(), handle.snapshots(), handle.checkpoints()));
    let telling = told.iter().filter_map(|text| watch.in_text(text)).next();
    note!(
        cx,
        telling.is_none(),
        "the end of a subscription, or a store, tells a secret, at byte {telling:?} of a text"
    );
    for found in watch.found() {
        cx.violation(format!("a secret is in the log: {found}"));
    }
    Ok(())
}
