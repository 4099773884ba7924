//! Connections: each is used for one thing at a time, and none that lost a reply is used again.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use annalist_core::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::wire::{Reply, Request, framed, receive};
use super::{Config, Habit};
use crate::faulty::unavailable;

/// One connection, of which the server knows who is there.
pub struct Line(BufReader<TcpStream>);

/// Why there is no reply.
#[derive(Debug)]
pub struct Lost {
    /// Whether the request may have arrived.
    pub may_have_left: bool,
    pub error: Error,
}

impl Lost {
    fn not_sent(error: Error) -> Self {
        Self { may_have_left: false, error }
    }

    fn unknown(error: Error) -> Self {
        Self { may_have_left: true, error }
    }
}

impl Line {
    async fn open(address: SocketAddr, namespace: &str) -> Result<Self, Error> {
        let failed = |error: std::io::Error| unavailable("no connection to the server").with_source(error);
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let mut line = Self(BufReader::new(stream));
        let (namespace, password) = (namespace.to_owned(), super::PASSWORD.to_owned());
        match line.ask(&Request::Hello { namespace, password }).await.map_err(failed)? {
            Reply::Done => Ok(line),
            Reply::Refused(error) => Err(error.into()),
            _ => Err(unexpected()),
        }
    }

    /// Sends a request, and waits for its reply. A line whose reply did not come must not be used again.
    pub async fn ask(&mut self, request: &Request) -> std::io::Result<Reply> {
        self.0.write_all(&framed(request)).await?;
        receive(&mut self.0).await
    }

    /// Whether it is still there, and nothing came on it unasked.
    fn is_quiet(&self) -> bool {
        let nothing = self.0.get_ref().try_read(&mut [0]);
        self.0.buffer().is_empty()
            && nothing.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// The connections of one handle.
pub struct Pool {
    address: SocketAddr,
    namespace: String,
    idle: Mutex<Vec<Line>>,
    permits: Semaphore,
    habit: Habit,
    connected: AtomicBool,
}

impl Pool {
    pub fn new(address: SocketAddr, namespace: &str, config: Config) -> Self {
        let (idle, permits) = (Mutex::default(), Semaphore::new(config.connections_max));
        let (namespace, connected) = (namespace.to_owned(), AtomicBool::new(false));
        Self { address, namespace, idle, permits, habit: config.habit, connected }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection: one that is there, or a new one.
    pub async fn line(&self) -> Result<Line, Error> {
        loop {
            let idle = self.idle().pop();
            match idle {
                Some(line) if line.is_quiet() || self.habit == Habit::KeepsLost => return Ok(line),
                Some(_) => self.lost(),
                None if self.connected.load(Ordering::SeqCst) => {
                    return Err(unavailable("the connection is lost"));
                }
                None => return Line::open(self.address, &self.namespace).await,
            }
        }
    }

    /// Takes a connection back on which everything that was asked has been answered.
    pub fn give_back(&self, line: Line) {
        self.idle().push(line);
    }

    /// A connection was lost.
    pub fn lost(&self) {
        self.connected.store(self.habit == Habit::ConnectsOnce, Ordering::SeqCst);
    }

    /// What becomes of a connection that lost a reply.
    pub fn drop_lost(&self, line: Line) {
        match self.habit {
            Habit::KeepsLost => self.give_back(line),
            Habit::Good | Habit::ConnectsOnce => self.lost(),
        }
    }

    /// Whether there is one that is not in use.
    pub fn is_connected(&self) -> bool {
        self.idle().iter().any(Line::is_quiet)
    }

    /// Closes what is not in use.
    pub fn clear(&self) {
        self.idle().clear();
    }

    /// Asks once.
    pub async fn ask(&self, request: &Request, until: Instant) -> Result<Reply, Lost> {
        let late = |what: &str| unavailable(&format!("no {what} in time"));
        let permit = timeout_at(until, self.permits.acquire()).await;
        let _permit = permit.map_err(|_| Lost::not_sent(late("free connection")))?;
        self.ask_now(request, until).await
    }

    /// Asks once, on a connection that counts for nobody else.
    pub async fn ask_now(&self, request: &Request, until: Instant) -> Result<Reply, Lost> {
        let late = |what: &str| unavailable(&format!("no {what} in time"));
        let line = timeout_at(until, self.line()).await;
        let mut line = line.unwrap_or_else(|_| Err(late("connection"))).map_err(Lost::not_sent)?;
        match timeout_at(until, line.ask(request)).await {
            Ok(Ok(reply)) => {
                self.give_back(line);
                Ok(reply)
            }
            Ok(Err(error)) => {
                self.drop_lost(line);
                Err(Lost::unknown(unavailable("the connection was lost").with_source(error)))
            }
            Err(_) => Err(Lost::unknown(late("reply"))),
        }
    }
}

/// The server answers something that has nothing to do with the question.
pub fn unexpected() -> Error {
    ErrorKind::Internal("the server does not keep to the protocol".to_owned()).into()
}
