//! PostgreSQL: Annalist's store beside plain prepared statements, on a table of the same columns and indexes that promises no order.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use annalist_core::{EventStore, Query, Read};
use annalist_postgres::sqlx::postgres::PgConnectOptions;
use annalist_postgres::sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, Row, raw_sql,
};
use annalist_postgres::{Config, PostgresStore};

use crate::annalist::Annalist;
use crate::subject::{Backend, Crowd, Durability, Result, Side, Volume};

mod connections;
mod follow;
mod raw;
mod row;

use connections::Connections;
use raw::RawPostgres;

const URL: &str = "ANNALIST_TEST_POSTGRES_URL";

pub(crate) struct Postgres {
    ours: Store,
    raw: Table,
}

impl Backend for Postgres {
    const NAME: &'static str = "postgres";
    const HAS_PROCESSES: bool = true;
    type Ours = Store;
    type Raw = Table;

    fn find() -> Result<Self> {
        let url =
            std::env::var(URL).map_err(|_| format!("{URL} is not set: `cargo xtask bench` does that"))?;
        let server = Server { options: PgConnectOptions::from_str(&url)?.disable_statement_logging(), url };
        Ok(Self { ours: Store(server.clone()), raw: Table(server) })
    }

    fn ours(&self) -> &Store {
        &self.ours
    }

    fn raw(&self) -> &Table {
        &self.raw
    }

    fn server(&self) -> Result<Option<String>> {
        let version = self.setting("server_version")?;
        Ok(Some(format!("PostgreSQL {}", version.split(' ').next().unwrap_or_default())))
    }

    fn durability(&self) -> Result<Durability> {
        let mut settings = Vec::new();
        for name in ["fsync", "synchronous_commit", "full_page_writes", "wal_sync_method"] {
            settings.push(format!("`{name} = {}`", self.setting(name)?));
        }
        // Beside the data, on its disk; of a server elsewhere it is not here.
        let data = PathBuf::from(self.setting("data_directory")?);
        let folder = data.parent().filter(|_| data.is_dir()).map(Path::to_path_buf);
        Ok(Durability { settings: settings.join(", "), folder })
    }

    fn volume(&self) -> Volume {
        Volume {
            alone: 6_000,
            singles: 40_000,
            batched: 100_000,
            // All of them: there is time enough for each to leave the cache while the server is waited for.
            slice: 100_000,
            racing: 6_000,
            stream_reads: 500_000,
            log: 200_000,
        }
    }
}

impl Postgres {
    fn setting(&self, name: &str) -> Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut connection = self.raw.0.connect().await?;
            let shown = connection.fetch_one(AssertSqlSafe(format!("SHOW {name}"))).await?;
            Ok(shown.try_get(0)?)
        })
    }
}

#[derive(Clone)]
struct Server {
    url: String,
    options: PgConnectOptions,
}

impl Server {
    async fn connect(&self) -> Result<PgConnection> {
        Ok(self.options.connect().await?)
    }

    /// Statements without parameters, on a connection of their own.
    async fn run(&self, statements: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    async fn drop_schema(&self, schema: &str) -> Result<()> {
        self.run(&format!("DROP SCHEMA {schema} CASCADE")).await
    }
}

/// The name of a schema that no other round, and no other run on this server, has.
fn schema(side: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("bench_{side}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) struct Store(Server);

fn config(schema: &str) -> Config {
    let mut config = Config::default();
    config.schema = schema.to_owned();
    config
}

impl Side for Store {
    type Subject = Annalist;

    async fn create(&self) -> Result<String> {
        let schema = schema("annalist");
        PostgresStore::setup(&self.0.url, &config(&schema)).await?;
        Ok(schema)
    }

    async fn open(&self, log: &str, _: Crowd) -> Result<Annalist> {
        let store = PostgresStore::connect(&self.0.url, config(log)).await?;
        // Two connections, for appends and for reads, before the clock starts: as the raw side's, which are made then too.
        let head = || store.read(Read::log(Query::all()).limit(0));
        futures::try_join!(head(), head())?;
        Ok(Annalist::new(store))
    }

    async fn remove(&self, log: &str) -> Result<()> {
        self.0.drop_schema(log).await
    }
}

pub(crate) struct Table(Server);

impl Side for Table {
    type Subject = RawPostgres;

    async fn create(&self) -> Result<String> {
        let schema = schema("raw");
        self.0.run(&raw::TABLE.replace("{schema}", &schema)).await?;
        Ok(schema)
    }

    async fn open(&self, log: &str, crowd: Crowd) -> Result<RawPostgres> {
        let connections = Connections::open(&self.0, connections::best_for(crowd)).await?;
        RawPostgres::new(self.0.clone(), log, connections).await
    }

    async fn remove(&self, log: &str) -> Result<()> {
        self.0.drop_schema(log).await
    }
}
