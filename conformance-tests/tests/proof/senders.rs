//! Honest senders: one that sends each append by itself, and the engine's group commit.

use std::sync::Arc;

use annalist_core::{Append, Error, ErrorKind, Receipt};
use annalist_engine::group_commit::{BatchError, BatchWriter, Config, GroupCommit, Mates};
use async_trait::async_trait;
use tokio::sync::RwLock;

use crate::faulty::{Answer, Carrier, Loss, Sender, TIMEOUT, indeterminate, unavailable};

/// Sends each append by itself, once, and waits for the reply until its deadline.
pub struct Direct {
    way: Arc<dyn Carrier>,
    /// Held by every append, and taken by the close that waits for them.
    open: RwLock<()>,
}

impl Direct {
    pub fn new(way: Arc<dyn Carrier>) -> Self {
        Self { way, open: RwLock::default() }
    }

    /// One attempt: the answer, what was lost, or `None` at the deadline.
    pub async fn attempt(&self, append: &Append) -> Option<Result<Answer, Loss>> {
        let timeout = append.timeout_after().unwrap_or(TIMEOUT);
        let sent = self.way.send(std::slice::from_ref(append));
        let sent = tokio::time::timeout(timeout, sent).await.ok()?;
        Some(sent.map(|answers| answers.into_iter().next().expect("one append has one answer")))
    }
}

#[async_trait]
impl Sender for Direct {
    async fn append(&self, append: Append) -> Answer {
        let Ok(_open) = self.open.try_read() else { return Err(ErrorKind::Closed.into()) };
        match self.attempt(&append).await {
            Some(Ok(answer)) => answer,
            Some(Err(Loss::NotSent)) => Err(unavailable("it was not sent")),
            Some(Err(Loss::Unknown)) => Err(indeterminate("its reply was lost")),
            None => Err(indeterminate("no reply in time")),
        }
    }

    async fn close(&self) {
        drop(self.open.write().await);
    }
}

pub fn direct(way: Arc<dyn Carrier>) -> Arc<dyn Sender> {
    Arc::new(Direct::new(way))
}

/// Writes batches over the way.
pub struct Writer(pub Arc<dyn Carrier>);

#[async_trait]
impl BatchWriter for Writer {
    async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        self.0.send(batch).await.map_err(|loss| match loss {
            Loss::NotSent => BatchError::NotSent(unavailable("the batch was not sent")),
            Loss::Unknown => BatchError::Unknown(indeterminate("the reply was lost")),
        })
    }
}

/// The engine's group commit, with a queue that a check can fill.
pub struct Grouped(pub GroupCommit);

#[async_trait]
impl Sender for Grouped {
    async fn append(&self, append: Append) -> Answer {
        self.0.append(append).await
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

pub fn group_config() -> Config {
    let mut config = Config::default();
    config.queue_appends_max = 16;
    config.batch_appends_max = 8;
    config.mates = Mates::InOrder;
    config.timeout = TIMEOUT;
    config
}

pub fn grouped(way: Arc<dyn Carrier>) -> Arc<dyn Sender> {
    Arc::new(Grouped(GroupCommit::new(Arc::new(Writer(way)), group_config())))
}
