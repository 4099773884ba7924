//! Writing a batch: one piece of work of the thread that writes, in which each append is decided by itself.

use std::sync::Arc;
use std::time::Duration;

use annalist_core::{Append, Error, Receipt};
use annalist_engine::group_commit::{BatchError, BatchWriter};
use async_trait::async_trait;
use tokio::time::timeout;

use crate::error::{self, Failure, unavailable};
use crate::facts::Locked;
use crate::log::Log;
use crate::writer::Writer;

/// How long a batch waits for its turn before it is taken back. From then on the next ones are told of the lock before they leave.
const TURN_WAIT_MAX: Duration = Duration::from_millis(250);

/// Sends batches to the thread that writes.
pub(crate) struct Appender {
    pub(crate) writer: Arc<Writer>,
    pub(crate) log: Arc<Log>,
}

type Answers = Vec<Result<Receipt, Error>>;

impl Appender {
    async fn send(&self, appends: &[Append]) -> Result<Answers, Failure> {
        let (appends, log) = (appends.to_vec(), self.log.clone());
        let work = move |connection: &rusqlite::Connection| {
            let mut locked = Locked::new(connection)?;
            log.learn(locked.seen().log);
            appends.iter().map(|append| locked.append(append)).collect()
        };
        let mut ticket = self.writer.submit(work)?;
        match timeout(TURN_WAIT_MAX, ticket.answer()).await {
            Ok(answer) => answer,
            Err(_) if ticket.withdraw() => {
                self.writer.note_contention();
                Err(Failure::NotDone(unavailable("another process holds the lock of the file")))
            }
            Err(_) => ticket.answer().await,
        }
    }
}

#[async_trait]
impl BatchWriter for Appender {
    /// Where the lock was not to be had, waits until it is: nothing has left by then.
    async fn ready(&self) -> Result<(), BatchError> {
        if self.writer.is_contended() {
            let waited = async { self.writer.submit(|_| Ok(()))?.answer().await };
            waited.await.map_err(|failure| BatchError::NotSent(failure.into()))?;
        }
        Ok(())
    }

    async fn write(&self, appends: &[Append]) -> Result<Answers, BatchError> {
        match self.send(appends).await {
            Ok(answers) => {
                if let Some(newest) = answers.iter().flatten().filter_map(Receipt::position).max() {
                    self.log.grown_to(newest);
                }
                Ok(answers)
            }
            Err(Failure::Unknown(error)) => Err(BatchError::Unknown(error)),
            // Fewer of them may have room.
            Err(Failure::NotDone(error)) if error::is_full(&error) && appends.len() > 1 => {
                Err(BatchError::BadData(error))
            }
            Err(Failure::NotDone(error)) => Err(BatchError::NotSent(error)),
        }
    }
}
