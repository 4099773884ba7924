//! Kafka: Annalist's store beside a plain producer and consumer, on a topic of the same settings, one record an event.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use annalist_kafka::rdkafka::ClientConfig;
use annalist_kafka::rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use annalist_kafka::rdkafka::client::DefaultClientContext;
use annalist_kafka::{Config, KafkaStore};

use crate::annalist::Annalist;
use crate::machine::version_of;
use crate::subject::{Backend, Crowd, Durability, Result, Side, Volume};

mod raw;

use raw::RawKafka;

const URL: &str = "ANNALIST_TEST_KAFKA_URL";

pub(crate) struct Kafka {
    ours: Store,
    raw: Topic,
}

impl Backend for Kafka {
    const NAME: &'static str = "kafka";
    const HAS_PROCESSES: bool = true;
    type Ours = Store;
    type Raw = Topic;

    fn find() -> Result<Self> {
        let url =
            std::env::var(URL).map_err(|_| format!("{URL} is not set: `cargo xtask bench` does that"))?;
        let broker = Broker { url: url.trim_end_matches('/').to_owned() };
        Ok(Self { ours: Store(broker.clone()), raw: Topic(broker) })
    }

    fn ours(&self) -> &Store {
        &self.ours
    }

    fn raw(&self) -> &Topic {
        &self.raw
    }

    /// The protocol does not tell the version of a broker.
    fn server(&self) -> Result<Option<String>> {
        let product = version_of("KAFKA").unwrap_or_else(|| "Apache Kafka".to_owned());
        Ok(Some(format!("{product}, one node")))
    }

    fn durability(&self) -> Result<Durability> {
        let settings = "one replica with `flush.messages = 1`: the broker flushes each batch of records";
        // Where a private broker has its data.
        Ok(Durability { settings: settings.to_owned(), folder: Some(annalist_test_servers::temporary()) })
    }

    fn volume(&self) -> Volume {
        Volume {
            alone: 4_000,
            singles: 100_000,
            batched: 100_000,
            slice: 100_000,
            racing: 2_000,
            stream_reads: 500_000,
            log: 200_000,
        }
    }
}

#[derive(Clone)]
pub(super) struct Broker {
    url: String,
}

impl Broker {
    /// What every client of the raw side has.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.url.trim_start_matches("kafka://"));
        config.set("socket.nagle.disable", "true");
        config
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(self.client().create()?)
    }

    async fn create(&self, topic: &str) -> Result<()> {
        let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1))
            .set("retention.ms", "-1")
            .set("retention.bytes", "-1")
            .set("message.timestamp.type", "LogAppendTime")
            .set("flush.messages", "1");
        let made = self.admin()?.create_topics([&new], &AdminOptions::new()).await?;
        made.into_iter()
            .try_for_each(|made| made.map(drop).map_err(|(name, code)| format!("{name}: {code}").into()))
    }

    async fn delete(&self, topic: &str) -> Result<()> {
        self.admin()?.delete_topics(&[topic], &AdminOptions::new()).await?;
        Ok(())
    }
}

/// A name that no other round, and no other run on this broker, has.
fn name(side: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("bench-{side}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) struct Store(Broker);

impl Store {
    fn topic(&self, log: &str) -> String {
        format!("{}/{log}", self.0.url)
    }
}

/// The folder of all local stores of a log.
fn folders(log: &str) -> PathBuf {
    std::env::temp_dir().join(format!("annalist-{log}"))
}

impl Side for Store {
    type Subject = Annalist;

    async fn create(&self) -> Result<String> {
        let log = name("annalist");
        KafkaStore::setup(&self.topic(&log), &Config::default()).await?;
        Ok(log)
    }

    async fn open(&self, log: &str, _: Crowd) -> Result<Annalist> {
        let mut config = Config::default();
        config.folder = Some(folders(log).join(name("process")));
        Ok(Annalist::new(KafkaStore::connect(&self.topic(log), config).await?))
    }

    async fn remove(&self, log: &str) -> Result<()> {
        std::fs::remove_dir_all(folders(log))?;
        self.0.delete(log).await
    }
}

pub(crate) struct Topic(Broker);

impl Side for Topic {
    type Subject = RawKafka;

    async fn create(&self) -> Result<String> {
        let topic = name("raw");
        self.0.create(&topic).await?;
        Ok(topic)
    }

    async fn open(&self, log: &str, _: Crowd) -> Result<RawKafka> {
        RawKafka::new(self.0.clone(), log).await
    }

    async fn remove(&self, log: &str) -> Result<()> {
        self.0.delete(log).await
    }
}
