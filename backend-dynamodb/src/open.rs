//! Opening a store, and setting one up: from a URL, or with a client that the application has.

use std::sync::Arc;

use annalist_core::Error;
#[cfg(feature = "testing")]
use annalist_engine::group_commit::BatchWriter;
use annalist_engine::later;
use aws_sdk_dynamodb::Client;
use tokio::time::Instant;

use crate::aws::AwsTable;
use crate::client::{Place, check_table, without_retries};
use crate::config::Config;
use crate::requests::Requests;
use crate::schema;
use crate::store::DynamoStore;
use crate::table::Table;

impl DynamoStore {
    /// Opens the store in the table that a URL names: `dynamodb://TABLE?region=…&endpoint=…`, where `ID:KEY@` may stand before the table.
    ///
    /// What the URL does not say is taken from the environment: the region from `AWS_REGION` or `AWS_DEFAULT_REGION`, the endpoint from
    /// `AWS_ENDPOINT_URL_DYNAMODB` or `AWS_ENDPOINT_URL`, the credentials from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
    /// `AWS_SESSION_TOKEN`. Who has them elsewhere makes a client by the AWS SDK and calls [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// [`Invalid`](annalist_core::ErrorKind::Invalid) for the name of the namespace; [`Misconfigured`](annalist_core::ErrorKind::Misconfigured) for a
    /// URL that is none, credentials that are missing or refused, a table or namespace that is missing or of another layout;
    /// [`Unavailable`](annalist_core::ErrorKind::Unavailable) where the service does not answer within [`Config::timeout`].
    pub async fn connect(url: &str, config: Config) -> Result<Self, Error> {
        let place = Place::parse(url)?;
        Self::open(&place.client()?, &place.table, config).await
    }

    /// Opens the store in a table, with a client that the application has. What the client would send again by itself is left to the store.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn open(client: &Client, table: &str, config: Config) -> Result<Self, Error> {
        Self::over(aws(client, table)?, config, |writer| writer).await
    }

    /// Creates the table that a URL names, and the log in it. Does nothing where all is there already; may be done by many at once.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn setup(url: &str, config: &Config) -> Result<(), Error> {
        let place = Place::parse(url)?;
        Self::setup_with(&place.client()?, &place.table, config).await
    }

    /// The same with a client that the application has.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn setup_with(client: &Client, table: &str, config: &Config) -> Result<(), Error> {
        Self::prepare(aws(client, table)?, config).await
    }

    async fn prepare(table: Arc<dyn Table>, config: &Config) -> Result<(), Error> {
        let keys = config.keys()?;
        let requests = Requests::new(table, config.request_timeout, config.requests_at_once_max);
        let deadline = later(Instant::now(), config.timeout);
        // A table that answers needs no right to describe or make tables, and none of the time that a description takes.
        if requests.get(&keys.log(), deadline).await.is_err() {
            requests.create(deadline).await?;
        }
        schema::begin(&requests, &keys, deadline).await
    }

    /// As [`open`](Self::open), with something between the store's queue and its requests: for tests of what happens when the way to the table breaks.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    #[cfg(feature = "testing")]
    pub async fn open_behind(
        client: &Client,
        table: &str,
        config: Config,
        layer: impl FnOnce(Arc<dyn BatchWriter>) -> Arc<dyn BatchWriter>,
    ) -> Result<Self, Error> {
        Self::over(aws(client, table)?, config, layer).await
    }

    /// Opens the store over anything that answers its requests.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub async fn open_over(table: Arc<dyn Table>, config: Config) -> Result<Self, Error> {
        Self::over(table, config, |writer| writer).await
    }

    /// Sets up over anything that answers its requests.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub async fn setup_over(table: Arc<dyn Table>, config: &Config) -> Result<(), Error> {
        Self::prepare(table, config).await
    }
}

pub(crate) fn aws(client: &Client, table: &str) -> Result<Arc<dyn Table>, Error> {
    check_table(table)?;
    Ok(Arc::new(AwsTable::new(without_retries(client), table)))
}
