//! A network before a DynamoDB server.

mod batch;
mod carry;
mod counts;
mod fault;
mod latency;
mod request;
mod rule;
mod size;
mod units;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use hyper::Uri;
use tokio::sync::oneshot;

use crate::error::{Context, Error, Result};
use carry::Network;
pub use counts::{Counts, Heat, OperationCounts, Partition};
pub use fault::{Fault, Refusal};
use latency::Latencies;
pub use latency::Latency;
pub use rule::{Armed, Progress, Rule};

/// A network before a DynamoDB server, which does to requests what a server in this room never does by itself, and counts them.
///
/// It works on a thread of its own, so that it can be made and dropped anywhere; nothing here waits but [`Armed::until`]. A
/// request that has arrived travels on whatever becomes of its caller, as it would in a real network. Where the server cannot be
/// reached the caller's connection is closed.
///
/// It changes requests, and asks the server for the keys of tables in the name of its callers, so it stands only before servers that do not look at
/// signatures, over plain HTTP. Answers may have a `ConsumedCapacity` that was not asked for.
///
/// ```no_run
/// use annalist_test_servers::dynamodb::{Fault, Proxy, Refusal, Rule, Server};
///
/// # fn client(url: &str) {}
/// let server = Server::start()?;
/// let proxy = Proxy::start(&server.url())?;
/// let lost = proxy.arm(Rule::on("PutItem").skip(2), Fault::LostReply);
/// let slow = proxy.arm(Rule::any().one_in(20).always(), Fault::Refused(Refusal::THROUGHPUT));
/// client(&proxy.url()); // puts three items, and answers them all
/// assert_eq!((lost.happened(), lost.progress().landed), (1, 1));
/// assert_eq!(proxy.counts().of("PutItem").requests, 4);
/// # Ok::<_, annalist_test_servers::Error>(())
/// ```
pub struct Proxy {
    network: Arc<Network>,
    address: SocketAddr,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A network before the server at this URL, as in `http://127.0.0.1:8000`, through which everything goes at first.
    ///
    /// # Errors
    ///
    /// It is no such URL, or no port can be listened on.
    pub fn start(server: &str) -> Result<Self> {
        let uri: Uri = server.parse().context(server)?;
        if uri.scheme_str() != Some("http") || uri.authority().is_none() {
            return Err(Error::new(format!("{server} is not the http:// URL of a server")));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a loopback port")?;
        listener.set_nonblocking(true).context("a loopback port")?;
        let address = listener.local_addr().context("a loopback port")?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("a runtime")?;
        let network = Arc::new(Network::new(uri));
        let (stop, stopped) = oneshot::channel::<()>();
        let carried = network.clone();
        let thread = std::thread::Builder::new().name("dynamodb proxy".to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = carry::accept(carried, listener) => {}
                    _ = stopped => {}
                }
            });
        });
        let thread = thread.context("a thread")?;
        Ok(Self { network, address, stop: Some(stop), thread: Some(thread) })
    }

    /// What clients are to take for the server's URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets a fault happen to such requests. Of several faults for one request the one that was armed first happens.
    pub fn arm(&self, rule: Rule, fault: Fault) -> Armed {
        self.network.state().rules.arm(rule, fault)
    }

    /// Disarms all faults, and releases what is held.
    pub fn heal(&self) {
        self.network.state().rules.heal();
    }

    /// How long requests take from now on.
    pub fn set_latency(&self, latency: Latency) {
        self.network.state().latencies = Latencies::new(latency);
    }

    /// What went through.
    pub fn counts(&self) -> Counts {
        self.network.state().counts.clone()
    }

    /// The same, and begins again from nothing.
    pub fn count_anew(&self) -> Counts {
        let mut state = self.network.state();
        state.counted_since = Instant::now();
        std::mem::take(&mut state.counts)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Nothing in it is left to be told.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}
