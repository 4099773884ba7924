//! PgBouncer, through which many reach their PostgreSQL.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::account::Account;
use crate::debian::{install as apt, missing};
use crate::error::{Context, Result};
use crate::keeper::{Keeper, Launch, log_has, on_path};
use crate::port;
use crate::postgres::{SUPERUSER, SYSTEM_USER, Server};

/// Debian's place for it, which is not on the `PATH` of all users.
const DEBIAN: &str = "/usr/sbin/pgbouncer";

/// A private PgBouncer in transaction mode before one server: two statements of one connection may run in different sessions,
/// unless a transaction holds them together. It ends with its handle.
///
/// All else is as PgBouncer has it by default; so it refuses parameters at the start of a connection that it does not know, as in `extra_float_digits`.
#[derive(Debug)]
pub struct PgBouncer {
    /// Held for its end.
    _keeper: Keeper,
    address: SocketAddr,
    password: String,
}

impl PgBouncer {
    /// Starts one, and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// One line that says what to install if there is no PgBouncer; otherwise what it says.
    pub fn start(server: &Server) -> Result<Self> {
        Self::start_on(server, port::free)
    }

    fn start_on(server: &Server, port: impl FnMut() -> Result<SocketAddr>) -> Result<Self> {
        let program = program().ok_or_else(|| missing("pgbouncer"))?;
        let account = Account::or_system(SYSTEM_USER)?;
        let folder = account.folder(None)?;
        let (settings, users) = (folder.path().join("pgbouncer.ini"), folder.path().join("users"));
        let password = server.password().to_owned();
        write(account, &users, &format!("\"{SUPERUSER}\" \"{password}\"\n"))?;
        // It has nothing to clean up.
        let launch =
            Launch { account, end_signal: Signal::KILL, program: &program, args: vec![(&settings).into()] };
        let mut keeper = Keeper::new(launch, folder)?;
        let configure = |address| write(account, &settings, &ini(server.address(), address, &users));
        let address = keeper.start_on(port, configure, |_, folder| log_has(folder, "process up"))?;
        Ok(Self { _keeper: keeper, address, password })
    }

    /// As the server's, by way of the pool.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The same with another database.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@{}/{database}", self.password, self.address)
    }
}

/// Installs Debian's package unless there is a PgBouncer already, without starting the system's. Only root can.
///
/// # Errors
///
/// One line that says what to install, where we may not or `apt-get` could not.
pub fn install() -> Result<()> {
    if program().is_some() { Ok(()) } else { apt("pgbouncer") }
}

fn program() -> Option<PathBuf> {
    let debian = PathBuf::from(DEBIAN);
    if debian.is_file() { Some(debian) } else { on_path("pgbouncer") }
}

fn ini(server: SocketAddr, address: SocketAddr, users: &Path) -> String {
    let users = users.display();
    format!(
        "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\nunix_socket_dir =\n\
         pool_mode = transaction\nmax_client_conn = 1000\nauth_type = scram-sha-256\nauth_file = {users}\n",
        server.ip(),
        server.port(),
        address.ip(),
        address.port(),
    )
}

fn write(account: Account, file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).context(file.display())?;
    account.own(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::Settings;

    #[test]
    fn a_port_that_somebody_took_is_not_the_last_tried() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ports = vec![port::free().unwrap(), taken.local_addr().unwrap()];
        let server = Server::start(Settings::default()).unwrap();
        let pool = PgBouncer::start_on(&server, || Ok(ports.pop().unwrap())).unwrap();
        assert_ne!(pool.address, taken.local_addr().unwrap());
        assert!(ports.is_empty());
    }
}
