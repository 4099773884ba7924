//! Another way to a broker.
//!
//! A broker tells its clients where it is, and they go there, past any proxy that they were given. So whatever comes from it goes through here, and
//! its own address is replaced by that of this way: `127.0.0.1` and a port, which have as many bytes as what they replace.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Ends with its handle, and all connections with it.
pub struct Way {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Way {
    /// A way to the broker at `broker` that leads through `through`.
    pub async fn open(broker: SocketAddr, through: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut carried = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                carried.spawn(carry(client, through, told(broker), told(address)));
                while carried.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, task })
    }
}

/// An address as the protocol has it: the text of the host, then four bytes of port.
fn told(address: SocketAddr) -> Vec<u8> {
    let mut told = address.ip().to_string().into_bytes();
    told.extend_from_slice(&u32::from(address.port()).to_be_bytes());
    told
}

async fn carry(client: TcpStream, through: SocketAddr, is: Vec<u8>, shall_be: Vec<u8>) {
    let Ok(server) = TcpStream::connect(through).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // Where one direction ends, the connection does.
    tokio::select! {
        () = copy(from_client, to_server, &[], &[]) => {}
        () = copy(from_server, to_client, &is, &shall_be) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is: &[u8], shall_be: &[u8]) {
    let (mut bytes, mut held) = (vec![0; 64 * 1024], Vec::new());
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        held.extend_from_slice(&bytes[..read]);
        replace(&mut held, is, shall_be);
        // The end may be the beginning of what is replaced.
        let kept =
            (0..is.len().min(held.len() + 1)).rev().find(|len| held.ends_with(&is[..*len])).unwrap_or(0);
        let rest = held.split_off(held.len() - kept);
        if to.write_all(&held).await.is_err() {
            return;
        }
        held = rest;
    }
}

fn replace(bytes: &mut [u8], is: &[u8], shall_be: &[u8]) {
    if is.is_empty() {
        return;
    }
    let mut at = 0;
    while at + is.len() <= bytes.len() {
        if bytes[at..].starts_with(is) {
            bytes[at..at + is.len()].copy_from_slice(shall_be);
            at += is.len();
        } else {
            at += 1;
        }
    }
}
