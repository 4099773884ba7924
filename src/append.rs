//! Appending, and sending an append again until its fate is known.

use annalist_core::{Append, Conflict, Error, ErrorKind, ExpectedVersion, NewEvent, Receipt, StreamId};

use crate::Store;
use crate::retry::{Attempts, Retry};
use crate::trace::{self, observe};

impl Store {
    /// Appends events to one stream, under one expectation.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](crate::EventStore::append). Two of them can be retried as they are, which
    /// [`append_retrying`](Self::append_retrying) does.
    pub async fn append(
        &self,
        stream: impl TryInto<StreamId, Error: Into<Error>>,
        expected: impl Into<ExpectedVersion>,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Result<Receipt, Error> {
        let append = Append::to(&stream.try_into().map_err(Into::into)?, expected, events);
        self.commit(append).await
    }

    /// Commits an append in its full form: several streams, checks and conditions in one atomic step.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](crate::EventStore::append).
    pub async fn commit(&self, append: Append) -> Result<Receipt, Error> {
        let span = trace::append(&append);
        span.record("attempts", 1);
        let stream = trace::only_stream(&append).cloned();
        observe(span, "append", stream.as_ref(), self.events.append(append)).await
    }

    /// Commits an append, and sends the same append again for as long as the store cannot be reached or its answer is lost. The
    /// event ids make that safe (I1): it is committed once, or not at all.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](crate::EventStore::append): [`Unavailable`](ErrorKind::Unavailable) if it was certainly not
    /// written within the bounds of `retry`, [`Indeterminate`](ErrorKind::Indeterminate) if it may have been, or may yet be.
    pub async fn append_retrying(&self, append: &Append, retry: Retry) -> Result<Receipt, Error> {
        self.send(append, &mut retry.start()).await
    }

    /// As [`append_retrying`](Self::append_retrying), with what is left of the attempts at something larger.
    pub(crate) async fn send(&self, append: &Append, attempts: &mut Attempts) -> Result<Receipt, Error> {
        let (span, before) = (trace::append(append), attempts.made() - 1);
        let sent = self.send_until_settled(append, attempts);
        let sent = observe(span.clone(), "append", trace::only_stream(append), sent).await;
        span.record("attempts", attempts.made() - before);
        sent
    }

    /// Sends an append until its fate is known or the attempts are used up.
    ///
    /// Once a sending may have reached the log, it may commit at any later time. From then on only success or a refusal
    /// that can never become untrue settles what happened, and anything else stays in doubt (E1).
    async fn send_until_settled(&self, append: &Append, attempts: &mut Attempts) -> Result<Receipt, Error> {
        let mut in_doubt = false;
        loop {
            let error = match self.events.append(append.clone()).await {
                Ok(receipt) => return Ok(receipt),
                Err(error) => error,
            };
            in_doubt |= matches!(error.kind(), ErrorKind::Indeterminate(_));
            if final_for(error.kind(), in_doubt) {
                return Err(error);
            }
            let may_change = matches!(
                error.kind(),
                ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_) | ErrorKind::Conflict(_)
            );
            if !may_change || !attempts.again(&error).await {
                return Err(if in_doubt { still_in_doubt(error) } else { error });
            }
        }
    }
}

/// Whether an answer settles what became of an append.
fn final_for(kind: &ErrorKind, in_doubt: bool) -> bool {
    match kind {
        ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_) => false,
        _ if !in_doubt => true,
        ErrorKind::Conflict(Conflict::Version { expected, actual, .. }) => expected.refused_for_good(*actual),
        // What matches stays in the log, and so does what stands under an id.
        ErrorKind::Conflict(Conflict::Condition { .. }) | ErrorKind::IdReused(_) => true,
        _ => false,
    }
}

/// The last answer to an append whose earlier sending may yet commit.
fn still_in_doubt(last: Error) -> Error {
    if matches!(last.kind(), ErrorKind::Indeterminate(_)) {
        return last;
    }
    let message = "an earlier sending may have committed, or may yet".to_owned();
    Error::new(ErrorKind::Indeterminate(message)).with_source(last)
}
