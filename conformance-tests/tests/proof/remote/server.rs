//! The server: stores of this process, each under the name of its namespace, on a TCP socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use annalist_conformance::Namespaces;
use annalist_core::{Append, CheckpointStore, ErrorKind, EventStore, SnapshotStore, backend};
use annalist_memory::MemoryStore;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::prepared::{Lock, Prepared, ServerFlaw, Wrong};
use super::wire::{Reply, Request, WireError, framed, receive};
use crate::faulty::Way;

/// What a server has of one namespace.
#[derive(Clone)]
pub struct Base {
    pub events: Arc<dyn EventStore>,
    pub snapshots: Arc<dyn SnapshotStore>,
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// The way of its appends to its log.
    pub way: Arc<Way>,
    /// What a flaw of its server remembers.
    pub(super) wrong: Arc<Wrong>,
}

impl Base {
    pub fn of<S: EventStore + SnapshotStore + CheckpointStore>(store: Arc<S>) -> Self {
        let (events, snapshots) = (store.clone(), store.clone());
        Self { events, snapshots, checkpoints: store, way: Arc::default(), wrong: Arc::default() }
    }
}

/// Serves until it is dropped.
pub struct Server {
    address: SocketAddr,
    bases: Arc<Namespaces<Base>>,
    serving: JoinHandle<()>,
}

impl Server {
    /// A server on a free port of the loopback device. Namespaces that nobody has put there begin empty.
    pub async fn start() -> io::Result<Self> {
        Self::with(ServerFlaw::None).await
    }

    /// The same, with a flaw.
    pub async fn with(flaw: ServerFlaw) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, bases) = (listener.local_addr()?, Arc::new(Namespaces::default()));
        let serving = tokio::spawn(accept(listener, bases.clone(), flaw));
        Ok(Self { address, bases, serving })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is served under the name of a namespace, put there now where there is nothing yet.
    pub fn base(&self, namespace: &str, make: impl FnOnce() -> Base) -> Base {
        self.bases.get(namespace, make)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, bases: Arc<Namespaces<Base>>, flaw: ServerFlaw) {
    let (mut connections, lock) = (JoinSet::new(), Lock::default());
    loop {
        while connections.try_join_next().is_some() {}
        if let Ok((stream, _)) = listener.accept().await {
            let (bases, flaws) = (bases.clone(), (flaw, lock.clone()));
            connections.spawn(async move { serve(stream, &bases, flaws).await });
        }
    }
}

/// How long a wait is held before it is answered although there is nothing.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// Answers the requests of one connection, in order, until it is gone. What has been received whole is done, whether or not anybody is still there
/// to hear of it.
async fn serve(stream: TcpStream, bases: &Namespaces<Base>, flaws: (ServerFlaw, Lock)) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    let Request::Hello { namespace, password } = receive(&mut from).await? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    if password != super::PASSWORD {
        let refused = WireError::Misconfigured("the password is wrong".to_owned());
        return to.write_all(&framed(&Reply::Refused(refused))).await;
    }
    let base = bases.get(&namespace, || Base::of(Arc::new(MemoryStore::new())));
    to.write_all(&framed(&Reply::Done)).await?;
    let mut prepared = Prepared::default();
    loop {
        let reply = match receive(&mut from).await? {
            Request::Prepare(batch) => {
                let batch = batch.into_iter().map(Append::from).collect();
                prepared = Prepared::take_in(&base, batch, &flaws).await;
                Reply::Done
            }
            Request::Commit => std::mem::take(&mut prepared).commit(&base).await?,
            Request::Wait(after) => {
                tokio::select! {
                    waited = base.events.wait_for_more(after) => answer(waited.map(|()| Reply::Done)),
                    () = tokio::time::sleep(WAIT_MAX) => Reply::Done,
                    gone = gone(&mut from) => return gone,
                }
            }
            request => answer(decide(&base, request).await),
        };
        to.write_all(&framed(&reply)).await?;
    }
}

/// Ends once the client has gone, or sends without having been answered.
async fn gone(from: &mut BufReader<OwnedReadHalf>) -> io::Result<()> {
    from.fill_buf().await.map(drop)
}

fn answer(decided: Result<Reply, annalist_core::Error>) -> Reply {
    decided.unwrap_or_else(|error| Reply::Refused(error.into()))
}

async fn decide(base: &Base, request: Request) -> Result<Reply, annalist_core::Error> {
    Ok(match request {
        Request::Read(read) => Reply::Page(base.wrong.seen(base.events.read(read.into()).await?).into()),
        Request::SaveSnapshot(snapshot) => {
            base.snapshots.save_snapshot(snapshot.into()).await?;
            Reply::Done
        }
        Request::LoadSnapshot(stream, schema, at_most) => {
            let found = base.snapshots.load_snapshot(&stream, &schema, at_most).await?;
            Reply::Snapshot(found.as_ref().map(Into::into))
        }
        Request::PruneSnapshots(stream, schema, keep) => {
            let keep = usize::try_from(keep).unwrap_or(usize::MAX);
            base.snapshots.prune_snapshots(&stream, &schema, keep).await?;
            Reply::Done
        }
        Request::Claim(name) => {
            let claim = base.checkpoints.claim_checkpoint(&name).await?;
            Reply::Claim(claim.owner.epoch(), claim.checkpoint.map(Into::into))
        }
        Request::SaveCheckpoint(name, epoch, position) => {
            base.checkpoints.save_checkpoint(&backend::owner(name, epoch), position).await?;
            Reply::Done
        }
        Request::LoadCheckpoint(name) => {
            Reply::Checkpoint(base.checkpoints.load_checkpoint(&name).await?.map(Into::into))
        }
        Request::ResetCheckpoint(name, position) => {
            Reply::Owner(base.checkpoints.reset_checkpoint(&name, position).await?.epoch())
        }
        Request::Hello { .. } | Request::Prepare(_) | Request::Commit | Request::Wait(_) => {
            return Err(ErrorKind::Internal("this request comes at another time".to_owned()).into());
        }
    })
}
