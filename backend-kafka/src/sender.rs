//! Sending records, and learning what became of them.
//!
//! The answer to a record comes from the fold. What the driver says of its delivery counts only where the record did not get into the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use annalist_core::{Error, ErrorKind, LogId};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, PurgeConfig, ThreadedProducer};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

use crate::address::Address;
use crate::client::{self, Context, Health, PARTITION};
use crate::config::Config;
use crate::error::{Undelivered, of_delivery, of_request, unavailable};
use crate::fold::Verdict;
use crate::record::{Header, Sealed};
use crate::replica::Replica;

/// What became of a record.
#[derive(Debug)]
pub(crate) enum Fate {
    /// The fold has come to it.
    Folded(Verdict),
    /// The driver has given up on it.
    Undelivered(Undelivered),
    /// The fold has stopped for good.
    Stopped(Error),
}

type Waiting = HashMap<u64, UnboundedSender<Fate>>;

/// Who waits for the fate of which record of this writer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending(Arc<Mutex<Waiting>>);

impl Pending {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under the lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, number: u64) -> UnboundedReceiver<Fate> {
        // At most two fates: it was given up on, and it came nevertheless.
        let (sender, fate) = unbounded_channel();
        self.waiting().insert(number, sender);
        fate
    }

    fn leave(&self, number: u64) {
        self.waiting().remove(&number);
    }

    /// The fold has come to a record: later copies of it do nothing.
    pub(crate) fn folded(&self, number: u64, verdict: Verdict) {
        if let Some(waiting) = self.waiting().remove(&number) {
            let _ = waiting.send(Fate::Folded(verdict));
        }
    }

    fn undelivered(&self, number: u64, undelivered: Undelivered) {
        if let Some(waiting) = self.waiting().get(&number) {
            let _ = waiting.send(Fate::Undelivered(undelivered));
        }
    }

    pub(crate) fn stopped(&self, error: &Error) {
        for (_, waiting) in self.waiting().drain() {
            let _ = waiting.send(Fate::Stopped(error.clone()));
        }
    }
}

/// What the driver's thread tells.
struct Deliveries {
    context: Context,
    pending: Pending,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        // Of success the fold tells.
        if let Err((error, _)) = result {
            self.context.health.doubt();
            self.pending.undelivered(number as u64, of_delivery(error.clone()));
        }
    }
}

/// For how long it need not be asked again whether there is a way to the broker.
const ASKED_LATELY: Duration = Duration::from_millis(50);

/// The writer of one opened store.
pub(crate) struct Sender {
    /// Taken only at the end.
    producer: Option<ThreadedProducer<Deliveries>>,
    topic: String,
    log: LogId,
    writer: Uuid,
    /// The number of the last record. Held while one is handed to the driver, so that records leave in the order of their numbers.
    last: Mutex<u64>,
    pending: Pending,
    replica: Arc<Replica>,
    health: Health,
    /// Held by the one who asks whether there is a way; when that failed last, and how.
    asking: tokio::sync::Mutex<Option<(Instant, Error)>>,
    /// After which time a record that is still in the driver's queue is taken out of it.
    withdraw_after: Duration,
}

impl Sender {
    pub(crate) fn new(
        address: &Address,
        config: &Config,
        replica: Arc<Replica>,
        log: LogId,
    ) -> Result<Self, Error> {
        let (pending, health) = (replica.pending().clone(), replica.health().clone());
        let deliveries = Deliveries { context: Context { health: health.clone() }, pending: pending.clone() };
        let producer =
            client::producer(address, config).create_with_context(deliveries).map_err(of_request)?;
        Ok(Self {
            producer: Some(producer),
            topic: address.topic.clone(),
            log,
            writer: replica.writer(),
            last: Mutex::new(0),
            pending,
            replica,
            health,
            asking: tokio::sync::Mutex::new(None),
            withdraw_after: config.attempt_timeout.mul_f64(0.8),
        })
    }

    fn producer(&self) -> Result<&ThreadedProducer<Deliveries>, Error> {
        self.producer.as_ref().ok_or_else(|| ErrorKind::Closed.into())
    }

    pub(crate) fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// Makes sure that there is a way to the broker, where that is in doubt.
    pub(crate) async fn ready(self: &Arc<Self>, within: Duration) -> Result<(), Error> {
        self.replica.check()?;
        if !self.health.is_doubted() {
            return Ok(());
        }
        // One asks for all who want to know.
        let mut failed = self.asking.lock().await;
        if !self.health.is_doubted() {
            return Ok(());
        }
        if let Some((at, error)) = &*failed
            && at.elapsed() < ASKED_LATELY
        {
            return Err(error.clone());
        }
        let sender = Arc::clone(self);
        let asked = tokio::task::spawn_blocking(move || {
            let client = sender.producer()?.client();
            client.fetch_metadata(Some(&sender.topic), within).map_err(of_request)?;
            sender.health.trust();
            Ok(())
        });
        let answer = asked.await.unwrap_or_else(|_| Err(unavailable("the runtime is shutting down")));
        *failed = answer.as_ref().err().map(|error| (Instant::now(), error.clone()));
        answer
    }

    /// Ends with an error once the broker cannot be reached.
    pub(crate) async fn lost(self: &Arc<Self>, within: Duration) -> Error {
        loop {
            self.health.doubted().await;
            if let Err(error) = self.ready(within).await {
                return error;
            }
        }
    }

    /// Hands a record to the driver.
    pub(crate) fn send(&self, sealed: &mut Sealed) -> Result<Ticket<'_>, Undelivered> {
        let producer = self.producer().map_err(Undelivered::Never)?;
        // A panic under the lock is in the driver; the number is used up or not, either is right.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        let number = *last;
        let (applied, digest) = self.replica.digest();
        let header = Header { log: self.log, writer: self.writer, number, applied, digest };
        let fate = self.pending.enter(number);
        let ticket = Ticket { sender: self, number, fate };
        // After it was entered: a fold that stops tells all who are.
        self.replica.check().map_err(Undelivered::Never)?;
        let opaque = usize::try_from(number).unwrap_or(usize::MAX);
        let record: BaseRecord<'_, (), [u8], usize> = BaseRecord::with_opaque_to(&self.topic, opaque)
            .partition(PARTITION)
            .payload(sealed.with(&header));
        match producer.send(record) {
            Ok(()) => Ok(ticket),
            Err((error, _)) => Err(of_delivery(error)),
        }
    }

    /// Takes out of the driver's queue what is still in it.
    fn withdraw(&self) {
        if let Some(producer) = &self.producer {
            producer.purge(PurgeConfig::default().queue().non_blocking());
        }
    }

    /// Waits for what is under way, for a while.
    pub(crate) fn flush(&self, within: Duration) {
        if let Some(producer) = &self.producer {
            let _ = producer.flush(within);
        }
    }
}

impl Drop for Sender {
    /// Destroying a client waits for its threads, which no task should.
    fn drop(&mut self) {
        if let Some(producer) = self.producer.take() {
            let end = std::thread::Builder::new().name("annalist-kafka-end".to_owned());
            // Without a thread it is destroyed here.
            let _ = end.spawn(move || drop(producer));
        }
    }
}

/// A record under way. Dropping it gives up the answer, not the record.
pub(crate) struct Ticket<'a> {
    sender: &'a Sender,
    number: u64,
    fate: UnboundedReceiver<Fate>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.sender.pending.leave(self.number);
    }
}

impl Ticket<'_> {
    /// The next that becomes of it.
    pub(crate) async fn fate(&mut self) -> Fate {
        match tokio::time::timeout(self.sender.withdraw_after, self.fate.recv()).await {
            Ok(fate) => fate,
            Err(_) => {
                self.sender.withdraw();
                self.fate.recv().await
            }
        }
        .unwrap_or_else(|| Fate::Stopped(unavailable("the store was closed")))
    }

    /// What the fold says, if it has come to it already.
    pub(crate) fn verdict(&mut self) -> Option<Verdict> {
        while let Ok(fate) = self.fate.try_recv() {
            if let Fate::Folded(verdict) = fate {
                return Some(verdict);
            }
        }
        None
    }
}
