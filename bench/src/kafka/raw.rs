//! The raw side: what a good user of the driver would write who wants events in a topic and asks for nothing more: no conditions, no versions, no
//! protection from retries.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use annalist_kafka::rdkafka::consumer::{BaseConsumer, Consumer};
use annalist_kafka::rdkafka::message::Message;
use annalist_kafka::rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use annalist_kafka::rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use futures::future::try_join_all;
use tokio::sync::mpsc::{Receiver, channel};

use super::Broker;
use crate::payload::{number, payload};
use crate::subject::{Expected, Follow, Result, Subject, Verdict};

pub(crate) struct RawKafka {
    broker: Broker,
    topic: String,
    producer: FutureProducer,
    /// Made by the first read: it takes half a second until a new one gets its first record.
    reader: Mutex<Option<BaseConsumer>>,
}

/// Events that are ready to be sent, a record each, under the key of their stream.
pub(crate) struct Records {
    stream: String,
    payloads: Vec<Vec<u8>>,
}

impl RawKafka {
    pub(super) async fn new(broker: Broker, topic: &str) -> Result<Self> {
        let producer: FutureProducer = broker
            .client()
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .create()?;
        let raw = Self { broker, topic: topic.to_owned(), producer, reader: Mutex::default() };
        raw.warm_up().await?;
        Ok(raw)
    }

    /// Lets the client connect and get its id before the clock starts. The record says nothing.
    async fn warm_up(&self) -> Result<()> {
        let record = FutureRecord::<str, [u8]>::to(&self.topic).key("Warm-up").payload(&[]);
        self.producer.send(record, Duration::from_secs(10)).await.map_err(|(error, _)| error)?;
        Ok(())
    }

    fn consumer(&self) -> Result<BaseConsumer> {
        let consumer: BaseConsumer = self
            .broker
            .client()
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .set("fetch.queue.backoff.ms", "5")
            .create()?;
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(&self.topic, 0, Offset::Beginning)?;
        consumer.assign(&partitions)?;
        Ok(consumer)
    }

    /// Reads the topic from its beginning to its end, and counts what is of a stream, or of all.
    fn count(&self, stream: Option<&str>) -> Result<u64> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(consumer) = &*reader {
            consumer.seek(&self.topic, 0, Offset::Beginning, Duration::from_secs(10))?;
        }
        let consumer = match &mut *reader {
            Some(consumer) => consumer,
            none => none.insert(self.consumer()?),
        };
        let (_, end) = consumer.fetch_watermarks(&self.topic, 0, Duration::from_secs(10))?;
        let mut events = Vec::new();
        loop {
            let Some(message) = consumer.poll(Duration::from_secs(10)) else {
                return Err("no answer".into());
            };
            let message = message?;
            let is_wanted = match stream {
                Some(stream) => message.key() == Some(stream.as_bytes()),
                None => message.key() != Some(b"Warm-up"),
            };
            if is_wanted {
                // As an application would have it: bytes of its own.
                events.push((message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec)));
            }
            if message.offset() + 1 >= end {
                return Ok(events.len() as u64);
            }
        }
    }
}

impl Subject for RawKafka {
    const NAME: &'static str = "raw";
    type Append = Records;
    type Follower = Tail;

    fn prepare(&self, stream: &str, _: Expected, first: u64, events: u64) -> Result<Records> {
        Ok(Records { stream: stream.to_owned(), payloads: (first..first + events).map(payload).collect() })
    }

    async fn append(&self, records: Records) -> Result<Verdict> {
        let send = |payload: &Vec<u8>| {
            let record = FutureRecord::to(&self.topic).key(&records.stream).payload(payload);
            self.producer.send_result(record).map_err(|(error, _)| error)
        };
        let sent = records.payloads.iter().map(send).collect::<std::result::Result<Vec<_>, _>>()?;
        for delivered in try_join_all(sent).await? {
            delivered.map_err(|(error, _)| error)?;
        }
        Ok(Verdict::Written)
    }

    /// There is no version to be read, and nothing to race for.
    async fn append_next(&self, stream: &str, number: u64) -> Result<()> {
        self.append(self.prepare(stream, Expected::Any, number, 1)?).await.map(drop)
    }

    async fn version(&self, stream: &str) -> Result<u64> {
        self.count(Some(stream))
    }

    async fn read_stream(&self, stream: &str) -> Result<u64> {
        self.count(Some(stream))
    }

    async fn read_log(&self) -> Result<u64> {
        self.count(None)
    }

    async fn follow(&self) -> Result<Tail> {
        let consumer = self.consumer()?;
        let (sender, events) = channel(1_000);
        std::thread::spawn(move || {
            while !sender.is_closed() {
                match consumer.poll(Duration::from_millis(100)) {
                    Some(Ok(message)) => {
                        let number = message.payload().and_then(number);
                        if let Some(number) = number
                            && sender.blocking_send(number).is_err()
                        {
                            return;
                        }
                    }
                    Some(Err(error)) => eprintln!("the raw consumer goes on after: {error}"),
                    None => {}
                }
            }
        });
        Ok(Tail(events))
    }

    async fn close(&self) -> Result<()> {
        let producer = self.producer.clone();
        tokio::task::spawn_blocking(move || producer.flush(Duration::from_secs(10))).await??;
        Ok(())
    }
}

/// A consumer on a thread of its own, as the driver wants it.
pub(crate) struct Tail(Receiver<u64>);

impl Follow for Tail {
    async fn next(&mut self) -> Result<u64> {
        self.0.recv().await.ok_or_else(|| "the consumer ended".into())
    }
}
