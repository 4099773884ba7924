//! Stores with a way to their log that can be broken: the memory store at the end of it, and a sender at its beginning.

use std::fmt;
use std::sync::Arc;

use annalist_conformance::{BoxError, Fault, HookError, Namespaces, Opened};
use annalist_core::{
    Append, Capabilities, Error, ErrorKind, EventId, EventStore, Page, Position, Read, Receipt, Subscribe,
    Subscription,
};
use annalist_engine::fault::BatchFaults;
use annalist_engine::group_commit::{BatchError, BatchWriter};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::world::World;

pub type Answer = Result<Receipt, Error>;

/// What became of a batch that has no answers.
pub enum Loss {
    NotSent,
    Unknown,
}

/// The way to the log of one namespace, which all its handles share.
#[derive(Default)]
pub struct Way(BatchFaults);

impl Way {
    pub fn set(&self, fault: Fault) {
        match fault {
            Fault::Refuse(batches) => self.0.refuse(batches),
            Fault::LoseReplies(batches) => self.0.lose_replies(batches),
            Fault::Stall => self.0.stall(),
            _ => self.0.heal(),
        }
    }

    /// Whether the next batch must not leave at all, which uses up one refusal.
    pub fn refuses(&self) -> bool {
        self.0.refuses()
    }

    /// The ids of the events that are held up.
    pub fn held(&self) -> Vec<EventId> {
        self.0.held()
    }

    /// Sends a batch to the log, where each append is decided by itself. Dropping the future loses the reply, and nothing else: what has been
    /// sent arrives.
    pub async fn send(&self, log: Arc<dyn EventStore>, batch: &[Append]) -> Result<Vec<Answer>, Loss> {
        self.0.before(Arc::new(OneByOne(log))).write(batch).await.map_err(|error| match error {
            BatchError::NotSent(_) => Loss::NotSent,
            _ => Loss::Unknown,
        })
    }
}

struct OneByOne(Arc<dyn EventStore>);

#[async_trait]
impl BatchWriter for OneByOne {
    async fn write(&self, batch: &[Append]) -> Result<Vec<Answer>, BatchError> {
        let mut answers = Vec::with_capacity(batch.len());
        for append in batch {
            answers.push(self.0.append(append.clone()).await);
        }
        Ok(answers)
    }
}

/// What brings batches to a log.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// Sends a batch. Dropping the future loses the reply; what has been sent arrives.
    async fn send(&self, batch: &[Append]) -> Result<Vec<Answer>, Loss>;
}

/// The way from one handle.
struct FromHandle {
    way: Arc<Way>,
    log: MemoryStore,
}

#[async_trait]
impl Carrier for FromHandle {
    async fn send(&self, batch: &[Append]) -> Result<Vec<Answer>, Loss> {
        // The log is there as long as anything travels, whatever becomes of the handle that sent it.
        self.way.send(Arc::new(self.log.another_handle()), batch).await
    }
}

/// How a handle sends its appends.
#[async_trait]
pub trait Sender: Send + Sync + 'static {
    async fn append(&self, append: Append) -> Answer;

    /// Finishes what is under way.
    async fn close(&self) {}
}

/// Makes the sender of a handle.
pub type MakeSender = fn(Arc<dyn Carrier>) -> Arc<dyn Sender>;

/// A world of stores that append through a sender.
pub struct Faulty {
    sender: MakeSender,
    ways: Namespaces<Arc<Way>>,
}

pub fn faulty(sender: MakeSender) -> Arc<dyn World> {
    Arc::new(Faulty { sender, ways: Namespaces::default() })
}

struct Honest;

impl Bug for Honest {}

#[async_trait]
impl World for Faulty {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        Arc::new(Honest)
    }

    async fn open(&self, namespace: &str, honest: MemoryStore) -> Result<Opened, BoxError> {
        let way = self.ways.get(namespace, Arc::default);
        let sender = (self.sender)(Arc::new(FromHandle { way, log: honest.clone() }));
        let events = Arc::new(Sending { honest: honest.clone(), sender });
        let honest = Arc::new(honest);
        Ok(Opened::of(events, honest.clone(), honest))
    }

    async fn fault(&self, namespace: &str, fault: Fault) -> Result<(), HookError> {
        self.ways.get(namespace, Arc::default).set(fault);
        Ok(())
    }

    async fn held(&self, namespace: &str) -> Result<Vec<EventId>, HookError> {
        Ok(self.ways.get(namespace, Arc::default).held())
    }
}

/// A store that appends through a sender, and reads the log directly.
struct Sending {
    honest: MemoryStore,
    sender: Arc<dyn Sender>,
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}

#[async_trait]
impl EventStore for Sending {
    async fn append(&self, append: Append) -> Answer {
        // A closed handle says so before it sends anything.
        self.honest.read(Read::log(annalist_core::Query::all()).limit(0)).await?;
        self.honest.capabilities().limits().check_append(&append)?;
        self.sender.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.honest.read(read).await
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        self.honest.subscribe(subscribe).await
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        self.honest.wait_for_more(after).await
    }

    fn capabilities(&self) -> &Capabilities {
        self.honest.capabilities()
    }

    async fn close(&self) -> Result<(), Error> {
        self.sender.close().await;
        self.honest.close().await
    }
}

/// How long an append waits where it does not say.
pub const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

pub fn unavailable(message: &str) -> Error {
    ErrorKind::Unavailable(message.to_owned()).into()
}

pub fn indeterminate(message: &str) -> Error {
    ErrorKind::Indeterminate(message.to_owned()).into()
}
