//! One append sent by many at once.

use std::sync::Arc;

use annalist_core::{Append, Error, ErrorKind, ExpectedVersion, Receipt};

use crate::{Cx, Handle, Verdict, checks, ensure, ensure_eq, events, exact, stream};

checks! {
    area: "idem",
    concurrent_twins {
        guarantee: "I4", level: 2, kind: Stochastic,
        summary: "Sixteen callers that send one append at once through one handle all get the same receipt, and one copy exists.",
        likely_cause: "looked up, then inserted, without anything that holds the place between",
    }
    twins_across_handles {
        guarantee: "I4", level: 2, kind: Stochastic,
        summary: "Sixteen callers that send one append at once through different handles all get the same receipt, and one copy exists.",
        likely_cause: "twins joined in the memory of one handle, or the loser told that it conflicts",
    }
    rivals_for_an_id {
        guarantee: "I3", level: 2, kind: Stochastic,
        summary: "Of appends that are sent at once and use one id for different content, one commits and all others are refused as `IdReused`.",
        likely_cause: "the loser taken for a retry, because its id is there",
    }
}

const CALLERS: usize = 16;

async fn twins(cx: &Cx, handles: &[Handle]) -> Verdict {
    let rounds = cx.scale(10);
    cx.minimum_ops(CALLERS * rounds.min(5));
    let (order, cart) = (stream("Order-1"), stream("Cart-1"));
    for round in 0..rounds {
        let append = match round % 3 {
            0 => Append::to(&order, ExpectedVersion::Any, events(3)),
            1 => Append::to(&order, exact(cx.version(&order).await?.get()), events(2)),
            _ => Append::to(&order, exact(cx.version(&order).await?.get()), events(1)).write(
                &cart,
                ExpectedVersion::Any,
                events(2),
            ),
        };
        let before = cx.read_log().await?.len();
        let answers = at_once(cx, handles, |_| append.clone()).await?;
        let receipts: Vec<Receipt> = answers.into_iter().collect::<Result<_, _>>()?;
        for receipt in &receipts {
            ensure_eq!(receipt.written(), receipts[0].written(), "what twins are told");
        }
        let log = cx.fresh().await?.read_log().await?.split_off(before);
        ensure_eq!(log.len(), append.event_count(), "events that twins wrote");
        cx.count_ops(CALLERS);
    }
    Ok(())
}

/// Sends an append for each caller at the same moment, over all the handles.
async fn at_once(
    cx: &Cx,
    handles: &[Handle],
    append: impl Fn(usize) -> Append,
) -> Verdict<Vec<Result<Receipt, Error>>> {
    let handles: Arc<[Handle]> = handles.into();
    cx.at_once(CALLERS, |caller| {
        let (handles, append) = (Arc::clone(&handles), append(caller));
        async move { handles[caller % handles.len()].append(append).await }
    })
    .await
}

async fn concurrent_twins(cx: Cx) -> Verdict {
    let handles = cx.handles(1).await?;
    twins(&cx, &handles).await
}

async fn twins_across_handles(cx: Cx) -> Verdict {
    let handles = cx.handles(4).await?;
    twins(&cx, &handles).await
}

async fn rivals_for_an_id(cx: Cx) -> Verdict {
    let rounds = cx.scale(10);
    cx.minimum_ops(CALLERS * rounds.min(5));
    let order = stream("Order-1");
    let handles = cx.handles(4).await?;
    for _ in 0..rounds {
        let before = cx.read_log().await?.len();
        let id = events(1)[0].id();
        let rival = |caller: usize| crate::event("Happened", format!(r#"{{"by":{caller}}}"#)).with_id(id);
        let answers =
            at_once(&cx, &handles, |caller| Append::to(&order, ExpectedVersion::Any, [rival(caller)]))
                .await?;
        let won: Vec<usize> = (0..CALLERS).filter(|caller| answers[*caller].is_ok()).collect();
        ensure!(won.len() == 1, "{} of {CALLERS} rivals for one id are told that they wrote it", won.len());
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            ensure!(matches!(error.kind(), ErrorKind::IdReused(_)), "a rival is refused with {error:?}");
        }
        let log = cx.fresh().await?.read_log().await?.split_off(before);
        ensure_eq!(log.len(), 1, "events that rivals wrote");
        ensure_eq!(log[0].event(), &rival(won[0]), "the event that won");
        cx.count_ops(CALLERS);
    }
    Ok(())
}
