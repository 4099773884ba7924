//! Appends: a batch becomes a record, or several where it is large, and the fold answers.

use std::sync::Arc;
use std::time::Duration;

use annalist_core::{Append, Error, Receipt};
use annalist_engine::group_commit::{BatchError, BatchWriter};
use async_trait::async_trait;

use crate::barrier::{self, not_carried_out};
use crate::config::RECORD_BYTES_MAX;
use crate::error::{Undelivered, lost, unavailable};
use crate::fold::Verdict;
use crate::record::{self, Sealed};
use crate::sender::{Fate, Sender, Ticket};

type Answers = Vec<Result<Receipt, Error>>;

/// Writes batches into the topic.
pub(crate) struct Appender {
    pub(crate) sender: Arc<Sender>,
    pub(crate) ready_within: Duration,
}

#[async_trait]
impl BatchWriter for Appender {
    async fn ready(&self) -> Result<(), BatchError> {
        self.sender.ready(self.ready_within).await.map_err(BatchError::NotSent)
    }

    async fn write(&self, batch: &[Append]) -> Result<Answers, BatchError> {
        let groups = groups(batch);
        // All leave before any is waited for.
        let sent: Vec<_> = groups
            .iter()
            .map(|appends| (appends.len(), self.sender.send(&mut Sealed::appends(appends.iter()))))
            .collect();
        let is_alone = sent.len() == 1;
        let mut answers = Vec::with_capacity(batch.len());
        for (appends, ticket) in sent {
            let answered = match ticket {
                Ok(ticket) => self.answers(ticket, appends).await,
                Err(undelivered) => Err(batch_error(undelivered)),
            };
            match answered {
                Ok(answered) => answers.extend(answered),
                Err(error) if is_alone => return Err(error),
                Err(BatchError::NotSent(error) | BatchError::Unknown(error) | BatchError::BadData(error)) => {
                    answers.extend(std::iter::repeat_n(Err(error), appends));
                }
                Err(other) => return Err(other),
            }
        }
        Ok(answers)
    }
}

impl Appender {
    async fn answers(&self, mut ticket: Ticket<'_>, appends: usize) -> Result<Answers, BatchError> {
        match ticket.fate().await {
            Fate::Folded(verdict) => answers_of(verdict, appends),
            Fate::Stopped(error) => Err(BatchError::Unknown(lost(error))),
            Fate::Undelivered(Undelivered::Maybe(_)) => {
                let settled = barrier::settle(&self.sender, self.ready_within).await;
                settled.map_err(|error| BatchError::Unknown(lost(error)))?;
                match ticket.verdict() {
                    Some(verdict) => answers_of(verdict, appends),
                    None => Err(BatchError::NotSent(overtaken())),
                }
            }
            Fate::Undelivered(undelivered) => Err(batch_error(undelivered)),
        }
    }
}

fn overtaken() -> Error {
    unavailable("the record did not get into the log before a later one, so that it never counts")
}

fn answers_of(verdict: Verdict, appends: usize) -> Result<Answers, BatchError> {
    match verdict {
        Verdict::Appends(answers) if answers.len() == appends => Ok(answers),
        verdict => Err(BatchError::NotSent(not_carried_out(&verdict))),
    }
}

fn batch_error(undelivered: Undelivered) -> BatchError {
    match undelivered {
        Undelivered::Never(error) => BatchError::NotSent(error),
        Undelivered::TooLarge(error) => BatchError::BadData(error),
        Undelivered::Maybe(error) => BatchError::Unknown(error),
    }
}

/// Parts of a batch that fit into a record each. One append always does.
fn groups(batch: &[Append]) -> Vec<&[Append]> {
    // Nearly always all fit, and then they are laid out only once.
    let is_small = |append: &Append| append.conditions().is_empty();
    let bytes: usize = batch.iter().map(|append| append.size() + 400 * append.event_count() + 20_000).sum();
    if batch.iter().all(is_small) && bytes <= RECORD_BYTES_MAX {
        return vec![batch];
    }
    let (mut groups, mut from, mut bytes) = (Vec::new(), 0, record::HEADER_LEN + 10);
    for (i, append) in batch.iter().enumerate() {
        let len = record::append_len(append);
        if bytes + len > RECORD_BYTES_MAX && from < i {
            groups.push(&batch[from..i]);
            (from, bytes) = (i, record::HEADER_LEN + 10);
        }
        bytes += len;
    }
    groups.push(&batch[from..]);
    groups
}
