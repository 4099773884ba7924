//! Senders that answer wrongly when the way is broken.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use annalist_core::{Append, Error, ErrorKind, EventId, Receipt};
use annalist_engine::group_commit::{BatchError, BatchWriter, GroupCommit};
use async_trait::async_trait;
use tokio::time::Instant;

use crate::edit::edit_writes;
use crate::faulty::{Answer, Carrier, Loss, Sender, TIMEOUT, faulty, indeterminate, unavailable};
use crate::mutants::Mutant;
use crate::senders::{Direct, Grouped, Writer, group_config};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "lost_reply_is_unavailable",
        guarantee: "E1",
        twin: "every fault of a connection taken for \"not written\"",
        expected: &[
            "errors.lost_reply_is_indeterminate_or_ok",
            "errors.lost_reply_then_retry_converges",
            "errors.lost_reply_never_downgraded",
            "errors.next_append_clean",
        ],
        make: || faulty(lost_reply_is_unavailable),
    },
    Mutant {
        name: "lost_reply_is_internal",
        guarantee: "E1",
        twin: "the driver's error passed on",
        expected: &["errors.lost_reply_is_indeterminate_or_ok", "errors.refused_once"],
        make: || faulty(|way| loses(way, |_| ErrorKind::Internal("connection reset".into()).into())),
    },
    Mutant {
        name: "not_sent_is_indeterminate",
        guarantee: "E1",
        twin: "`Indeterminate` for whatever goes wrong",
        expected: &["errors.not_sent_is_unavailable", "errors.refused_once"],
        make: || faulty(|way| loses(way, |_| indeterminate("something went wrong"))),
    },
    Mutant {
        name: "timeout_is_unavailable",
        guarantee: "E1",
        twin: "\"timed out, so it was not written\"",
        expected: &["errors.late_landing", "res.deadline"],
        make: || faulty(timeout_is_unavailable),
    },
    Mutant {
        name: "deadline_ignored",
        guarantee: "C2",
        twin: "a driver's call that takes no timeout",
        expected: &["res.deadline", "errors.late_landing"],
        make: || faulty(|way| Arc::new(DeadlineIgnored(Direct::new(way)))),
    },
    Mutant {
        name: "retry_with_new_ids",
        guarantee: "I1",
        twin: "a retry below the place where ids are made",
        expected: &["errors.lost_reply_is_indeterminate_or_ok"],
        make: || faulty(retry_with_new_ids),
    },
    Mutant {
        name: "ids_of_retries_forgotten",
        guarantee: "I1",
        twin: "a token that is valid for one connection",
        expected: &["errors.lost_reply_then_retry_converges", "errors.lost_reply_is_indeterminate_or_ok"],
        make: || faulty(ids_of_retries_forgotten),
    },
    Mutant {
        name: "last_attempt_counts",
        guarantee: "E1",
        twin: "a retry loop that gives the error of its last round",
        expected: &["errors.lost_reply_never_downgraded"],
        make: || faulty(|way| Arc::new(LastAttemptCounts(Direct::new(way)))),
    },
    Mutant {
        name: "lost_append_sent_with_the_next",
        guarantee: "C1",
        twin: "KIP-890: a transaction that was not ended takes in what is sent next",
        expected: &["errors.next_append_clean"],
        make: || faulty(lost_append_sent_with_the_next),
    },
    Mutant {
        name: "batch_is_one_transaction",
        guarantee: "C3",
        twin: "one transaction for a batch",
        expected: &["errors.mates_unharmed"],
        make: || {
            faulty(|way| {
                let writer = OneTransaction(Writer(way));
                Arc::new(Grouped(GroupCommit::new(Arc::new(writer), group_config())))
            })
        },
    },
];

pub fn lost_reply_is_unavailable(way: Arc<dyn Carrier>) -> Arc<dyn Sender> {
    loses(way, |loss| match loss {
        Some(_) => unavailable("the connection was reset"),
        None => indeterminate("no reply in time"),
    })
}

pub fn timeout_is_unavailable(way: Arc<dyn Carrier>) -> Arc<dyn Sender> {
    loses(way, |loss| match loss {
        Some(Loss::Unknown) => indeterminate("the reply was lost"),
        _ => unavailable("timed out"),
    })
}

pub fn retry_with_new_ids(way: Arc<dyn Carrier>) -> Arc<dyn Sender> {
    Arc::new(NewIds(Direct::new(way)))
}

pub fn ids_of_retries_forgotten(way: Arc<dyn Carrier>) -> Arc<dyn Sender> {
    Arc::new(Forgets { direct: Direct::new(way), seen: Mutex::default() })
}

pub fn lost_append_sent_with_the_next(way: Arc<dyn Carrier>) -> Arc<dyn Sender> {
    Arc::new(SentWithNext { direct: Direct::new(way), lost: Mutex::default() })
}

/// Tells a loss, or the end of the time, in its own way.
struct Loses(Direct, fn(Option<Loss>) -> Error);

fn loses(way: Arc<dyn Carrier>, tell: fn(Option<Loss>) -> Error) -> Arc<dyn Sender> {
    Arc::new(Loses(Direct::new(way), tell))
}

#[async_trait]
impl Sender for Loses {
    async fn append(&self, append: Append) -> Answer {
        match self.0.attempt(&append).await {
            Some(Ok(answer)) => answer,
            Some(Err(loss)) => Err((self.1)(Some(loss))),
            None => Err((self.1)(None)),
        }
    }
}

struct DeadlineIgnored(Direct);

#[async_trait]
impl Sender for DeadlineIgnored {
    async fn append(&self, append: Append) -> Answer {
        self.0.append(append.timeout(TIMEOUT)).await
    }
}

fn with_new_ids(append: &Append) -> Append {
    edit_writes(append, |write| {
        write.events = write.events.iter().map(|event| event.clone().with_id(EventId::new())).collect();
    })
}

struct NewIds(Direct);

#[async_trait]
impl Sender for NewIds {
    async fn append(&self, append: Append) -> Answer {
        match self.0.attempt(&append).await {
            Some(Err(Loss::Unknown)) => self.0.append(with_new_ids(&append)).await,
            Some(Ok(answer)) => answer,
            Some(Err(Loss::NotSent)) => Err(unavailable("it was not sent")),
            None => Err(indeterminate("no reply in time")),
        }
    }
}

/// Knows the ids of an append for as long as it waits for the reply: a retry is another append.
struct Forgets {
    direct: Direct,
    seen: Mutex<Vec<EventId>>,
}

#[async_trait]
impl Sender for Forgets {
    async fn append(&self, append: Append) -> Answer {
        let first = append.events().next().map(|(_, event)| event.id());
        let again = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let again = first.is_some_and(|id| seen.contains(&id));
            seen.extend(first);
            again
        };
        let append = if again { with_new_ids(&append) } else { append };
        self.direct.append(append).await
    }
}

struct LastAttemptCounts(Direct);

#[async_trait]
impl Sender for LastAttemptCounts {
    async fn append(&self, append: Append) -> Answer {
        let deadline = Instant::now().checked_add(append.timeout_after().unwrap_or(TIMEOUT));
        loop {
            let answer = self.0.append(append.clone()).await;
            let again = answer.as_ref().is_err_and(|error| {
                matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_))
            });
            if !again || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

struct SentWithNext {
    direct: Direct,
    lost: Mutex<Option<Append>>,
}

impl SentWithNext {
    fn lost(&self) -> std::sync::MutexGuard<'_, Option<Append>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sender for SentWithNext {
    async fn append(&self, append: Append) -> Answer {
        let lost = self.lost().take();
        if let Some(lost) = lost {
            let unconditional = edit_writes(&with_new_ids(&lost), |write| {
                write.expected = annalist_core::ExpectedVersion::Any
            });
            drop(self.direct.append(unconditional).await);
        }
        let answer = self.direct.append(append.clone()).await;
        if answer.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::Indeterminate(_))) {
            *self.lost() = Some(append);
        }
        answer
    }
}

/// Answers all of a batch with the first refusal in it.
struct OneTransaction(Writer);

#[async_trait]
impl BatchWriter for OneTransaction {
    async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        let answers = self.0.write(batch).await?;
        let refusal = answers.iter().find_map(|answer| answer.as_ref().err()).cloned();
        Ok(match refusal {
            Some(error) => vec![Err(error); batch.len()],
            None => answers,
        })
    }
}
