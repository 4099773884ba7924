//! Where a server is, as its URL says it.

use std::net::SocketAddr;

/// A URL in its parts: before the host, host and port, after the port.
fn parts(url: &str) -> (&str, &str, &str) {
    let host = url.rfind('@').map_or_else(|| url.find("//").map_or(0, |at| at + 2), |at| at + 1);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    (&url[..host], &url[host..end], &url[end..])
}

/// Where the server of a URL listens.
pub fn address(url: &str) -> Result<SocketAddr, String> {
    use std::net::ToSocketAddrs;
    let (_, host, _) = parts(url);
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:5432") };
    let found = host.to_socket_addrs().map_err(|error| format!("{host}: {error}"))?.next();
    found.ok_or_else(|| format!("{host} has no address"))
}

/// The same URL with another address.
pub fn through(url: &str, address: SocketAddr) -> String {
    let (before, _, after) = parts(url);
    format!("{before}{address}{after}")
}

/// The password in a URL.
pub fn password(url: &str) -> Option<String> {
    let (before, _, _) = parts(url);
    let (_, user) = before.split_once("//")?;
    let (_, password) = user.trim_end_matches('@').split_once(':')?;
    Some(password.to_owned())
}
