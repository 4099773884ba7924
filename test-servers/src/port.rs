//! Free ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rand::Rng;

use crate::error::{Error, Result};

/// Below those that systems give to outgoing connections (from 32768 on Linux, 49152 elsewhere). A server that was killed must
/// get its port again; one of those could by then belong to a client, even to one that connected to itself.
const RANGE: std::ops::Range<u16> = 15_000..32_000;

const TRIES: usize = 100;

/// A loopback address on which nobody listens now. Another may be faster than the server for which it is meant.
pub(crate) fn free() -> Result<SocketAddr> {
    let mut random = rand::rng();
    (0..TRIES)
        .map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, random.random_range(RANGE))))
        .find(|address| TcpListener::bind(address).is_ok())
        .ok_or_else(|| Error::new("there is no free loopback port"))
}
