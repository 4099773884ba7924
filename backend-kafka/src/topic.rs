//! The topic: making it, and refusing one that would lose or reorder events.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use annalist_core::{Error, LogId, Remedy, Survives};
use bytes::Bytes;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::address::Address;
use crate::client::{self, Context, PARTITION};
use crate::config::{Config, RECORD_BYTES_MAX, RECORD_OVERHEAD};
use crate::error::{self, internal, misconfigured, of_request, unavailable};
use crate::fold::no_genesis;
use crate::record::{self, Body, Decoded, Header, Record, Sealed};

/// What a topic has that was found fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    /// The offset after its last record.
    pub(crate) end: u64,
    pub(crate) survives: Survives,
    pub(crate) settings: &'static str,
}

const REPLICATED: &str = "min.insync.replicas at least 2: every acknowledged record is on two brokers";
const FLUSHED: &str = "flush.messages=1: every record is on the disk before it is acknowledged";
const CACHED: &str = "one replica in the page cache of its broker, which was accepted";

/// Makes the topic and begins its log, where either is not done yet. May be done by many at once.
pub(crate) async fn set_up(address: Address, config: Config) -> Result<(), Error> {
    asking(address, config, |ask| {
        ask.create()?;
        // The one who made it may not have told all brokers yet.
        let found = ask.look().map_err(not_yet)?;
        if found.end == 0 {
            ask.begin()?;
        }
        ask.begins_as_a_log()
    })
    .await
}

/// Looks at the topic and refuses one that is not fit.
pub(crate) async fn check(address: Address, config: Config) -> Result<Found, Error> {
    asking(address, config, Ask::look).await
}

/// Begins the log of a topic, and takes its settings to be right.
#[cfg(feature = "testing")]
pub(crate) async fn begin_unchecked(address: Address, config: Config) -> Result<Found, Error> {
    asking(address, config, |ask| {
        if ask.watermarks()?.1 == 0 {
            ask.begin()?;
        }
        let (_, end) = ask.watermarks()?;
        Ok(Found { end, survives: Survives::ProcessKill, settings: "nobody can tell" })
    })
    .await
}

/// A topic that was made just now is not there yet, and will be.
fn not_yet(error: Error) -> Error {
    match error::code_of(&error) {
        Some(Code::UnknownTopicOrPartition) => unavailable("the topic is being made").with_source(error),
        _ => error,
    }
}

/// Asks the broker on a thread that may wait, again while it cannot be asked, for as long as connecting may take.
async fn asking<T: Send + 'static>(
    address: Address,
    config: Config,
    mut work: impl FnMut(&Ask) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let runtime = Handle::try_current()
        .map_err(|error| misconfigured("a Tokio runtime is needed").with_source(error))?;
    let until = Instant::now() + config.connect_timeout;
    let done = tokio::task::spawn_blocking(move || {
        let client =
            client::base(&address, &config).create_with_context(Context::default()).map_err(of_request)?;
        let ask = Ask { client: Some(client), address, config, runtime, until };
        loop {
            match work(&ask) {
                Err(error) if error.remedy() == Remedy::SendLater && Instant::now() < until => {
                    std::thread::sleep(PAUSE.min(left(until)));
                }
                answer => return answer,
            }
        }
    });
    done.await.unwrap_or_else(|error| Err(unavailable("the runtime is shutting down").with_source(error)))
}

/// The pause before the broker is asked again.
const PAUSE: Duration = Duration::from_millis(50);

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// What asks, and about what.
struct Ask {
    /// Taken only at the end.
    client: Option<AdminClient<Context>>,
    address: Address,
    config: Config,
    runtime: Handle,
    until: Instant,
}

impl Drop for Ask {
    /// It waits for its threads, which nobody else should.
    fn drop(&mut self) {
        let client = self.client.take();
        let end = std::thread::Builder::new().name("annalist-kafka-end".to_owned());
        // Without a thread it is destroyed here.
        let _ = end.spawn(move || drop(client));
    }
}

impl Ask {
    fn admin(&self) -> Result<&AdminClient<Context>, Error> {
        self.client.as_ref().ok_or_else(|| internal("the client is gone"))
    }

    fn left(&self) -> Duration {
        left(self.until)
    }

    fn metadata(&self) -> Result<Metadata, Error> {
        let client = self.admin()?.inner();
        client.fetch_metadata(Some(&self.address.topic), self.left()).map_err(of_request)
    }

    fn watermarks(&self) -> Result<(u64, u64), Error> {
        let client = self.admin()?.inner();
        let (low, high) =
            client.fetch_watermarks(&self.address.topic, PARTITION, self.left()).map_err(of_request)?;
        Ok((u64::try_from(low).unwrap_or_default(), u64::try_from(high).unwrap_or_default()))
    }

    fn create(&self) -> Result<(), Error> {
        let config = &self.config;
        // Asked first: one who may not make topics may use one that is there.
        let known = self.metadata()?;
        if known.topics().first().is_some_and(|topic| topic.error().is_none()) {
            return Ok(());
        }
        let brokers = known.brokers().len();
        // Not the cluster's default, which is one replica, and of which the broker does not tell before the topic is there.
        let replicas = config.replicas.map_or_else(|| brokers.clamp(1, 3), usize::from);
        let in_sync = if replicas >= 3 { "2" } else { "1" };
        let size = (RECORD_BYTES_MAX + RECORD_OVERHEAD).to_string();
        let mut topic = NewTopic::new(
            &self.address.topic,
            1,
            TopicReplication::Fixed(i32::try_from(replicas).unwrap_or(i32::MAX)),
        )
        .set("cleanup.policy", "delete")
        .set("retention.ms", "-1")
        .set("retention.bytes", "-1")
        .set("max.message.bytes", &size)
        .set("message.timestamp.type", "LogAppendTime")
        .set("unclean.leader.election.enable", "false")
        .set("min.insync.replicas", in_sync);
        if replicas < 3 {
            topic = topic.set("flush.messages", "1");
        }
        let options =
            AdminOptions::new().request_timeout(Some(self.left())).operation_timeout(Some(self.left()));
        let made =
            self.runtime.block_on(self.admin()?.create_topics([&topic], &options)).map_err(of_request)?;
        match made.into_iter().next() {
            Some(Err((_, code))) if code != Code::TopicAlreadyExists => {
                Err(of_request(KafkaError::AdminOp(code)))
            }
            _ => Ok(()),
        }
    }

    /// Writes the first record. Where several do, the first one counts.
    fn begin(&self) -> Result<(), Error> {
        let producer: BaseProducer =
            client::producer(&self.address, &self.config).create().map_err(of_request)?;
        let header = Header { log: LogId::new(), writer: Uuid::new_v4(), number: 1, applied: 0, digest: 0 };
        let mut sealed = Sealed::new(&Body::Genesis);
        let record: BaseRecord<'_, (), [u8]> =
            BaseRecord::to(&self.address.topic).partition(PARTITION).payload(sealed.with(&header));
        producer.send(record).map_err(|(error, _)| of_request(error))?;
        producer.flush(self.left()).map_err(of_request)?;
        let (_, end) = self.watermarks()?;
        if end > 0 { Ok(()) } else { Err(unavailable("the first record of the log was not written")) }
    }

    /// Sees to it that the first record is what a log begins with. A process that still has an earlier topic of the name open may have been first.
    fn begins_as_a_log(&self) -> Result<(), Error> {
        let consumer: BaseConsumer =
            client::consumer(&self.address, &self.config).create().map_err(of_request)?;
        let mut partitions = TopicPartitionList::new();
        let first = Offset::Offset(0);
        partitions.add_partition_offset(&self.address.topic, PARTITION, first).map_err(of_request)?;
        consumer.assign(&partitions).map_err(of_request)?;
        let message = consumer.poll(self.left());
        let message = message.ok_or_else(|| unavailable("the first record of the log was not to be had"))?;
        let message = message.map_err(|error| not_yet(of_request(error)))?;
        match record::decode(&Bytes::copy_from_slice(message.payload().unwrap_or_default())) {
            Ok(Decoded::Ours(Record { body: Body::Genesis, .. }) | Decoded::Newer(_)) => Ok(()),
            _ => Err(no_genesis()),
        }
    }

    fn look(&self) -> Result<Found, Error> {
        let metadata = self.metadata()?;
        let topic =
            metadata.topics().first().ok_or_else(|| unavailable("the broker said nothing of the topic"))?;
        if let Some(error) = topic.error() {
            return Err(of_request(KafkaError::MetadataFetch(error.into())));
        }
        let [partition] = topic.partitions() else {
            return Err(unfit("partitions", topic.partitions().len(), "1: there is one order"));
        };
        let settings = self.settings()?;
        let (survives, text) = judge(&settings, partition.replicas().len(), self.config.accept_volatile)?;
        let (low, end) = self.watermarks()?;
        if low != 0 {
            return Err(unfit("its first record", low, "0: its beginning was deleted"));
        }
        Ok(Found { end, survives, settings: text })
    }

    fn settings(&self) -> Result<HashMap<String, String>, Error> {
        let options = AdminOptions::new().request_timeout(Some(self.left()));
        let resources = [ResourceSpecifier::Topic(&self.address.topic)];
        let described = self.admin()?.describe_configs(&resources, &options);
        let described = self.runtime.block_on(described).map_err(of_request)?;
        let described =
            described.into_iter().next().ok_or_else(|| unavailable("the broker described no topic"))?;
        let described = described.map_err(|code| of_request(KafkaError::AdminOp(code)))?;
        Ok(described.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
    }
}

/// Whether a topic keeps what it is given, and what that survives.
fn judge(
    settings: &HashMap<String, String>,
    replicas: usize,
    accept_volatile: bool,
) -> Result<(Survives, &'static str), Error> {
    let setting = |name: &'static str| settings.get(name).map(String::as_str).unwrap_or_default();
    let number = |name| setting(name).parse::<i64>().unwrap_or_default();
    if setting("cleanup.policy") != "delete" {
        return Err(unfit("cleanup.policy", setting("cleanup.policy"), "delete: compaction loses events"));
    }
    for name in ["retention.ms", "retention.bytes"] {
        if number(name) != -1 {
            return Err(unfit(name, setting(name), "-1: retention loses events"));
        }
    }
    if number("max.message.bytes") < (RECORD_BYTES_MAX + RECORD_OVERHEAD) as i64 {
        let value = setting("max.message.bytes");
        return Err(unfit("max.message.bytes", value, "3146752 or more: an append may be as large"));
    }
    if setting("message.timestamp.type") != "LogAppendTime" {
        let value = setting("message.timestamp.type");
        return Err(unfit("message.timestamp.type", value, "LogAppendTime: the broker's clock counts"));
    }
    if replicas > 1 && setting("unclean.leader.election.enable") != "false" {
        let value = setting("unclean.leader.election.enable");
        return Err(unfit("unclean.leader.election.enable", value, "false: it loses acknowledged events"));
    }
    let in_sync = number("min.insync.replicas");
    if replicas >= 3 && in_sync < 2 {
        return Err(unfit("min.insync.replicas", in_sync, "2 or more, where there are three replicas"));
    }
    // More than there are the broker does not wait for: it takes the setting for as many as there are.
    match (in_sync >= 2 && replicas >= 2, number("flush.messages") == 1, accept_volatile) {
        (true, _, _) => Ok((Survives::NodeLoss, REPLICATED)),
        (false, true, _) => Ok((Survives::PowerLoss, FLUSHED)),
        (false, false, true) => Ok((Survives::ProcessKill, CACHED)),
        (false, false, false) => {
            let value = setting("flush.messages");
            Err(unfit("flush.messages", value, "1, where acknowledged records are on one broker alone"))
        }
    }
}

fn unfit(what: &str, value: impl std::fmt::Display, must: &str) -> Error {
    misconfigured(format!("the topic is not fit for a log: {what} is {value}, must be {must}"))
}

#[cfg(test)]
mod tests {
    use annalist_core::ErrorKind;

    use super::*;

    fn fit() -> HashMap<String, String> {
        let settings = [
            ("cleanup.policy", "delete"),
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
            ("max.message.bytes", "3146752"),
            ("message.timestamp.type", "LogAppendTime"),
            ("unclean.leader.election.enable", "false"),
            ("min.insync.replicas", "2"),
            ("flush.messages", "9223372036854775807"),
        ];
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn a_topic_that_loses_events_is_refused() {
        let with = |name: &str, value: &str, replicas| {
            let mut settings = fit();
            settings.insert(name.to_owned(), value.to_owned());
            judge(&settings, replicas, false)
        };
        assert_eq!(with("x", "y", 3).expect("fit").0, Survives::NodeLoss);
        for (name, value) in [
            ("cleanup.policy", "compact"),
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", "604800000"),
            ("retention.bytes", "1"),
            ("max.message.bytes", "1048588"),
            ("message.timestamp.type", "CreateTime"),
            ("unclean.leader.election.enable", "true"),
            ("min.insync.replicas", "1"),
        ] {
            let refused = with(name, value, 3).expect_err(name);
            assert!(matches!(refused.kind(), ErrorKind::Misconfigured(_)));
            assert!(refused.to_string().contains(name), "{refused}");
        }
    }

    #[test]
    fn one_replica_is_flushed_or_accepted() {
        let mut settings = fit();
        settings.insert("min.insync.replicas".to_owned(), "1".to_owned());
        judge(&settings, 1, false).expect_err("in the page cache alone");
        assert_eq!(judge(&settings, 1, true).expect("accepted").0, Survives::ProcessKill);
        settings.insert("flush.messages".to_owned(), "1".to_owned());
        assert_eq!(judge(&settings, 1, false).expect("flushed").0, Survives::PowerLoss);
    }

    #[test]
    fn replicas_that_a_setting_names_and_nobody_has_keep_nothing() {
        let mut settings = fit();
        judge(&settings, 1, false)
            .expect_err("one replica in the page cache, whatever is demanded of others");
        settings.insert("flush.messages".to_owned(), "1".to_owned());
        assert_eq!(judge(&settings, 1, false).expect("flushed").0, Survives::PowerLoss);
        assert_eq!(judge(&settings, 2, false).expect("two of two").0, Survives::NodeLoss);
    }
}
