//! What takes part in a transaction of the application's own, in the same database.

use annalist_core::{Append, Error, ErrorKind, Owner, Position, Receipt};
use sqlx::{PgConnection, Postgres, Transaction};
use tokio::time::timeout;

use crate::append::{Statements, send};
use crate::checkpoint::{SAVE, save, saved};
use crate::error;
use crate::store::PostgresStore;

impl PostgresStore {
    /// Appends as the last act of a transaction, and commits it: events and the application's own rows, both or neither. The lock of
    /// the log is held from the append to the commit and never waits for the application.
    ///
    /// The transaction must be one of the same database, at the isolation level `READ COMMITTED`. It is rolled back where the append is refused, and also
    /// where it turns out to be [committed already](Receipt::already_committed): then so were the rows that came with it.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](annalist_core::EventStore::append). After [`ErrorKind::Indeterminate`] the whole transaction is to be tried again, with the same append.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     store: annalist_postgres::PostgresStore,
    /// #     placed: annalist_core::Append,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = store.pool().begin().await?;
    /// sqlx::query("UPDATE stock SET free = free - 1 WHERE item = $1").bind("book").execute(&mut *transaction).await?;
    /// store.append_and_commit(transaction, placed).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn append_and_commit(
        &self,
        transaction: Transaction<'static, Postgres>,
        append: Append,
    ) -> Result<Receipt, Error> {
        self.check_open()?;
        self.limits().check_append(&append)?;
        let within = append.timeout_after().unwrap_or(self.0.config.timeout);
        let store = self.clone();
        // In a task: whoever stops waiting must not keep the lock of the log (C1).
        let task = tokio::spawn(async move { store.append_then_commit(transaction, append).await });
        match timeout(within, task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(lost)) => {
                Err(Error::new(ErrorKind::Indeterminate("the transaction was lost".into())).with_source(lost))
            }
            Err(_) => Err(ErrorKind::Indeterminate("no answer by the deadline".into()).into()),
        }
    }

    async fn append_then_commit(
        &self,
        mut transaction: Transaction<'static, Postgres>,
        append: Append,
    ) -> Result<Receipt, Error> {
        let statements = Statements::new(&self.0.schema, self.0.connections.keeps_statements);
        let known = vec![0; append.writes().len()];
        let sent =
            send(&mut transaction, &statements, &self.0.log, std::slice::from_ref(&append), &known).await;
        // Nothing is committed before the end of the transaction, whatever became of the call.
        let answer = sent.map_err(error::of_read)?.pop().unwrap_or_else(|| Err(no_answer()));
        let receipt = match answer {
            Ok(receipt) if !receipt.already_committed() => receipt,
            settled => {
                transaction.rollback().await.map_err(error::of_read)?;
                return settled;
            }
        };
        transaction.commit().await.map_err(error::of_write)?;
        if let Some(head) = receipt.position() {
            self.0.log.grown_to(head);
        }
        Ok(receipt)
    }

    /// Saves a checkpoint in a transaction of the application's own, so that a projection in the same database moves with its checkpoint: what
    /// was handled is handled exactly once. Nothing is saved unless the transaction commits.
    ///
    /// The transaction must be one of the same database, at the isolation level `READ COMMITTED`.
    ///
    /// # Errors
    ///
    /// As [`CheckpointStore::save_checkpoint`](annalist_core::CheckpointStore::save_checkpoint). After any error the transaction is to be rolled back.
    pub async fn save_checkpoint_in(
        &self,
        transaction: &mut PgConnection,
        owner: &Owner,
        place: Position,
    ) -> Result<(), Error> {
        self.check_open()?;
        let (text, mut log) = (self.0.schema.fill(SAVE), self.log_of(place));
        loop {
            let call = save(&text, owner, log, place).persistent(self.0.connections.keeps_statements);
            let row = call.fetch_one(&mut *transaction).await.map_err(error::of_read)?;
            match saved(&row, owner, place, log)? {
                None => return Ok(()),
                Some(other) => log = other,
            }
        }
    }
}

fn no_answer() -> Error {
    ErrorKind::Internal("an append got no answer".into()).into()
}
