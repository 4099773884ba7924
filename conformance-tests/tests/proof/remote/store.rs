//! The client: the three traits over the connections.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use annalist_core::{
    Append, Capabilities, Capability, Checkpoint, CheckpointName, CheckpointStore, Claim, Consistency, Error,
    ErrorKind, EventStore, Owner, Page, Position, Read, Receipt, Snapshot, SnapshotSchema, SnapshotStore,
    StreamId, Subscribe, Subscription, Survives, Version, backend,
};
use annalist_engine::group_commit::{self, BatchError, BatchWriter, GroupCommit, Mates};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::Config;
use super::line::{Lost, Pool, unexpected};
use super::wire::{Reply, Request, WireAppend};
use crate::faulty::{Answer, Carrier, Loss, Way, indeterminate, unavailable};

/// One handle on a namespace of a server. Clones are the same handle.
#[derive(Clone)]
pub struct RemoteStore(Arc<Inner>);

struct Inner {
    pool: Arc<Pool>,
    config: Config,
    writer: Arc<Writer>,
    commits: GroupCommit,
    capabilities: Capabilities,
    closed: watch::Sender<bool>,
}

/// A time from now, at most a day.
fn later(duration: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(86_400);
    Instant::now() + duration.min(LONGEST)
}

const ON_ONE_SERVER: &str = "the server keeps everything in memory";

/// What the server does, known before there is any connection to it.
fn capabilities() -> Capabilities {
    let memory = MemoryStore::new();
    let declared = memory.capabilities();
    Capabilities::full(*declared.limits())
        .durability(Survives::Nothing, ON_ONE_SERVER)
        .recorded_at_resolution(declared.recorded_at_precision())
        .queries_scan()
        .without(Capability::Durability, ON_ONE_SERVER)
        .without(Capability::LocalReads, "every read is linearizable")
}

impl RemoteStore {
    /// A handle, without any connection yet.
    pub fn connect(address: SocketAddr, namespace: &str, config: Config) -> Self {
        Self::by_way(address, namespace, config, Arc::default())
    }

    /// The same, whose batches do not leave while the way refuses them.
    pub fn by_way(address: SocketAddr, namespace: &str, config: Config, way: Arc<Way>) -> Self {
        let pool = Arc::new(Pool::new(address, namespace, config));
        let mut grouped = group_commit::Config::default();
        grouped.mates = Mates::InOrder;
        (grouped.timeout, grouped.attempt_timeout) = (config.timeout, config.attempt_timeout);
        let writer = Arc::new(Writer { pool: pool.clone(), way, attempt_timeout: config.attempt_timeout });
        let commits = GroupCommit::new(writer.clone(), grouped);
        let (capabilities, closed) = (capabilities(), watch::Sender::new(false));
        Self(Arc::new(Inner { pool, config, writer, commits, capabilities, closed }))
    }

    /// Whether there is a connection that nobody uses.
    pub fn is_connected(&self) -> bool {
        self.0.pool.is_connected()
    }

    /// What sends batches, once.
    pub fn carrier(&self) -> Arc<dyn Carrier> {
        self.0.writer.clone()
    }

    fn check_open(&self) -> Result<(), Error> {
        if *self.0.closed.borrow() { Err(ErrorKind::Closed.into()) } else { Ok(()) }
    }

    /// Asks what can be asked again without harm, until it is answered, the deadline is there, or it was asked often enough.
    async fn ask(&self, request: &Request, timeout: Option<Duration>) -> Result<Reply, Lost> {
        let refused = |error| Lost { may_have_left: false, error };
        self.check_open().map_err(refused)?;
        let until = later(timeout.unwrap_or(self.0.config.timeout));
        let (mut attempt, mut may_have_left) = (1, false);
        loop {
            match self.0.pool.ask(request, until).await {
                Ok(Reply::Refused(error)) => return Err(refused(error.into())),
                Ok(reply) => return Ok(reply),
                Err(lost) => {
                    may_have_left |= lost.may_have_left;
                    let goes_on = attempt < self.0.config.attempts_max && Instant::now() < until;
                    if !goes_on || !matches!(lost.error.kind(), ErrorKind::Unavailable(_)) {
                        return Err(Lost { may_have_left, ..lost });
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(5) * attempt).await;
            attempt += 1;
        }
    }

    async fn look(&self, request: &Request, timeout: Option<Duration>) -> Result<Reply, Error> {
        self.ask(request, timeout).await.map_err(|lost| lost.error)
    }

    async fn change(&self, request: &Request) -> Result<Reply, Error> {
        self.ask(request, None).await.map_err(|lost| match lost.error.kind() {
            ErrorKind::Unavailable(_) if lost.may_have_left => {
                indeterminate("no reply from the server").with_source(lost.error)
            }
            _ => lost.error,
        })
    }
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteStore")
    }
}

/// Writes batches: what was prepared on a connection is decided by a commit on the same one, or never.
struct Writer {
    pool: Arc<Pool>,
    way: Arc<Way>,
    attempt_timeout: Duration,
}

#[async_trait]
impl BatchWriter for Writer {
    async fn write(&self, batch: &[Append]) -> Result<Vec<Answer>, BatchError> {
        if self.way.refuses() {
            return Err(BatchError::NotSent(unavailable("the batch was not sent")));
        }
        // Soon enough to tell that nothing was committed, before the whole attempt counts as lost.
        let until = Instant::now() + self.attempt_timeout / 2;
        let prepare = Request::Prepare(batch.iter().map(WireAppend::from).collect());
        let prepared = timeout_at(until, async {
            let mut line = self.pool.line().await?;
            match line.ask(&prepare).await {
                Ok(_) => Ok(line),
                Err(error) => {
                    self.pool.drop_lost(line);
                    Err(unavailable("the connection was lost").with_source(error))
                }
            }
        });
        let prepared =
            prepared.await.unwrap_or_else(|_| Err(unavailable("the server did not take the batch")));
        let mut line = prepared.map_err(BatchError::NotSent)?;
        let reply = match line.ask(&Request::Commit).await {
            Ok(reply) => reply,
            Err(error) => {
                self.pool.drop_lost(line);
                return Err(BatchError::Unknown(indeterminate("the connection was lost").with_source(error)));
            }
        };
        self.pool.give_back(line);
        let told = |answer: Result<_, _>| answer.map(Receipt::from).map_err(Error::from);
        match reply {
            Reply::Receipts(answers) => Ok(answers.into_iter().map(told).collect()),
            Reply::NotSent => Err(BatchError::NotSent(unavailable("the server did not write the batch"))),
            _ => Err(BatchError::Unknown(unexpected())),
        }
    }
}

#[async_trait]
impl Carrier for Writer {
    async fn send(&self, batch: &[Append]) -> Result<Vec<Answer>, Loss> {
        self.write(batch).await.map_err(|error| match error {
            BatchError::NotSent(_) => Loss::NotSent,
            _ => Loss::Unknown,
        })
    }
}

#[async_trait]
impl EventStore for RemoteStore {
    async fn append(&self, append: Append) -> Result<Receipt, Error> {
        self.check_open()?;
        self.0.capabilities.limits().check_append(&append)?;
        self.0.commits.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.check_open()?;
        self.0.capabilities.limits().check_read(&read)?;
        if read.consistency() != Consistency::Linearizable {
            self.0.capabilities.require(Capability::LocalReads)?;
        }
        match self.look(&Request::Read((&read).into()), read.timeout_after()).await? {
            Reply::Page(page) => Ok(page.answer(&read)),
            _ => Err(unexpected()),
        }
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        annalist_engine::subscribe(Arc::new(self.clone()), subscribe).await
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        let mut closed = self.0.closed.subscribe();
        let (request, until) = (Request::Wait(after), Instant::now() + self.0.config.timeout);
        let waited = tokio::select! {
            waited = self.0.pool.ask_now(&request, until) => waited,
            _ = closed.wait_for(|closed| *closed) => return Err(ErrorKind::Closed.into()),
        };
        match waited {
            Ok(Reply::Refused(error)) => Err(error.into()),
            Ok(_) => Ok(()),
            Err(lost) => Err(lost.error),
        }
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn close(&self) -> Result<(), Error> {
        self.0.closed.send_replace(true);
        self.0.commits.close().await;
        self.0.pool.clear();
        Ok(())
    }
}

#[async_trait]
impl SnapshotStore for RemoteStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.check_open()?;
        self.0.capabilities.limits().check_snapshot(&snapshot)?;
        self.change(&Request::SaveSnapshot((&snapshot).into())).await.map(drop)
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        match self.look(&Request::LoadSnapshot(stream.clone(), schema.clone(), at_most), None).await? {
            Reply::Snapshot(found) => Ok(found.map(Snapshot::from)),
            _ => Err(unexpected()),
        }
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        self.change(&Request::PruneSnapshots(stream.clone(), schema.clone(), keep as u64)).await.map(drop)
    }
}

#[async_trait]
impl CheckpointStore for RemoteStore {
    async fn claim_checkpoint(&self, name: &CheckpointName) -> Result<Claim, Error> {
        match self.change(&Request::Claim(name.clone())).await? {
            Reply::Claim(epoch, checkpoint) => {
                Ok(backend::claim(backend::owner(name.clone(), epoch), checkpoint.map(Checkpoint::from)))
            }
            _ => Err(unexpected()),
        }
    }

    async fn save_checkpoint(&self, owner: &Owner, position: Position) -> Result<(), Error> {
        let request = Request::SaveCheckpoint(owner.name().clone(), owner.epoch(), position);
        self.change(&request).await.map(drop)
    }

    async fn load_checkpoint(&self, name: &CheckpointName) -> Result<Option<Checkpoint>, Error> {
        match self.look(&Request::LoadCheckpoint(name.clone()), None).await? {
            Reply::Checkpoint(found) => Ok(found.map(Checkpoint::from)),
            _ => Err(unexpected()),
        }
    }

    async fn reset_checkpoint(&self, name: &CheckpointName, position: Position) -> Result<Owner, Error> {
        match self.change(&Request::ResetCheckpoint(name.clone(), position)).await? {
            Reply::Owner(epoch) => Ok(backend::owner(name.clone(), epoch)),
            _ => Err(unexpected()),
        }
    }
}
