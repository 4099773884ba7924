//! Every operation while the server is down, or while nothing gets through.

use annalist_core::{Error, ErrorKind};

use crate::areas::every::{Operation, every_operation};
use crate::areas::network::{EVER_LONGER, SOON};
use crate::{Cx, Trouble, Verdict, checks, ensure, note};

checks! {
    area: "res",
    unavailable {
        guarantee: "C2", level: 3, kind: Deterministic, hooks: [Proxy],
        summary: "While the server is down every operation is `Unavailable` by its deadline, and works again by itself once it is back.",
        likely_cause: "a client that connects once, when it is opened; or one that tries for ever",
    }
    deadline_of_every_operation {
        guarantee: "C2", level: 3, kind: Deterministic, hooks: [Proxy],
        summary: "While connections stay open and nothing gets through, every operation answers by its deadline: `Unavailable`, or `Indeterminate` once it is in flight.",
        likely_cause: "a driver's call that takes no timeout (librdkafka)",
    }
    close_without_network {
        guarantee: "C2", level: 3, kind: Deterministic, hooks: [Proxy],
        summary: "`close` returns although nothing gets through, and what was under way has its answer.",
        likely_cause: "a close that says goodbye to the server and waits for its reply",
    }
}

fn is_certain(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable(_))
}

async fn unavailable(cx: Cx) -> Verdict {
    let (handle, proxy) = cx.proxied().await?;
    let set = Operation::prepare(&cx).await?;
    cx.within("an append before", handle.works("Before-1")).await??;
    ensure!(proxy.sends() > 0, "an append went past the proxy");
    for round in 0..2 {
        proxy.arm(Trouble::Down).await;
        // What was there is lost; what looks as if it were there is found out by the first one that uses it.
        let _ = cx.within("a read while the server is down", handle.head()).await?;
        for operation in every_operation(&set, round) {
            let (name, mut answers) = (operation.name, Vec::new());
            for deadline in EVER_LONGER {
                answers.push(cx.within(name, operation.run(handle.clone(), deadline)).await?);
                if matches!(answers.last(), Some(Err(error)) if is_certain(error)) {
                    answers.clear();
                    break;
                }
            }
            note!(cx, answers.is_empty(), "{name} while the server is down: it is answered {answers:?}");
        }
        proxy.heal().await;
        for operation in every_operation(&set, round) {
            let name = operation.name;
            let answer = cx.within(name, operation.run(handle.clone(), cx.patience())).await?;
            note!(cx, answer.is_ok(), "{name} after the server is back: it is answered {answer:?}");
        }
        cx.within("an append after", handle.works("After-1")).await??;
    }
    Ok(())
}

async fn deadline_of_every_operation(cx: Cx) -> Verdict {
    let (handle, proxy) = cx.proxied().await?;
    let set = Operation::prepare(&cx).await?;
    for warm in [true, false] {
        if warm {
            cx.within("an append before", handle.works("Before-1")).await??;
        }
        proxy.arm(Trouble::Silent).await;
        let begun = every_operation(&set, usize::from(warm)).into_iter().map(|operation| {
            let (name, task) = (operation.name, cx.spawn(operation.run(handle.clone(), SOON)));
            (name, task)
        });
        let begun: Vec<_> = begun.collect();
        for (name, task) in begun {
            let answer = cx.within(&format!("{name} while nothing gets through"), task.join()).await??;
            let kept = answer.as_ref().is_err_and(|error| {
                matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_))
            });
            note!(cx, kept, "{name} while nothing gets through: it is answered {answer:?}");
        }
        proxy.has_fired("operations while nothing gets through")?;
        proxy.heal().await;
        cx.within("an append after", handle.works("After-1")).await??;
    }
    Ok(())
}

async fn close_without_network(cx: Cx) -> Verdict {
    let (handle, proxy) = cx.proxied().await?;
    let set = Operation::prepare(&cx).await?;
    cx.within("an append before", handle.works("Before-1")).await??;
    proxy.arm(Trouble::Silent).await;
    let begun: Vec<_> = every_operation(&set, 0)
        .into_iter()
        .map(|operation| (operation.name, cx.spawn(operation.run(handle.clone(), SOON))))
        .collect();
    cx.within("something that is sent", proxy.until_fired()).await?;
    // What went wrong in finishing may be told; only that it returns is asked for.
    let _ = cx.within("closing while nothing gets through", handle.close()).await?;
    for (name, task) in begun {
        let answer = cx.within(&format!("{name} beside a close"), task.join()).await??;
        ensure!(answer.is_err(), "{name}: nothing got through, and it is answered {answer:?}");
    }
    Ok(())
}
