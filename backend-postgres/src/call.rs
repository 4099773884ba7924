//! One statement on a connection of the pool, within the deadline.

use annalist_core::{Error, ErrorKind, EventStore, Limits};
use annalist_engine::later;
use futures::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query as Call;
use sqlx::{AssertSqlSafe, Execute, Postgres};
use tokio::time::{Instant, timeout_at};

use crate::error::{of_read, of_write};
use crate::lease::Lease;
use crate::store::{PostgresStore, too_late};

/// Whether a statement changes what is stored, so that a lost answer leaves doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    Reads,
    Writes,
}

impl PostgresStore {
    /// A statement with the name of the schema filled in. There are few, so that each is prepared once per connection.
    pub(crate) fn fill(&self, template: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(self.0.schema.fill(template))
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.capabilities().limits()
    }

    /// Does something on a connection, in a task, so that whoever stops waiting neither breaks it nor keeps it busy (C1). `None` where the
    /// deadline passes while it works.
    pub(crate) async fn on_connection<T, W>(
        &self,
        mut lease: Lease,
        deadline: Instant,
        work: W,
    ) -> Result<Option<T>, Error>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Lease) -> BoxFuture<'c, T> + Send + 'static,
    {
        let connections = self.0.connections.clone();
        let task = tokio::spawn(async move {
            let done = timeout_at(deadline, work(&mut lease)).await.ok();
            if done.is_some() {
                connections.give_back(lease);
            }
            done
        });
        task.await
            .map_err(|lost| Error::new(ErrorKind::Internal("a request was lost".into())).with_source(lost))
    }

    /// Carries out a statement, and gives its first row.
    pub(crate) async fn ask(
        &self,
        mut call: Call<'_, Postgres, PgArguments>,
        effect: Effect,
    ) -> Result<Option<PgRow>, Error> {
        let arguments = call.take_arguments().map_err(|error| of_read(sqlx::Error::Encode(error)))?;
        let (text, arguments) = (call.sql(), arguments.unwrap_or_default());
        let deadline = later(Instant::now(), self.0.config.timeout);
        let lease = in_time(deadline, self.0.connections.take_tried()).await?;
        let answer = self.on_connection(lease, deadline, move |connection| {
            Box::pin(async move {
                connection.begin().await?;
                let call = sqlx::query_with(text, arguments).persistent(connection.keeps_statements);
                let row = call.fetch_optional(&mut **connection).await?;
                connection.end().await?;
                Ok(row)
            })
        });
        match answer.await? {
            Some(Ok(row)) => Ok(row),
            Some(Err(error)) => {
                self.0.connections.note(&error);
                Err(if effect == Effect::Writes { of_write(error) } else { of_read(error) })
            }
            None if effect == Effect::Writes => {
                Err(ErrorKind::Indeterminate("no answer by the deadline".to_owned()).into())
            }
            None => Err(too_late("no answer by the deadline")),
        }
    }

    /// The same for a statement that always gives a row.
    pub(crate) async fn ask_one(
        &self,
        call: Call<'_, Postgres, PgArguments>,
        effect: Effect,
    ) -> Result<PgRow, Error> {
        let row = self.ask(call, effect).await?;
        row.ok_or_else(|| Error::new(ErrorKind::Corrupt("the schema holds no log".into())))
    }
}

/// Waits for a connection until the deadline.
pub(crate) async fn in_time(
    deadline: Instant,
    taking: impl Future<Output = Result<Lease, Error>>,
) -> Result<Lease, Error> {
    timeout_at(deadline, taking).await.map_err(|_| too_late("no connection was free by the deadline"))?
}
