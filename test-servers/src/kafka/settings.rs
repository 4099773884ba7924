//! A server's own settings.

use std::net::SocketAddr;
use std::path::Path;

use crate::error::{Context, Error, Result};
use crate::port;

/// What all servers have.
const COMMON: &str = include_str!("server.properties");

/// Writes the file that a broker is started with: where clients reach it, and a free port at which it reaches its controller.
pub(crate) fn write(file: &Path, data: &Path, clients: SocketAddr) -> Result<()> {
    let controller = other_than(clients)?;
    let own = format!(
        "listeners=CLIENTS://{clients},CONTROLLER://{controller}\n\
         advertised.listeners=CLIENTS://{clients}\n\
         controller.quorum.voters=1@{controller}\n\
         log.dirs={}\n",
        data.display()
    );
    std::fs::write(file, format!("{COMMON}\n{own}")).context(file.display())
}

/// The first that is found may be the one that the server is about to take.
fn other_than(address: SocketAddr) -> Result<SocketAddr> {
    let found = [port::free()?, port::free()?];
    found.into_iter().find(|free| *free != address).ok_or_else(|| Error::new("there is one free port alone"))
}
