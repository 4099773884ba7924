//! The raw side: what a good user of the driver would write who knows his streams and needs no order among them.

use std::sync::Arc;

use annalist_core::{EventId, LogId, RecordedEvent};
use annalist_postgres::sqlx::postgres::PgArguments;
use annalist_postgres::sqlx::query::Query;
use annalist_postgres::sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Row, query};
use futures::TryStreamExt;

use super::Server;
use super::connections::Connections;
use super::follow::Poll;
use super::row::{Id, Rows};
use crate::payload::payload;
use crate::subject::{Expected, Result, Subject, Verdict};

/// Columns and indexes as Annalist has them; the position is a sequence's.
pub(super) const TABLE: &str = r#"
CREATE SCHEMA {schema};
CREATE TABLE {schema}.event (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    append_offset int NOT NULL,
    append_size int NOT NULL,
    version bigint NOT NULL,
    id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    stream text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    content_type text COLLATE "C",
    data bytea NOT NULL,
    metadata text COLLATE "C",
    tags text[] COLLATE "C",
    UNIQUE (stream, version),
    UNIQUE (id, stream)
);
CREATE INDEX ON {schema}.event (split_part(stream, '-', 1), position);
CREATE INDEX ON {schema}.event (type, position);
"#;

/// Events in one answer of a read of the log.
pub(super) const PAGE: i64 = 1_000;

const TYPE: &str = "BenchmarkTicked";

pub(crate) struct RawPostgres {
    server: Server,
    connections: Connections,
    log: LogId,
    statements: Statements,
}

/// The texts: all are prepared, once on each connection.
struct Statements {
    one: Arc<str>,
    several: Arc<str>,
    version: Arc<str>,
    stream: Arc<str>,
    page: Arc<str>,
}

impl Statements {
    fn new(schema: &str) -> Self {
        const EVENT: &str =
            "position, version, id, recorded_at, stream, type, content_type, data, metadata, tags";
        let table = format!("{schema}.event");
        let into = format!(
            "INSERT INTO {table} (append_offset, append_size, version, id, recorded_at, stream, type, data)"
        );
        Self {
            one: format!("{into} VALUES (0, 1, $1, $2, clock_timestamp(), $3, $4, $5)").into(),
            several: format!(
                "{into} SELECT n - 1, $1, $2 + n, id, clock_timestamp(), $3, type, data
                FROM unnest($4::uuid[], $5::text[], $6::bytea[]) WITH ORDINALITY u(id, type, data, n)"
            )
            .into(),
            version: format!("SELECT coalesce(max(version), 0) FROM {table} WHERE stream = $1").into(),
            stream: format!("SELECT {EVENT} FROM {table} WHERE stream = $1 ORDER BY version").into(),
            page: format!("SELECT {EVENT} FROM {table} WHERE position > $1 ORDER BY position LIMIT $2")
                .into(),
        }
    }
}

impl RawPostgres {
    pub(super) async fn new(server: Server, schema: &str, connections: Connections) -> Result<Self> {
        let raw = Self { server, connections, log: LogId::new(), statements: Statements::new(schema) };
        raw.warm_up().await?;
        Ok(raw)
    }

    /// Lets every connection have its statement prepared and the table known before the clock starts.
    async fn warm_up(&self) -> Result<()> {
        let mut all = Vec::new();
        for _ in 0..self.connections.count() {
            all.push(self.connections.take().await?);
        }
        for connection in &mut all {
            let insert = self.prepare("Warm-up", Expected::Version(0), 0, 1)?;
            let mut transaction = connection.begin().await?;
            insert.call(&self.statements).execute(&mut *transaction).await?;
            transaction.rollback().await?;
        }
        Ok(())
    }

    async fn collect(
        &self,
        connection: &mut PgConnection,
        call: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<RecordedEvent>> {
        collect(connection, call, self.log).await
    }
}

/// Events as they come from the server.
pub(super) async fn collect(
    connection: &mut PgConnection,
    call: Query<'_, Postgres, PgArguments>,
    log: LogId,
) -> Result<Vec<RecordedEvent>> {
    let mut rows = Rows::of(log);
    let mut answer = call.fetch(connection);
    while let Some(row) = answer.try_next().await? {
        rows.take(&row)?;
    }
    Ok(rows.events)
}

/// An insert that is ready to be sent.
pub(crate) struct Insert {
    stream: Arc<str>,
    /// The version before it: who writes to a stream alone counts for himself.
    version: i64,
    ids: Vec<Id>,
    types: Vec<&'static str>,
    data: Vec<Vec<u8>>,
}

impl Insert {
    fn call(&self, statements: &Statements) -> Query<'_, Postgres, PgArguments> {
        match (self.ids.as_slice(), self.data.as_slice()) {
            ([id], [data]) => query(AssertSqlSafe(statements.one.clone()))
                .bind(self.version + 1)
                .bind(*id)
                .bind(&*self.stream)
                .bind(TYPE)
                .bind(data.as_slice()),
            (ids, data) => query(AssertSqlSafe(statements.several.clone()))
                .bind(i32::try_from(ids.len()).unwrap_or(i32::MAX))
                .bind(self.version)
                .bind(&*self.stream)
                .bind(ids)
                .bind(&self.types)
                .bind(data),
        }
    }
}

impl Subject for RawPostgres {
    const NAME: &'static str = "raw";
    type Append = Insert;
    type Follower = Poll;

    fn prepare(&self, stream: &str, expected: Expected, first: u64, events: u64) -> Result<Insert> {
        let version = match expected {
            Expected::Version(version) => version,
            Expected::Any => first,
        };
        Ok(Insert {
            stream: stream.into(),
            // The number of the very last event is beyond what a version can be.
            version: i64::try_from(version).unwrap_or(i64::MAX - 1),
            ids: (0..events).map(|_| Id(EventId::new().as_uuid())).collect(),
            types: (0..events).map(|_| TYPE).collect(),
            data: (first..first + events).map(payload).collect(),
        })
    }

    async fn append(&self, insert: Insert) -> Result<Verdict> {
        let mut connection = self.connections.take().await?;
        match insert.call(&self.statements).execute(&mut *connection).await {
            Ok(_) => Ok(Verdict::Written),
            Err(error) if error.as_database_error().is_some_and(|e| e.is_unique_violation()) => {
                Ok(Verdict::Conflict)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn version(&self, stream: &str) -> Result<u64> {
        let mut connection = self.connections.take().await?;
        let call = query(AssertSqlSafe(self.statements.version.clone())).bind(stream);
        let version: i64 = call.fetch_one(&mut *connection).await?.try_get(0)?;
        Ok(u64::try_from(version)?)
    }

    async fn read_stream(&self, stream: &str) -> Result<u64> {
        let mut connection = self.connections.take().await?;
        let call = query(AssertSqlSafe(self.statements.stream.clone())).bind(stream);
        Ok(self.collect(&mut connection, call).await?.len() as u64)
    }

    /// In pages, which are faster than the whole log as the answer to one statement.
    async fn read_log(&self) -> Result<u64> {
        let mut connection = self.connections.take().await?;
        let (mut count, mut after) = (0, 0);
        loop {
            let call = query(AssertSqlSafe(self.statements.page.clone())).bind(after).bind(PAGE);
            let events = self.collect(&mut connection, call).await?;
            count += events.len() as u64;
            if (events.len() as i64) < PAGE {
                return Ok(count);
            }
            after = events.last().map_or(after, Rows::position);
        }
    }

    async fn follow(&self) -> Result<Poll> {
        Ok(Poll::new(self.server.connect().await?, self.statements.page.clone(), self.log))
    }

    async fn close(&self) -> Result<()> {
        self.connections.close().await
    }
}
