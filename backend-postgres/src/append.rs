//! Writing a batch: one call of one function in the server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use annalist_core::{Append, Error, ErrorKind, Receipt};
use annalist_engine::group_commit::{BatchError, BatchWriter};
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::batch::Batch;
use crate::config::Schema;
use crate::connections::Connections;
use crate::error::{self, Fate};
use crate::lease::Lease;
use crate::log::Log;
use crate::verdict::Answer;

/// Sends batches on a connection of its own, for as long as the pool has others.
pub(crate) struct Appender {
    connections: Connections,
    log: Arc<Log>,
    statements: Statements,
    kept: Mutex<Option<(Lease, Instant)>>,
}

/// The texts of the calls.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) batch: Arc<str>,
    pub(crate) event: Arc<str>,
    /// See [`Connections`].
    are_kept: bool,
}

const ANSWER: &str = "log, first, versions, kinds, subjects, founds, positions";

impl Statements {
    pub(crate) fn new(schema: &Schema, are_kept: bool) -> Self {
        let call = |function: &str, parameters: usize| {
            let places: Vec<String> = (1..=parameters).map(|n| format!("${n}")).collect();
            format!("SELECT {ANSWER} FROM {schema}.{function}({})", places.join(", ")).into()
        };
        Self { batch: call("append_v1", 29), event: call("append_event_v1", 8), are_kept }
    }
}

impl Appender {
    pub(crate) fn new(connections: Connections, log: Arc<Log>, schema: &Schema) -> Self {
        let statements = Statements::new(schema, connections.keeps_statements);
        Self { connections, log, statements, kept: Mutex::default() }
    }

    async fn connection(&self) -> Result<Lease, Error> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut lease, since)) = kept
            && self.connections.works(&mut lease, since).await
        {
            return Ok(lease);
        }
        self.connections.take().await
    }

    /// Keeps the connection for the next batch; a pool's only connection is given back to whoever else waits for it.
    fn keep(&self, lease: Lease) {
        if self.connections.pool.options().get_max_connections() < 2 {
            return lease.give_back();
        }
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((lease, Instant::now()));
    }

    /// Gives back what is kept.
    pub(crate) fn release(&self) {
        if let Some((lease, _)) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take() {
            lease.give_back();
        }
    }
}

/// Sends a batch, and gives an answer to each of its appends.
pub(crate) async fn send(
    connection: &mut PgConnection,
    statements: &Statements,
    log: &Log,
    appends: &[Append],
) -> Result<Vec<Result<Receipt, Error>>, sqlx::Error> {
    loop {
        let batch = Batch::new(appends, log.id());
        let row = batch.call(statements).persistent(statements.are_kept).fetch_one(&mut *connection).await?;
        let answer = Answer::read(&row)?;
        if let Some(id) = answer.log {
            log.learn(id);
        }
        // The positions in the conditions must be looked at again.
        if !answer.is_undecided() {
            return answer.deal_out(&batch, log);
        }
    }
}

#[async_trait]
impl BatchWriter for Appender {
    async fn write(&self, appends: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        let mut lease = match self.connection().await {
            Ok(lease) => lease,
            Err(error) => return failed(Fate::NotDone, error, appends.len()),
        };
        let sent = async {
            lease.begin().await?;
            let answers = send(&mut lease, &self.statements, &self.log, appends).await?;
            lease.end().await?;
            Ok(answers)
        };
        match sent.await {
            Ok(answers) => {
                self.keep(lease);
                if let Some(newest) = answers.iter().flatten().filter_map(Receipt::position).max() {
                    self.log.grown_to(newest);
                }
                Ok(answers)
            }
            // The connection is closed: whatever it has to do with the error ends with it.
            Err(error) => {
                self.connections.note(&error);
                let (fate, error) = error::judge(error);
                failed(fate, error, appends.len())
            }
        }
    }
}

/// What a failed call means for its batch.
fn failed(fate: Fate, error: Error, appends: usize) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
    match (fate, error.kind()) {
        (Fate::Unknown, _) => Err(BatchError::Unknown(error)),
        (_, ErrorKind::Unavailable(_)) => Err(BatchError::NotSent(error)),
        (_, ErrorKind::Internal(_)) => Err(BatchError::BadData(error)),
        // It does not help to send it again.
        _ => Ok(vec![Err(error); appends]),
    }
}
