//! Opening a store, and setting one up: from a URL, or on a pool that the application has.

use std::str::FromStr;
#[cfg(feature = "testing")]
use std::sync::Arc;

use annalist_core::{Error, ErrorKind};
#[cfg(feature = "testing")]
use annalist_engine::group_commit::BatchWriter;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgPool};
use tokio::time::timeout;

use crate::config::Config;
use crate::connections::Connections;
use crate::schema;
use crate::store::{PostgresStore, too_late};

impl PostgresStore {
    /// Opens the store in the database that a URL names, with a pool of its own.
    ///
    /// The URL is the driver's, `postgres://user:password@host:port/database?sslmode=…`; see
    /// [`PgConnectOptions`](sqlx::postgres::PgConnectOptions). An option that the driver does not know is refused.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for the name of the schema; [`ErrorKind::Misconfigured`] for a URL that is none, a wrong password, a database or
    /// schema that is missing, a server that is read-only, too old or would lose data; [`ErrorKind::Unavailable`] where no server answers
    /// within [`Config::connect_timeout`].
    pub async fn connect(url: &str, config: Config) -> Result<Self, Error> {
        Self::over(connections(url, &config)?, config, |writer| writer).await
    }

    /// Opens the store on a pool that the application has and keeps: closing the store leaves it open. One connection is enough; with more, one is
    /// kept for appends.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn open(pool: PgPool, config: Config) -> Result<Self, Error> {
        Self::over(Connections::given(pool), config, |writer| writer).await
    }

    /// As [`connect`](Self::connect), with something between the store's queue and its connections: for tests of what happens when the way
    /// to the server breaks.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    #[cfg(feature = "testing")]
    pub async fn connect_behind(
        url: &str,
        config: Config,
        layer: impl FnOnce(Arc<dyn BatchWriter>) -> Arc<dyn BatchWriter>,
    ) -> Result<Self, Error> {
        Self::over(connections(url, &config)?, config, layer).await
    }

    /// Creates the schema in the database that a URL names, or brings it up to this version. Does nothing where all is there already; may be done by
    /// many at once.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); [`ErrorKind::Misconfigured`] also where the user may not create it.
    pub async fn setup(url: &str, config: &Config) -> Result<(), Error> {
        let pool = connections(url, config)?.pool;
        let done = Self::setup_on(&pool, config).await;
        let closed = async move { pool.close().await };
        match &done {
            Ok(()) => closed.await,
            // One that took too long still holds its connection.
            Err(_) => drop(tokio::spawn(closed)),
        }
        done
    }

    /// The same on a pool that the application has.
    ///
    /// # Errors
    ///
    /// As [`setup`](Self::setup).
    pub async fn setup_on(pool: &PgPool, config: &Config) -> Result<(), Error> {
        let schema = config.schema()?;
        let done = timeout(config.timeout, schema::run(pool.clone(), schema, config.accept_volatile)).await;
        done.map_err(|_| too_late("the set-up took longer than the time-out; it may still complete"))?
    }
}

fn connections(url: &str, config: &Config) -> Result<Connections, Error> {
    check_options(url)?;
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| Error::new(ErrorKind::Misconfigured("the URL is none of a PostgreSQL database".into())))?
        // A pooler in between refuses settings that it does not know.
        .extra_float_digits(None)
        .disable_statement_logging();
    Ok(Connections::own(options, config))
}

/// The options that the driver knows.
const OPTIONS: [&str; 17] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];

/// Refuses an option that the driver would ignore, with its value in a line of the log: a misspelt password (E2).
fn check_options(url: &str) -> Result<(), Error> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        let is_setting = name == "options" || (name.starts_with("options[") && name.ends_with(']'));
        if !is_setting && !OPTIONS.contains(&&*name) {
            let message = "the URL has an option that is none of a PostgreSQL database";
            return Err(ErrorKind::Misconfigured(message.to_owned()).into());
        }
    }
    Ok(())
}
