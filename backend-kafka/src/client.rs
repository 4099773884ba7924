//! Clients of the broker: their settings, and what they say of themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::address::Address;
use crate::config::{Config, RECORD_BYTES_MAX, RECORD_OVERHEAD};

/// The only partition of a topic.
pub(crate) const PARTITION: i32 = 0;

/// What all clients of a store know of their connections.
#[derive(Clone, Debug)]
pub(crate) struct Health(Arc<Flags>);

#[derive(Debug)]
struct Flags {
    /// Whether anything went wrong since the last answer of the broker.
    is_doubted: watch::Sender<bool>,
    /// Whether the topic must be looked at again.
    is_suspect: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Flags { is_doubted: watch::Sender::new(false), is_suspect: AtomicBool::new(false) }))
    }
}

impl Health {
    pub(crate) fn doubt(&self) {
        self.0.is_suspect.store(true, Ordering::Release);
        self.set_doubted(true);
    }

    pub(crate) fn trust(&self) {
        self.set_doubted(false);
    }

    fn set_doubted(&self, doubted: bool) {
        self.0.is_doubted.send_if_modified(|is_doubted| std::mem::replace(is_doubted, doubted) != doubted);
    }

    pub(crate) fn is_doubted(&self) -> bool {
        *self.0.is_doubted.borrow()
    }

    /// Waits until something goes wrong; not at all, where it has.
    pub(crate) async fn doubted(&self) {
        // The sender lives as long as this.
        let _ = self.0.is_doubted.subscribe().wait_for(|is_doubted| *is_doubted).await;
    }

    /// Whether the topic must be looked at again, once.
    pub(crate) fn take_suspicion(&self) -> bool {
        self.0.is_suspect.swap(false, Ordering::AcqRel)
    }
}

/// What a client tells, on its way to the log of the program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    pub(crate) health: Health,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                warn!(facility, message, "librdkafka");
            }
            // A broker that is away says so many times; the store says it once, where it matters.
            _ => debug!(facility, message, "librdkafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "the way to the broker");
        self.health.doubt();
    }
}

impl ConsumerContext for Context {}

fn millis(duration: Duration) -> String {
    duration.as_millis().clamp(1, 2_147_483_647).to_string()
}

/// What all clients have in common.
pub(crate) fn base(address: &Address, config: &Config) -> ClientConfig {
    let mut client = ClientConfig::new();
    for (name, value) in &config.client {
        client.set(name, value);
    }
    client
        .set("bootstrap.servers", &address.brokers)
        .set("allow.auto.create.topics", "false")
        .set("message.max.bytes", (RECORD_BYTES_MAX + RECORD_OVERHEAD).to_string())
        .set("socket.nagle.disable", "true")
        .set("socket.timeout.ms", millis(config.attempt_timeout.max(Duration::from_millis(10))))
        .set("socket.connection.setup.timeout.ms", millis(config.connect_timeout.max(Duration::from_secs(1))))
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "200")
        .set("topic.metadata.refresh.fast.interval.ms", "50")
        .set("topic.metadata.propagation.max.ms", "2000")
        .set_log_level(RDKafkaLogLevel::Warning);
    client
}

/// The client that sends records, each once: what is sent again gets a new number, and is decided by the fold. A broker that did get the first
/// cannot know that; the fold does.
pub(crate) fn producer(address: &Address, config: &Config) -> ClientConfig {
    let mut client = base(address, config);
    client
        .set("acks", "all")
        .set("message.send.max.retries", "0")
        .set("linger.ms", "0")
        // The fold tells what was delivered.
        .set("delivery.report.only.error", "true")
        .set("message.timeout.ms", millis(config.attempt_timeout))
        .set("request.timeout.ms", millis(config.attempt_timeout))
        .set("queue.buffering.max.messages", "100000")
        .set("compression.type", "none");
    client
}

/// The client that reads them.
pub(crate) fn consumer(address: &Address, config: &Config) -> ClientConfig {
    let mut client = base(address, config);
    client
        // Nothing is committed to it and nobody joins it; the driver wants a name.
        .set("group.id", "annalist")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "false")
        .set("isolation.level", "read_uncommitted")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.error.backoff.ms", "20")
        // Going back to an earlier record waits for this long, where nothing comes.
        .set("fetch.wait.max.ms", "100")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.message.max.bytes", "4194304");
    client
}
