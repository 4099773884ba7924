//! Apache Kafka: one node, broker and controller at once.

mod classes;
mod programs;
mod settings;
mod template;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;

use crate::account::Account;
use crate::error::Result;
use crate::keeper::{Keeper, Launch, log_count, log_has};
use crate::left::Left;
use crate::port;
use programs::Programs;
pub use programs::install;

/// What it prints once it has joined its cluster and serves clients.
const READY: &str = "Kafka Server started";

/// A private server. It ends with its handle, and its data with it.
///
/// No topics, and none that comes into being by being named; every record is on the disk before it is acknowledged
/// (`flush.messages=1`, which a topic of its own may set otherwise), and a kill loses none. All else that a client could notice is as
/// Kafka has it by default. Heap 256 MB. Neither passwords nor TLS.
///
/// ```no_run
/// use annalist_test_servers::kafka::Server;
///
/// let server = Server::start()?;
/// assert!(server.url().starts_with("kafka://127.0.0.1:"));
/// server.kill()?;
/// server.restart()?;
/// # Ok::<_, annalist_test_servers::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    keeper: Mutex<Keeper>,
    address: SocketAddr,
    data: PathBuf,
}

impl Server {
    /// Starts a server without topics, and waits until it serves clients, about 2 s. Where it is not installed, [`install`] comes first.
    ///
    /// # Errors
    ///
    /// What [`install`] says; otherwise what the server says.
    pub fn start() -> Result<Self> {
        Self::start_on(None, port::free)
    }

    /// The same with its own folder made in `parent`, instead of in `TMPDIR` or `/var/tmp`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_in(parent: &Path) -> Result<Self> {
        Self::start_on(Some(parent), port::free)
    }

    fn start_on(parent: Option<&Path>, port: impl FnMut() -> Result<SocketAddr>) -> Result<Self> {
        let programs = Programs::installed()?;
        let option =
            classes::option(&programs, |option| Self::launch(&programs, option, None, port::free)?.stop())?;
        Self::launch(&programs, option, parent, port)
    }

    fn launch(
        programs: &Programs,
        option: OsString,
        parent: Option<&Path>,
        port: impl FnMut() -> Result<SocketAddr>,
    ) -> Result<Self> {
        let account = Account::ourselves();
        let folder = account.folder(parent)?;
        let (data, file) = (folder.path().join("data"), folder.path().join("server.properties"));
        // The file's path, with the folder in it, is what `Left` knows it by.
        let mut args = programs.args(Some(option), "kafka.Kafka");
        args.push(file.clone().into());
        // Its data is not needed again.
        let launch = Launch { account, end_signal: Signal::KILL, program: &programs.java, args };
        let mut keeper = Keeper::new(launch, folder)?;
        template::unpack(programs, &data)?;
        let configure = |clients: SocketAddr| settings::write(&file, &data, clients);
        let address = keeper.start_on(port, configure, |_, folder| log_has(folder, READY))?;
        Ok(Self { keeper: Mutex::new(keeper), address, data })
    }

    /// `kafka://127.0.0.1:port`; what follows the slashes is what Kafka's tools and libraries call bootstrap servers.
    pub fn url(&self) -> String {
        format!("kafka://{}", self.address)
    }

    /// Where it listens; the same after a restart.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Product and version, as in `Apache Kafka 4.3.1`.
    pub fn version(&self) -> String {
        format!("Apache Kafka {}", programs::version())
    }

    /// Ends it without a chance to do anything more; it has ended when this returns.
    pub fn kill(&self) -> Result<()> {
        self.keeper().kill()
    }

    /// Starts it again on the same data and port, after it was killed or stopped, and waits until it serves clients. One that
    /// still runs is stopped first. After a kill it takes up to a second more, until the session of the killed one has run out.
    ///
    /// As after any start of a broker, a partition may for a moment have no leader: clients ask again.
    pub fn restart(&self) -> Result<()> {
        let mut keeper = self.keeper();
        if keeper.is_running() {
            shut_down(&mut keeper)?;
        }
        let before = log_count(keeper.folder(), READY);
        keeper.start(|_, folder| log_count(folder, READY) > before)
    }

    /// Ends it in good order: it says goodbye to its cluster, and has nothing to recover at its next start.
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

    /// The folder with its data, a folder for each partition (`topic-0`), for those who want to measure or to harm it.
    pub fn data(&self) -> &Path {
        &self.data
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
        let server = Server::start_on(None, || Ok(ports.pop().unwrap())).unwrap();
        assert_ne!(server.address(), taken.local_addr().unwrap());
        assert!(ports.is_empty());
    }
}
