//! Writing a batch: one call of one function in the server, or one statement where it is a single event.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use annalist_core::{Append, Error, ErrorKind, Receipt};
use annalist_engine::group_commit::{BatchError, BatchWriter};
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::batch::Batch;
use crate::config::Schema;
use crate::connections::Connections;
use crate::error::{self, Fate};
use crate::known::KnownVersions;
use crate::lease::Lease;
use crate::log::Log;
use crate::verdict::Answer;

/// Sends batches on a connection of its own, for as long as the pool has others.
pub(crate) struct Appender {
    connections: Connections,
    log: Arc<Log>,
    statements: Statements,
    known: KnownVersions,
    kept: Mutex<Option<(Lease, Instant)>>,
}

/// The texts of the calls.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) batch: Arc<str>,
    pub(crate) event: Arc<str>,
    /// Whether they stay prepared, see [`Connections`].
    pub(crate) are_kept: bool,
}

/// An append of one event and nothing else, the most frequent of all, as a plain statement: a function costs a third more. It takes the lock like
/// all appends, but decides on what was there before it had it. That is noticed: whoever came in between has taken the position, and
/// then nothing is written, and the function is asked instead. So it is where the append is refused, or was committed before, where the log is another
/// one, or the session is not fit for appends.
const EVENT: &str = "INSERT INTO {schema}.event AS n
    (position, append_offset, append_size, version, id, recorded_at, stream, type, content_type, data, metadata)
    SELECT l.head + 1, 0, 1, s.version + 1, $4, clock_timestamp(), $2, $5, $6, $7, $8
    FROM {schema}.log_state l, (SELECT coalesce(
        (SELECT e.version FROM {schema}.event e WHERE e.stream = $2 AND e.version >= $9 ORDER BY e.version DESC LIMIT 1),
        CASE WHEN $9 > 0 THEN (SELECT e.version FROM {schema}.event e WHERE e.stream = $2 ORDER BY e.version DESC LIMIT 1) END,
        0) AS version OFFSET 0) s
    WHERE l.id = $1 AND {schema}.meets_v1(s.version, $3)
        AND NOT EXISTS (SELECT FROM {schema}.event e WHERE e.id = $4 AND e.stream = $2)
        AND current_setting('transaction_isolation') = 'read committed'
        AND current_setting('synchronous_commit') NOT IN ('off', 'local')
        AND pg_advisory_xact_lock(1634627169, '{schema}.log'::regclass::oid::int) IS NOT NULL
    ON CONFLICT (position) DO NOTHING RETURNING n.position, n.version";

const ANSWER: &str = "log, first, versions, kinds, subjects, founds, positions";

impl Statements {
    pub(crate) fn new(schema: &Schema, are_kept: bool) -> Self {
        let call = |function: &str, parameters: usize| {
            let places: Vec<String> = (1..=parameters).map(|n| format!("${n}")).collect();
            format!("SELECT {ANSWER} FROM {schema}.{function}({})", places.join(", ")).into()
        };
        Self { batch: call("append_v1", 30), event: schema.fill(EVENT).into(), are_kept }
    }
}

impl Appender {
    pub(crate) fn new(connections: Connections, log: Arc<Log>, schema: &Schema) -> Self {
        let statements = Statements::new(schema, connections.keeps_statements);
        Self { connections, log, statements, known: KnownVersions::default(), kept: Mutex::default() }
    }

    async fn connection(&self) -> Result<Lease, Error> {
        let kept = self.kept().take();
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
        self.put(lease);
    }

    fn put(&self, lease: Lease) {
        *self.kept() = Some((lease, Instant::now()));
    }

    fn kept(&self) -> MutexGuard<'_, Option<(Lease, Instant)>> {
        // Nothing panics while it holds this lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what is kept.
    pub(crate) fn release(&self) {
        let kept = self.kept().take();
        if let Some((lease, _)) = kept {
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
    known: &[i64],
) -> Result<Vec<Result<Receipt, Error>>, sqlx::Error> {
    loop {
        let batch = Batch::new(appends, log.id(), known);
        if let Some(call) = batch.event(statements)
            && let Some(row) = call.persistent(statements.are_kept).fetch_optional(&mut *connection).await?
        {
            return Answer::of_event(&row)?.deal_out(&batch, log);
        }
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
    async fn ready(&self) -> Result<(), BatchError> {
        let lease = self.connection().await.map_err(BatchError::NotSent)?;
        self.put(lease);
        Ok(())
    }

    async fn write(&self, appends: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        let ready = self.kept().take();
        let mut lease = match ready {
            Some((lease, _)) => lease,
            None => self.connection().await.map_err(BatchError::NotSent)?,
        };
        let known = self.known.of(appends);
        let sent = async {
            lease.begin().await?;
            let answers = send(&mut lease, &self.statements, &self.log, appends, &known).await?;
            lease.end().await?;
            Ok(answers)
        };
        match sent.await {
            Ok(answers) => {
                self.keep(lease);
                self.known.learn(answers.iter().flatten());
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
