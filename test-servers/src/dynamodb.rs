//! DynamoDB, as `dynoxide` has it: a server of the same interface on SQLite, which a public suite compares with AWS's.
//!
//! It holds AWS's limits (an item of 400 KB, 25 items of a batch write, 100 keys and 16 MB of a batch read, pages of 1 MB) and
//! counts capacity as AWS does. By itself it never throttles, never fails, leaves no item of a batch write undone and reads
//! strongly whatever it is asked for. It wants a signed request, but looks at neither signature, credentials nor region.

mod program;
#[cfg(feature = "dynamodb-proxy")]
mod proxy;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;

use crate::account::{Account, in_memory, output, plain, text};
use crate::error::{Context, Result};
use crate::keeper::{Keeper, Launch, log_count, log_has};
use crate::left::Left;
use crate::port;
pub use program::install;
#[cfg(feature = "dynamodb-proxy")]
pub use proxy::{
    Armed, Counts, Fault, Heat, Latency, OperationCounts, Partition, Progress, Proxy, Refusal, Rule,
};

/// What it prints as soon as it accepts connections.
const READY: &str = "Dynoxide listening on";

/// The keeper's command is the same for every start, and the port is known only then. The folder is what [`Left`] knows it by.
const COMMAND: &str = r#"exec "$0" serve --port "$(cat "$1/port")" --db-path "$1/data""#;

/// A private server. It ends with its handle, and its data with it.
///
/// What it answered a kill does not lose. Its tables are in a file system in memory where there is one with room, else on a disk: what the service
/// does for durability a server on one machine cannot show, and a disk would hold up each of its writes.
///
/// ```no_run
/// use annalist_test_servers::dynamodb::Server;
///
/// let server = Server::start()?;
/// assert!(server.url().starts_with("http://127.0.0.1:"));
/// server.kill()?;
/// server.restart()?;
/// # Ok::<_, annalist_test_servers::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    keeper: Mutex<Keeper>,
    address: SocketAddr,
    version: String,
}

impl Server {
    /// Starts a server without tables, and waits until it accepts connections. Where it is not installed, [`install`] comes first.
    ///
    /// # Errors
    ///
    /// What [`install`] says; otherwise what the server says.
    pub fn start() -> Result<Self> {
        Self::start_on(port::free)
    }

    fn start_on(port: impl FnMut() -> Result<SocketAddr>) -> Result<Self> {
        let program = program::installed()?;
        let version = text(&output(plain(&program).arg("--version"))?);
        let account = Account::ourselves();
        let folder = account.folder(in_memory().as_deref())?;
        let shell = Path::new("/bin/sh");
        let args = vec!["-c".into(), COMMAND.into(), program.into(), folder.path().into()];
        // Its data is not needed again.
        let launch = Launch { account, end_signal: Signal::KILL, program: shell, args };
        let mut keeper = Keeper::new(launch, folder)?;
        let port_file = keeper.folder().join("port");
        let configure = |address: SocketAddr| {
            std::fs::write(&port_file, address.port().to_string()).context(port_file.display())
        };
        let address = keeper.start_on(port, configure, |_, folder| log_has(folder, READY))?;
        Ok(Self { keeper: Mutex::new(keeper), address, version })
    }

    /// `http://127.0.0.1:port`, which AWS's tools and libraries call an endpoint. They must be given some region and credentials, too.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens; the same after a restart.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Product and version, as in `dynoxide 1.5.0`.
    pub fn version(&self) -> String {
        self.version.clone()
    }

    /// Ends it without a chance to do anything more; it has ended when this returns.
    pub fn kill(&self) -> Result<()> {
        self.keeper().kill()
    }

    /// Starts it again on the same data and port, after it was killed or stopped, and waits until it accepts connections. One that
    /// still runs is stopped first.
    pub fn restart(&self) -> Result<()> {
        let mut keeper = self.keeper();
        if keeper.is_running() {
            shut_down(&mut keeper)?;
        }
        let before = log_count(keeper.folder(), READY);
        keeper.start(|_, folder| log_count(folder, READY) > before)
    }

    /// Ends it in good order: what it is asked already it answers.
    pub fn stop(&self) -> Result<()> {
        shut_down(&mut self.keeper())
    }

    /// It stands still; connections stay open, new ones wait.
    pub fn pause(&self) -> Result<()> {
        self.keeper().pause()
    }

    /// It goes on.
    pub fn resume(&self) -> Result<()> {
        self.keeper().resume()
    }

    /// Whether it lives, be it paused.
    pub fn is_running(&self) -> bool {
        self.keeper().is_running()
    }

    /// Lets it stay when this process ends; what is returned can end it later.
    ///
    /// # Errors
    ///
    /// It is not running. Then, too, it is gone.
    pub fn leave(self) -> Result<Left> {
        self.keeper.into_inner().unwrap_or_else(PoisonError::into_inner).leave()
    }

    /// A test that panicked with it has broken nothing that the next caller relies on.
    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shut_down(keeper: &mut Keeper) -> Result<()> {
    keeper.resume()?;
    keeper.end(Signal::TERM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_took_is_not_the_last_tried() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ports = vec![port::free().unwrap(), taken.local_addr().unwrap()];
        let server = Server::start_on(|| Ok(ports.pop().unwrap())).unwrap();
        assert_ne!(server.address(), taken.local_addr().unwrap());
        assert!(ports.is_empty());
    }
}
