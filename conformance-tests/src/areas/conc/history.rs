//! Whole histories of mixed operations, which one order must explain.

use crate::history::Recorder;
use crate::traffic::Client;
use crate::{Cx, Verdict, checks};

checks! {
    area: "conc",
    linearizable {
        guarantee: "A3", level: 2, kind: Stochastic,
        summary: "All answers to appends of every shape, to retries and to reads of many clients on one handle fit one order of the log and real time.",
        likely_cause: "any check, read or receipt that is made beside the write and not in it",
    }
    linearizable_handles {
        guarantee: "R3", level: 2, kind: Stochastic,
        summary: "The same through handles that share nothing but the log.",
        likely_cause: "a cache, a lock or a counter in each handle",
    }
    refusals_justified {
        guarantee: "A5", level: 2, kind: Stochastic,
        summary: "Every conflict among many was one, in a state between the call and the answer, and tells what held there.",
        likely_cause: "a conflict told from a cache, or with a version that was asked for afterwards",
    }
}

async fn traffic(cx: &Cx, handles: usize, contended: bool, name: &str) -> Verdict {
    const CLIENTS: usize = 6;
    // What only several handles can get wrong happens between two of them, hence less often in as many steps.
    let steps = cx.scale(if handles > 1 { 80 } else { 40 });
    cx.minimum_ops(CLIENTS * steps);
    let (recorder, handles) = (Recorder::new(), cx.handles(handles).await?);
    let task = |i: usize| {
        let mut client = Client::new(recorder.session(&handles[i % handles.len()]), cx.rng());
        let cx = cx.clone();
        async move {
            for _ in 0..steps {
                client.step(contended).await?;
                cx.count_op();
            }
            Ok::<_, crate::Failure>(())
        }
    };
    for done in cx.within("clients of a history", cx.at_once(CLIENTS, task)).await?? {
        done?;
    }
    recorder.judge(cx, name).await
}

async fn linearizable(cx: Cx) -> Verdict {
    traffic(&cx, 1, false, "linearizable").await
}

async fn linearizable_handles(cx: Cx) -> Verdict {
    traffic(&cx, 3, false, "linearizable_handles").await
}

async fn refusals_justified(cx: Cx) -> Verdict {
    traffic(&cx, 3, true, "refusals_justified").await
}
