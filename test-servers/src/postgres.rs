//! PostgreSQL.

mod programs;
mod template;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal};

use crate::account::{Account, answer, output, plain};
use crate::error::{Context, Result};
use crate::keeper::{Keeper, Launch};
use crate::left::Left;
use crate::port;
use programs::Programs;
pub use programs::install;

/// The user that `url` names.
pub(crate) const SUPERUSER: &str = "postgres";

/// The user whom Debian's package makes.
pub(crate) const SYSTEM_USER: &str = "postgres";

/// What every server has beside PostgreSQL's defaults. Its sockets would need a short path.
const LINES: &str = "\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300";

/// How a server differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    lines: Vec<String>,
    folder: Option<PathBuf>,
}

impl Settings {
    /// One more line of `postgresql.conf`; of two for one setting the later holds.
    pub fn with_line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Transactions are read-only unless they say otherwise.
    pub fn read_only(self) -> Self {
        self.with_line("default_transaction_read_only = on")
    }

    /// Where the server's own folder is made, instead of in `TMPDIR` or `/var/tmp`. A new cluster takes 40 MB.
    pub fn in_folder(mut self, parent: impl Into<PathBuf>) -> Self {
        self.folder = Some(parent.into());
        self
    }
}

/// A private server. It ends with its handle, and its data with it.
///
/// Encoding UTF8, locale C, 300 connections, passwords (`scram-sha-256`) on the loopback port, no Unix socket; all else as PostgreSQL
/// has it by default, durability above all.
#[derive(Debug)]
pub struct Server {
    keeper: Mutex<Keeper>,
    programs: Programs,
    address: SocketAddr,
    password: String,
    data: PathBuf,
}

impl Server {
    /// Starts a server with an empty cluster, and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// One line that says what to install if there is no PostgreSQL; otherwise what the server says.
    pub fn start(settings: Settings) -> Result<Self> {
        Self::start_on(settings, port::free)
    }

    fn start_on(settings: Settings, port: impl FnMut() -> Result<SocketAddr>) -> Result<Self> {
        let programs = Programs::find()?;
        let account = Account::or_system(SYSTEM_USER)?;
        let folder = account.folder(settings.folder.as_deref())?;
        let data = folder.path().join("data");
        let program = programs.path("postgres");
        let args = vec!["-D".into(), data.clone().into()];
        // An immediate shutdown: the data is not needed again, what is shared with other processes is freed.
        let launch = Launch { account, end_signal: Signal::QUIT, program: &program, args };
        // The keeper comes first: from now on nothing stays behind, whatever happens to us.
        let mut keeper = Keeper::new(launch, folder)?;
        let password = template::unpack(&programs, account, keeper.folder())?;
        configure(&data, &format!("{LINES}\n{}", settings.lines.join("\n")))?;
        let configure = |address: SocketAddr| configure(&data, &format!("port = {}", address.port()));
        let address = keeper.start_on(port, configure, is_ready)?;
        Ok(Self { keeper: Mutex::new(keeper), programs, address, password, data })
    }

    /// `postgres://user:password@127.0.0.1:port/postgres`, for the superuser.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The same with another database.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@{}/{database}", self.password, self.address)
    }

    /// Where it listens; the same after a restart.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Product and version, as in `PostgreSQL 15.18`.
    pub fn version(&self) -> String {
        let number = self.programs.version.split(' ').next().unwrap_or_default();
        format!("PostgreSQL {number}")
    }

    /// Makes an empty database.
    pub fn create_database(&self, name: &str) -> Result<()> {
        self.sql(&format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""))).map(drop)
    }

    /// Runs statements by `psql` in the database `postgres`; each commits for itself. What they return comes as lines, columns separated by `|`.
    pub fn sql(&self, statements: &str) -> Result<String> {
        self.sql_in("postgres", statements)
    }

    /// The same in another database.
    pub fn sql_in(&self, database: &str, statements: &str) -> Result<String> {
        psql(&self.programs, &self.url_of(database), statements)
    }

    /// Ends it without a chance to do anything more: `SIGKILL` to all its processes, which have ended when this returns.
    pub fn kill(&self) -> Result<()> {
        let mut keeper = self.keeper();
        keeper.kill()?;
        release_memory(&self.data);
        Ok(())
    }

    /// Starts it again on the same data and port, after it was killed or stopped, and waits until it accepts connections. One that
    /// still runs is stopped first.
    pub fn restart(&self) -> Result<()> {
        let mut keeper = self.keeper();
        if keeper.is_running() {
            shut_down(&mut keeper)?;
        }
        keeper.start(is_ready)
    }

    /// Ends it in good order (a *fast* shutdown: connections are cut, what was committed is on the disk).
    pub fn stop(&self) -> Result<()> {
        shut_down(&mut self.keeper())
    }

    /// All its processes stand still; connections stay open, new ones wait.
    pub fn pause(&self) -> Result<()> {
        self.keeper().pause()
    }

    /// They go on.
    pub fn resume(&self) -> Result<()> {
        self.keeper().resume()
    }

    /// Whether its first process lives, be it paused.
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

    /// The folder with its data, for those who want to measure or to harm it.
    pub fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// A test that panicked with it has broken nothing that the next caller relies on.
    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shut_down(keeper: &mut Keeper) -> Result<()> {
    keeper.resume()?;
    keeper.end(Signal::INT)
}

/// Whether this very process has said in its lock file that it accepts connections.
fn is_ready(server: Pid, folder: &Path) -> bool {
    let file = std::fs::read_to_string(lock_file(&folder.join("data"))).unwrap_or_default();
    let mut lines = file.lines();
    lines.next() == Some(&server.as_raw_nonzero().to_string()) && lines.nth(6).map(str::trim) == Some("ready")
}

/// A killed server leaves a small piece of shared memory, by whose users the next start knows whether all have gone. They have, and
/// the system has room for few of them.
fn release_memory(data: &Path) {
    let file = std::fs::read_to_string(lock_file(data)).unwrap_or_default();
    if let Some(id) = file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
        // Without `ipcrm` it stays; no test depends on that.
        let _ = output(plain("ipcrm").args(["-m", id]));
    }
}

/// Process, folder, times, port and state of a server that runs or was killed.
fn lock_file(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

fn psql(programs: &Programs, url: &str, statements: &str) -> Result<String> {
    let mut psql = plain(programs.path("psql"));
    psql.args([
        "--no-psqlrc",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--set=ON_ERROR_STOP=1",
        "--file=-",
        url,
    ]);
    answer(&mut psql, statements)
}

/// Appends to `postgresql.conf`, where the last line for a setting holds.
fn configure(data: &Path, lines: &str) -> Result<()> {
    let file = data.join("postgresql.conf");
    let mut file = OpenOptions::new().append(true).open(&file).context(file.display())?;
    writeln!(file, "{lines}").context("postgresql.conf")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_took_is_not_the_last_tried() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ports = vec![port::free().unwrap(), taken.local_addr().unwrap()];
        let server = Server::start_on(Settings::default(), || Ok(ports.pop().unwrap())).unwrap();
        assert_ne!(server.address(), taken.local_addr().unwrap());
        assert_eq!(server.sql("SHOW port").unwrap(), server.address().port().to_string());
    }

    #[test]
    fn a_killed_server_leaves_no_shared_memory() {
        let server = Server::start(Settings::default()).unwrap();
        let id = || {
            let file = std::fs::read_to_string(lock_file(&server.data)).unwrap();
            file.lines().nth(6).unwrap().split_whitespace().nth(1).unwrap().to_owned()
        };
        let known =
            |id: &str| output(plain("ipcs").args(["-m", "-i", id])).is_ok_and(|o| !o.stdout.is_empty());
        let id = id();
        assert!(known(&id));
        server.kill().unwrap();
        assert!(!known(&id));
        server.restart().unwrap();
    }
}
