//! What must be true of a server and its schema before anything is trusted to it.

use annalist_core::{Error, ErrorKind, LogId};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::config::Schema;
use crate::connections::Connections;
use crate::error::of_read;
use crate::schema;
use crate::types::Id;

/// What was found.
pub(crate) struct Server {
    pub(crate) log: LogId,
    /// Whether it flushes what it commits.
    pub(crate) flushes: bool,
}

/// PostgreSQL 13.
const VERSION_MIN: i32 = 130_000;

/// Looks at a server, and refuses one that would lose data or cannot serve.
pub(crate) async fn look(
    connections: &Connections,
    schema: &Schema,
    accept_volatile: bool,
) -> Result<Server, Error> {
    let mut lease = connections.take().await?;
    lease.begin().await.map_err(of_read)?;
    let flushes = check_settings(&mut lease, accept_volatile).await?;
    schema::check(&mut lease, schema).await?;
    let text = schema.fill("SELECT id FROM {schema}.log");
    let row = sqlx::query(AssertSqlSafe(text))
        .persistent(false)
        .fetch_optional(&mut *lease)
        .await
        .map_err(of_read)?;
    lease.end().await.map_err(of_read)?;
    connections.give_back(lease);
    let row = row.ok_or_else(|| Error::new(ErrorKind::Corrupt("the schema holds no log".into())))?;
    let log = LogId::from_uuid(row.try_get::<Id, _>(0).map_err(of_read)?.0);
    Ok(Server { log, flushes })
}

/// Gives whether the server flushes what it commits.
pub(crate) async fn check_settings(
    connection: &mut PgConnection,
    accept_volatile: bool,
) -> Result<bool, Error> {
    let text = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
        current_setting('default_transaction_isolation'), current_setting('transaction_read_only') = 'on',
        current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'";
    let row = sqlx::query(text).persistent(false).fetch_one(connection).await.map_err(of_read)?;
    let version: i32 = row.try_get(0).map_err(of_read)?;
    let encoding: String = row.try_get(1).map_err(of_read)?;
    let isolation: String = row.try_get(2).map_err(of_read)?;
    let is_read_only: bool = row.try_get(3).map_err(of_read)?;
    let flushes: bool = row.try_get(4).map_err(of_read)?;
    let wrong = if version < VERSION_MIN {
        format!("PostgreSQL 13 or later is needed, this is {}", version / 10_000)
    } else if encoding != "UTF8" {
        format!("the database must be encoded in UTF8, not {encoding}")
    } else if isolation != "read committed" {
        format!("the user's default_transaction_isolation must be `read committed`, not `{isolation}`")
    } else if is_read_only {
        "the server, or this user on it, is read-only".to_owned()
    } else if !flushes && !accept_volatile {
        "the server does not flush what it commits (fsync or full_page_writes is off) and would lose events"
            .to_owned()
    } else {
        return Ok(flushes);
    };
    Err(ErrorKind::Misconfigured(wrong).into())
}
