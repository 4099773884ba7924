//! Topics of their own, and ways past the store.

use std::time::Duration;

use annalist_core::{
    Append, Error, EventStore, ExpectedVersion, NewEvent, Query, Read, Receipt, RecordedEvent, StreamId,
};
use annalist_kafka::rdkafka::ClientConfig;
use annalist_kafka::rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use annalist_kafka::rdkafka::client::DefaultClientContext;
use annalist_kafka::rdkafka::consumer::{BaseConsumer, Consumer};
use annalist_kafka::rdkafka::message::Message;
use annalist_kafka::rdkafka::producer::{FutureProducer, FutureRecord};
use annalist_kafka::rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use annalist_kafka::{Config, KafkaStore};
use uuid::Uuid;

use crate::common::Shared;

/// A topic that nobody else has.
pub struct Topic {
    pub brokers: String,
    pub name: String,
}

/// What a topic of ours has.
pub const FIT: [(&str, &str); 5] = [
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
    ("max.message.bytes", "3146752"),
    ("message.timestamp.type", "LogAppendTime"),
    ("flush.messages", "1"),
];

impl Topic {
    pub fn new() -> Self {
        let url = Shared::get().unwrap().url();
        let brokers = url.trim_start_matches("kafka://").to_owned();
        Self { brokers, name: format!("t-{}", Uuid::now_v7()) }
    }

    pub fn url(&self) -> String {
        format!("kafka://{}/{}", self.brokers, self.name)
    }

    pub async fn set_up(self) -> Self {
        KafkaStore::setup(&self.url(), &config()).await.unwrap();
        self
    }

    pub async fn open(&self) -> KafkaStore {
        self.try_open(config()).await.unwrap()
    }

    pub async fn open_in(&self, folder: &std::path::Path) -> KafkaStore {
        self.try_open(in_folder(folder)).await.unwrap()
    }

    pub async fn try_open(&self, config: Config) -> Result<KafkaStore, Error> {
        KafkaStore::connect(&self.url(), config).await
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.brokers).set("message.max.bytes", "3146752");
        client
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    /// Makes the topic, past the store.
    pub async fn create(&self, partitions: i32, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(&self.name, partitions, TopicReplication::Fixed(1));
        for (name, value) in settings {
            topic = topic.set(name, value);
        }
        let made = self.admin().create_topics([&topic], &AdminOptions::new()).await.unwrap();
        made.into_iter().for_each(|made| drop(made.unwrap()));
    }

    pub async fn delete(&self) {
        let admin = self.admin();
        let gone = admin.delete_topics(&[&self.name], &AdminOptions::new()).await.unwrap();
        gone.into_iter().for_each(|gone| drop(gone.unwrap()));
        // The broker answers before it is gone everywhere.
        for _ in 0..1_000 {
            let metadata = admin.inner().fetch_metadata(Some(&self.name), Duration::from_secs(5)).unwrap();
            if metadata.topics()[0].error().is_some() {
                return;
            }
        }
        panic!("the topic does not go");
    }

    /// Writes records, past the store.
    pub async fn write(&self, values: impl IntoIterator<Item = Vec<u8>>) {
        let producer: FutureProducer = self.client().create().unwrap();
        for value in values {
            let record = FutureRecord::<(), [u8]>::to(&self.name).payload(&value);
            producer.send(record, Duration::from_secs(10)).await.unwrap();
        }
    }

    /// All records, past the store.
    pub fn records(&self) -> Vec<Vec<u8>> {
        let consumer: BaseConsumer = self.client().set("group.id", "test").create().unwrap();
        let (_, end) = consumer.fetch_watermarks(&self.name, 0, Duration::from_secs(10)).unwrap();
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(&self.name, 0, Offset::Beginning).unwrap();
        consumer.assign(&partitions).unwrap();
        let mut values = Vec::new();
        while (values.len() as i64) < end {
            if let Some(message) = consumer.poll(Duration::from_secs(10)) {
                values.push(message.unwrap().payload().unwrap_or_default().to_vec());
            }
        }
        values
    }
}

/// Short enough to see what a deadline does.
pub fn config() -> Config {
    let mut config = Config::default();
    config.timeout = Duration::from_secs(20);
    config.connect_timeout = Duration::from_secs(10);
    config.attempt_timeout = Duration::from_secs(5);
    config
}

pub fn in_folder(folder: &std::path::Path) -> Config {
    let mut config = config();
    config.folder = Some(folder.to_owned());
    config
}

pub fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

pub fn event(n: u64) -> NewEvent {
    NewEvent::new("Ticked", format!("{{\"n\":{n}}}")).unwrap()
}

pub fn one(name: &str, expected: impl Into<ExpectedVersion>, n: u64) -> Append {
    Append::to(&stream(name), expected, [event(n)])
}

pub async fn tick(store: &KafkaStore, n: u64) -> Receipt {
    store.append(one("Clock-1", ExpectedVersion::Any, n)).await.unwrap()
}

pub async fn log(store: &KafkaStore) -> Vec<RecordedEvent> {
    let (mut next, mut events) = (Some(Read::log(Query::all())), Vec::new());
    while let Some(read) = next.take() {
        let page = store.read(read).await.unwrap();
        events.extend(page.events);
        next = page.next;
    }
    events
}

/// Waits until something is so: what the fold does on its own thread cannot be waited for in another way.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    tokio::time::timeout(Duration::from_secs(30), async {
        while !is_so() {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}
