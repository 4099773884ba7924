//! DynamoDB: Annalist's store beside conditional puts by the SDK, on a table of one item per event that promises no order among streams.
//!
//! Once at the speed of the server in this room, and once behind a network in which every request takes 8 ms, as it does at AWS.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annalist_dynamodb::aws_sdk_dynamodb::Client;
use annalist_dynamodb::{Config, DynamoStore};
use annalist_test_servers::dynamodb::{Latency, Proxy};

use crate::annalist::Annalist;
use crate::machine::version_of;
use crate::subject::{Backend, Crowd, Durability, Result, Side, Volume};

mod follow;
mod item;
mod raw;

use raw::RawDynamo;

const URL: &str = "ANNALIST_TEST_DYNAMODB_URL";

/// A server every request to which takes at least so many milliseconds.
pub(crate) struct Dynamo<const MILLIS: u64> {
    ours: Store<MILLIS>,
    raw: Table<MILLIS>,
}

pub(crate) type NearDynamo = Dynamo<0>;
pub(crate) type DistantDynamo = Dynamo<8>;

impl<const MILLIS: u64> Backend for Dynamo<MILLIS> {
    const NAME: &'static str = if MILLIS == 0 { "dynamodb" } else { "dynamodb-8ms" };
    const HAS_PROCESSES: bool = true;
    type Ours = Store<MILLIS>;
    type Raw = Table<MILLIS>;

    fn find() -> Result<Self> {
        let url =
            std::env::var(URL).map_err(|_| format!("{URL} is not set: `cargo xtask bench` does that"))?;
        let server = Server::new(url, MILLIS)?;
        Ok(Self { ours: Store(server.clone()), raw: Table(server) })
    }

    fn ours(&self) -> &Store<MILLIS> {
        &self.ours
    }

    fn raw(&self) -> &Table<MILLIS> {
        &self.raw
    }

    fn server(&self) -> Result<Option<String>> {
        let product = version_of("DYNAMODB").unwrap_or_else(|| "a server".to_owned());
        let way = if MILLIS == 0 { String::new() } else { format!(", {MILLIS} ms a request") };
        Ok(Some(format!("{product} with DynamoDB's interface{way}")))
    }

    /// The service's durability cannot be shown on one machine, and a disk would only hold it up.
    fn durability(&self) -> Result<Durability> {
        let settings = "none that counts: the service answers once several zones have it; this server keeps its tables in memory where it can";
        Ok(Durability { settings: settings.to_owned(), folder: None })
    }

    fn volume(&self) -> Volume {
        let near = Volume {
            alone: 2_000,
            singles: 20_000,
            batched: 40_000,
            slice: 20_000,
            racing: 300,
            stream_reads: 100_000,
            log: 200_000,
        };
        if MILLIS == 0 { near } else { Volume { alone: 200, racing: 100, ..near } }
    }
}

#[derive(Clone)]
struct Server {
    url: String,
    /// Ends with the last of those who use it.
    _network: Option<Arc<Proxy>>,
}

impl Server {
    fn new(url: String, millis: u64) -> Result<Self> {
        if millis == 0 {
            return Ok(Self { url, _network: None });
        }
        let network = Proxy::start(&url)?;
        network.set_latency(Latency::Fixed(Duration::from_millis(millis)));
        Ok(Self { url: network.url(), _network: Some(Arc::new(network)) })
    }

    /// What a store is opened by.
    fn url_of(&self, table: &str) -> String {
        format!("dynamodb://id:key@{table}?region=eu-central-1&endpoint={}", self.url)
    }

    fn client(&self) -> Client {
        raw::client(&self.url)
    }

    async fn delete(&self, table: &str) -> Result<()> {
        self.client().delete_table().table_name(table).send().await?;
        Ok(())
    }
}

/// The name of a table that no other round, and no other run on this server, has.
fn table(side: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("bench-{side}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) struct Store<const MILLIS: u64>(Server);

impl<const MILLIS: u64> Side for Store<MILLIS> {
    type Subject = Annalist;

    async fn create(&self) -> Result<String> {
        let table = table("annalist");
        DynamoStore::setup(&self.0.url_of(&table), &Config::default()).await?;
        Ok(table)
    }

    async fn open(&self, log: &str, _: Crowd) -> Result<Annalist> {
        Ok(Annalist::new(DynamoStore::connect(&self.0.url_of(log), Config::default()).await?))
    }

    async fn remove(&self, log: &str) -> Result<()> {
        self.0.delete(log).await
    }
}

pub(crate) struct Table<const MILLIS: u64>(Server);

impl<const MILLIS: u64> Side for Table<MILLIS> {
    type Subject = RawDynamo;

    async fn create(&self) -> Result<String> {
        let table = table("raw");
        raw::create(&self.0.client(), &table).await?;
        Ok(table)
    }

    async fn open(&self, log: &str, _: Crowd) -> Result<RawDynamo> {
        Ok(RawDynamo::new(self.0.client(), log))
    }

    async fn remove(&self, log: &str) -> Result<()> {
        self.0.delete(log).await
    }
}
