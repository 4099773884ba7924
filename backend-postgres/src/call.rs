//! One statement on a connection of the pool, within the deadline.

use annalist_core::EventStore;
use annalist_core::{Error, ErrorKind, Limits};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query as Call;
use sqlx::{AssertSqlSafe, Postgres};
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

    /// Carries out a statement, and gives its first row.
    pub(crate) async fn ask(
        &self,
        call: Call<'_, Postgres, PgArguments>,
        effect: Effect,
    ) -> Result<Option<PgRow>, Error> {
        let deadline = Instant::now() + self.0.config.timeout;
        let leased = timeout_at(deadline, Lease::take(&self.0.pool, self.0.keeps_statements)).await;
        let mut lease = leased.map_err(|_| too_late("no connection was free by the deadline"))??;
        let answered = async {
            lease.begin().await?;
            let row = call.persistent(self.0.keeps_statements).fetch_optional(&mut *lease).await?;
            lease.end().await?;
            Ok(row)
        };
        match timeout_at(deadline, answered).await {
            Ok(Ok(row)) => {
                lease.give_back();
                Ok(row)
            }
            Ok(Err(error)) if effect == Effect::Writes => Err(of_write(error)),
            Ok(Err(error)) => Err(of_read(error)),
            Err(_) if effect == Effect::Writes => {
                Err(ErrorKind::Indeterminate("no answer by the deadline".to_owned()).into())
            }
            Err(_) => Err(too_late("no answer by the deadline")),
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
