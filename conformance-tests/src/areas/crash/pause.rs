//! A server that is stopped, and goes on.

use annalist_core::{Append, Error, ExpectedVersion, Query, Read};

use super::storm::{Storm, passes};
use crate::{Cx, Failure, Verdict, checks, events, stream};

checks! {
    area: "crash",
    server_pause {
        guarantee: "C2", level: 4, kind: Stochastic,
        hooks: [Server],
        summary: "While the server is stopped, every operation ends by its deadline with an error that says what is known; once it goes on, all works again and no answer was false.",
        likely_cause: "no deadline at all, or one that is told as `Unavailable` although the append lands later",
    }
}

/// Sees to it that an operation on a stopped server ended with an error after which it can be sent again.
fn ended<T: std::fmt::Debug>(what: &str, answer: Result<T, Error>) -> Verdict {
    match answer {
        Err(error) if passes(&error) => Ok(()),
        Err(error) => Err(Failure::violation(format!("{what} on a stopped server ended with {error:?}"))),
        Ok(_) => Err(Failure::Inconclusive("the server answers although it was stopped".to_owned())),
    }
}

async fn server_pause(cx: Cx) -> Verdict {
    let pauses = cx.scale(2);
    cx.minimum_ops(pauses);
    let mut storm = Storm::begin(&cx).await?;
    for _ in 0..pauses {
        storm.pause().await?;
        let late = storm.session();
        let timeout = cx.patience() / 15;
        let append = Append::to(&stream("Late-1"), ExpectedVersion::Any, events(2)).timeout(timeout);
        let look = Read::log(Query::all()).limit(1).timeout(timeout);
        let (appended, read) = tokio::join!(
            cx.within("an append on a stopped server", late.append(append.clone())),
            cx.within("a read on a stopped server", storm.witness.read(look)),
        );
        ended("an append", appended?)?;
        ended("a read", read?)?;
        storm.resume().await?;
        storm.unsettled(append);
        cx.count_op();
    }
    let fresh = storm.end().await?;
    storm.judge(&fresh, "server_pause").await
}
