//! A network between a handle and its server that misbehaves when it is told to.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{Failure, Verdict};

mod carry;
mod state;

use state::Shared;

/// What the network does to a handle's sends and to their replies. Sends and reply bytes are counted from the moment at which the trouble is
/// armed, over all connections of the handle, from 0. A *send* is what one read from the handle's socket yields.
///
/// ```
/// use annalist_conformance::Trouble;
///
/// assert_ne!(Trouble::CutBefore(0), Trouble::CutAfter(0));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Trouble {
    /// Nothing: everything goes through.
    None,
    /// This send is lost, and with it the connection: the server sees nothing of it.
    CutBefore(u64),
    /// This send arrives. As soon as the server answers on its connection the answer is lost, and with it the connection.
    CutAfter(u64),
    /// This send arrives, and its connection stays open, but no answer ever comes.
    SilentAfter(u64),
    /// This send, and what follows it on its connection, is held up until [`Proxy::heal`] and arrives then, whatever has become of the handle
    /// in the meantime.
    Hold(u64),
    /// This many bytes of the answers arrive, then the connection is lost in the middle of them.
    CutReply(u64),
    /// The server is down: connections are lost, and new ones refused.
    Down,
    /// Connections are accepted and stay open, and nothing arrives in either direction.
    Silent,
    /// Every send arrives this much later.
    Delay(Duration),
}

/// A byte proxy in front of a server, on the loopback device. It knows no protocol.
///
/// [`Cx::proxied`](crate::Cx::proxied) puts one between a handle of its own and the server. An author of a harness rarely needs more of it than
/// what [`Harness::open_through`](crate::Harness::open_through) is given: an address.
///
/// ```
/// use annalist_conformance::{Proxy, Trouble};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let proxy = Proxy::start(server.local_addr()?).await?;
/// proxy.arm(Trouble::CutBefore(1)).await;
///
/// let mut client = tokio::net::TcpStream::connect(proxy.address()).await?;
/// let (mut accepted, _) = server.accept().await?;
/// client.write_all(b"first").await?;
/// accepted.read_exact(&mut [0; 5]).await?;
/// client.write_all(b"second").await?;
/// assert!(matches!(accepted.read(&mut [0; 6]).await, Ok(0) | Err(_)));
/// assert_eq!((proxy.sends(), proxy.fired()), (2, 1));
/// # Ok(())
/// # }
/// ```
pub struct Proxy {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy in front of the server at this address, through which everything goes at first.
    ///
    /// # Errors
    ///
    /// If no port can be listened on.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let shared = Arc::new(Shared::new(server, listener.local_addr()?));
        let accepting = tokio::spawn(carry::accept(shared.clone(), listener));
        Ok(Self { shared, accepting })
    }

    /// Where a handle is to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Replaces the trouble and counts from 0 again. What was held up goes on its way; connections on which something was lost are closed.
    pub async fn arm(&self, trouble: Trouble) {
        self.shared.arm(trouble, false).await;
    }

    /// The same, and once the trouble has happened nothing gets through any more: the server is down until [`heal`](Self::heal).
    pub async fn arm_lasting(&self, trouble: Trouble) {
        self.shared.arm(trouble, true).await;
    }

    /// Everything goes through again.
    pub async fn heal(&self) {
        self.arm(Trouble::None).await;
    }

    /// How many sends came since the trouble was armed.
    #[must_use]
    pub fn sends(&self) -> u64 {
        self.shared.look().sends
    }

    /// How often the trouble has happened since it was armed.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.shared.look().fired
    }

    /// How many bytes of answers came since the trouble was armed.
    #[must_use]
    pub fn replied(&self) -> u64 {
        self.shared.look().replied
    }

    /// Waits until the trouble has happened.
    pub async fn until_fired(&self) {
        self.shared.until(|state| state.fired > 0).await;
    }

    /// Sees to it that the trouble has happened: without that, a check that provokes it tells nothing.
    ///
    /// # Errors
    ///
    /// [`Failure::Inconclusive`].
    pub fn has_fired(&self, when: &str) -> Verdict {
        if self.fired() > 0 {
            return Ok(());
        }
        let sends = self.sends();
        Err(Failure::Inconclusive(format!(
            "{when}: after {sends} sends through the proxy the fault has not happened"
        )))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.shared.address).finish_non_exhaustive()
    }
}
