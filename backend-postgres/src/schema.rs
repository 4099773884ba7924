//! Making a schema what this version needs.

use annalist_core::{Error, ErrorKind, LogId};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool, Row};
use tracing::info;

use crate::config::Schema;
use crate::error;
use crate::server;

/// The migrations, in order: a file is never edited once it is released. Number `i + 1` is at index `i`.
const MIGRATIONS: [&str; 4] = [
    include_str!("../migrations/0001_tables.sql"),
    include_str!("../migrations/0002_functions.sql"),
    include_str!("../migrations/0003_append.sql"),
    include_str!("../migrations/0004_checkpoints.sql"),
];

/// The number that a schema must have reached for this version to work with it.
const NEEDED: i32 = MIGRATIONS.len() as i32;

/// The oldest number that works with a schema as this version leaves it: what runs beside it may be one version older (C4).
const WORKS_WITH: i32 = 4;

/// Creates the schema, and brings it up to this version, in one transaction. Processes that do it at once wait for one another.
pub(crate) async fn run(pool: PgPool, schema: Schema, accept_volatile: bool) -> Result<(), Error> {
    // In a task: a transaction must not be left open by whoever stops waiting (C1).
    let task = tokio::spawn(async move {
        let mut connection = pool.acquire().await.map_err(error::of_connecting)?;
        apply(&mut connection, &schema, accept_volatile).await
    });
    task.await
        .map_err(|error| Error::new(ErrorKind::Internal("the set-up was lost".into())).with_source(error))?
}

async fn apply(connection: &mut PgConnection, schema: &Schema, accept_volatile: bool) -> Result<(), Error> {
    let mut transaction = connection.begin().await.map_err(error::of_read)?;
    server::check_settings(&mut transaction, accept_volatile).await?;
    let lock = "SELECT pg_advisory_xact_lock(1634627169, hashtext($1))";
    sqlx::query(lock)
        .bind(schema.name())
        .persistent(false)
        .execute(&mut *transaction)
        .await
        .map_err(error::of_read)?;
    if reached(&mut transaction, schema).await?.is_none() {
        let first = "CREATE SCHEMA IF NOT EXISTS {schema};
            CREATE TABLE {schema}.migration (
                number int PRIMARY KEY,
                -- The oldest number whose users can still work with the schema once this one is in.
                works_with int NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
            )";
        run_all(&mut transaction, &schema.fill(first)).await?;
    }
    let (done, works_with) = reached(&mut transaction, schema).await?.unwrap_or_default();
    if works_with > NEEDED {
        return Err(too_new(schema, done));
    }
    for (number, migration) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > done) {
        let text = schema.fill(migration).replace("{log_id}", &LogId::new().to_string());
        run_all(&mut transaction, &text).await?;
        let note = schema.fill("INSERT INTO {schema}.migration (number, works_with) VALUES ($1, $2)");
        let note =
            sqlx::query(AssertSqlSafe(note)).bind(number).bind(WORKS_WITH.min(number)).persistent(false);
        note.execute(&mut *transaction).await.map_err(error::of_write)?;
        info!(schema = schema.name(), number, "migrated");
    }
    transaction.commit().await.map_err(error::of_write)
}

/// Several statements, without parameters.
async fn run_all(connection: &mut PgConnection, text: &str) -> Result<(), Error> {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.map_err(error::of_write)?;
    Ok(())
}

/// The newest migration of a schema, and the oldest that works with it; `None` where it has none.
async fn reached(connection: &mut PgConnection, schema: &Schema) -> Result<Option<(i32, i32)>, Error> {
    let exists = "SELECT to_regclass($1) IS NOT NULL";
    let table = schema.fill("{schema}.migration");
    let row = sqlx::query(exists)
        .bind(table)
        .persistent(false)
        .fetch_one(&mut *connection)
        .await
        .map_err(error::of_read)?;
    if !row.try_get::<bool, _>(0).map_err(error::of_read)? {
        return Ok(None);
    }
    let newest =
        schema.fill("SELECT coalesce(max(number), 0), coalesce(max(works_with), 0) FROM {schema}.migration");
    let row = sqlx::query(AssertSqlSafe(newest))
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(error::of_read)?;
    let number = |place| row.try_get::<i32, _>(place).map_err(error::of_read);
    Ok(Some((number(0)?, number(1)?)))
}

/// Refuses a schema that is missing, too old, or so new that this version would harm it.
pub(crate) async fn check(connection: &mut PgConnection, schema: &Schema) -> Result<(), Error> {
    let message = match reached(connection, schema).await? {
        None => format!("the schema {schema} is missing: run its set-up"),
        Some((number, _)) if number < NEEDED => {
            format!("the schema {schema} is at migration {number} of {NEEDED}: run its set-up")
        }
        Some((number, works_with)) if works_with > NEEDED => return Err(too_new(schema, number)),
        Some(_) => return Ok(()),
    };
    Err(ErrorKind::Misconfigured(message).into())
}

fn too_new(schema: &Schema, number: i32) -> Error {
    let message = format!(
        "the schema {schema} is at migration {number}, this version knows {NEEDED}: update this program"
    );
    ErrorKind::Misconfigured(message).into()
}
