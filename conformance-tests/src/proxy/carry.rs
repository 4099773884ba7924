//! Carrying the bytes of one connection, in both directions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::state::{Shared, State, Step};

/// How much one read takes; what is larger counts as several sends.
const SEND_BYTES_MAX: usize = 64 * 1024;

/// How many connections wait to be let in.
const BACKLOG: u32 = 1_024;

/// Lets connections in until it is dropped, and all of them with it.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    let mut listener = Some(listener);
    loop {
        while connections.try_join_next().is_some() {}
        let Some(open) = &listener else {
            // Bound and not listened on: connections are refused, and nobody else gets the port.
            let Ok(bound) = bind(shared.address) else {
                // A passing connection of another process has the port.
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            shared.change(|state| state.listens = false);
            shared.until(|state| !state.down).await;
            listener = bound.listen(BACKLOG).ok();
            shared.change(|state| state.listens = listener.is_some());
            continue;
        };
        let accepted = tokio::select! {
            accepted = open.accept() => Some(accepted),
            () = shared.until(|state| state.down) => None,
        };
        match accepted {
            None => listener = None,
            Some(Ok((client, _))) => {
                if shared.let_in() {
                    connections.spawn(carry(shared.clone(), client));
                }
            }
            // The client was gone before it was accepted.
            Some(Err(_)) => tokio::task::yield_now().await,
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// One connection.
struct Line {
    shared: Arc<Shared>,
    /// Answers are not let through.
    mute: AtomicBool,
    /// The first answer ends it.
    cut_at_answer: AtomicBool,
    /// It stays although the server is down: what was sent on it arrives, or its answer is kept back.
    stays: AtomicBool,
    /// The arming under which something was lost on it, so that it cannot go on under another one.
    lost_under: AtomicU64,
}

const NOTHING_LOST: u64 = u64::MAX;

/// The connection is lost, at both ends.
struct Cut;

async fn carry(shared: Arc<Shared>, client: TcpStream) {
    let Ok(server) = TcpStream::connect(shared.server).await else { return };
    // Without it small sends travel together, and are no longer counted one by one. Where it fails the connection is gone.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let line = Line {
        shared,
        mute: AtomicBool::new(false),
        cut_at_answer: AtomicBool::new(false),
        stays: AtomicBool::new(false),
        lost_under: AtomicU64::new(NOTHING_LOST),
    };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        _ = line.both(from_client, to_server, from_server, to_client) => {}
        () = line.until_dead() => {}
    }
}

impl Line {
    /// Carries until both ends are done with it, or it is cut.
    async fn both(
        &self,
        from_client: OwnedReadHalf,
        to_server: OwnedWriteHalf,
        from_server: OwnedReadHalf,
        to_client: OwnedWriteHalf,
    ) -> Result<(), Cut> {
        let (sends, replies) = (self.sends(from_client, to_server), self.replies(from_server, to_client));
        tokio::try_join!(sends, replies).map(drop)
    }

    async fn until_dead(&self) {
        let dead = |state: &State| {
            let lost = self.lost_under.load(Ordering::SeqCst);
            let stays = self.stays.load(Ordering::SeqCst);
            (state.down && !stays) || (lost != NOTHING_LOST && lost != state.armed)
        };
        self.shared.until(dead).await;
    }

    fn something_lost(&self) {
        self.lost_under.store(self.shared.look().armed, Ordering::SeqCst);
    }

    async fn sends(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> Result<(), Cut> {
        let mut buffer = vec![0; SEND_BYTES_MAX];
        loop {
            // A client that is gone, in whatever way, is one that has no more to send: what it sent still arrives.
            let bytes = from.read(&mut buffer).await.unwrap_or(0);
            if bytes == 0 {
                let _ = to.shutdown().await;
                return Ok(());
            }
            match self.shared.send(&self.stays) {
                Step::Cut => return Err(Cut),
                Step::Swallow => {
                    self.something_lost();
                    continue;
                }
                Step::Forward => {}
                Step::ForwardThenCut => self.cut_at_answer.store(true, Ordering::SeqCst),
                Step::ForwardThenSilence => {
                    self.mute.store(true, Ordering::SeqCst);
                    self.something_lost();
                }
                Step::Hold(armed) => {
                    self.shared.until(|state| state.armed != armed).await;
                    self.stays.store(false, Ordering::SeqCst);
                }
                Step::Later(long) => tokio::time::sleep(long).await,
            }
            to.write_all(&buffer[..bytes]).await.map_err(|_| Cut)?;
        }
    }

    async fn replies(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> Result<(), Cut> {
        let mut buffer = vec![0; SEND_BYTES_MAX];
        loop {
            let bytes = from.read(&mut buffer).await.unwrap_or(0);
            if self.cut_at_answer.load(Ordering::SeqCst) {
                self.shared.answer_lost();
                return Err(Cut);
            }
            if bytes == 0 {
                let _ = to.shutdown().await;
                return Ok(());
            }
            if self.mute.load(Ordering::SeqCst) || self.shared.is_silent() {
                self.something_lost();
                continue;
            }
            let arrive = self.shared.reply(bytes);
            // A client that is gone does not keep its server from saying what it has to.
            let _ = to.write_all(&buffer[..arrive]).await;
            if arrive < bytes {
                return Err(Cut);
            }
        }
    }
}
