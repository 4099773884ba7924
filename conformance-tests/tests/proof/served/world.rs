//! The worlds of served stores, in the proof itself and in its agents.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use annalist_conformance::{BoxError, Disk, HookError, Opened, Server as OwnServer};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::ADDRESS;
use super::client::{Client, Honest, Opening};
use super::own_server::{Fate, Mortal, Spared};
use crate::bug::Bug;
use crate::remote::{Config, RemoteStore, Server};
use crate::world::World;

/// A server and the clients of one process. In an agent the server is the one of the proof.
pub struct Served {
    server: OnceCell<Server>,
    client: Arc<dyn Client>,
    fate: fn() -> Arc<dyn Fate>,
    /// Whether agents are told where the server is.
    told: bool,
}

/// Served stores with this client in each process.
pub fn served<C: Client>(client: C) -> Arc<dyn World> {
    Arc::new(Served::of(client, || Arc::new(Spared)))
}

/// Served stores whose clients are honest, and whose servers are not.
pub fn with_fate(fate: fn() -> Arc<dyn Fate>) -> Arc<dyn World> {
    Arc::new(Served::of(Honest, fate))
}

impl Served {
    fn of(client: impl Client, fate: fn() -> Arc<dyn Fate>) -> Self {
        Self { server: OnceCell::new(), client: Arc::new(client), fate, told: true }
    }

    /// The same with agents that each have a server of their own.
    pub fn apart() -> Arc<dyn World> {
        Arc::new(Self { told: false, ..Self::of(Honest, || Arc::new(Spared)) })
    }

    async fn server(&self) -> io::Result<&Server> {
        self.server.get_or_try_init(Server::start).await
    }

    async fn mortal(&self) -> Result<Mortal, HookError> {
        let server = Mortal::start((self.fate)(), self.client.clone()).await;
        server.map_err(|error| HookError::Failed(error.into()))
    }

    /// Where the server of all processes is.
    async fn place(&self) -> Result<SocketAddr, BoxError> {
        match std::env::var(ADDRESS) {
            Ok(address) if self.told => Ok(address.parse()?),
            _ => Ok(self.server().await?.address()),
        }
    }
}

struct NoBug;

impl Bug for NoBug {}

#[async_trait]
impl World for Served {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        Arc::new(NoBug)
    }

    async fn open(&self, namespace: &str, honest: MemoryStore) -> Result<Opened, BoxError> {
        let address = self.place().await?;
        if let Some(server) = self.server.get() {
            server.base(namespace, || (self.fate)().base(honest));
        }
        let schema = format!("{namespace}_schema");
        self.client.set_up(RemoteStore::connect(address, &schema, Config::PATIENT)).await?;
        let remote = RemoteStore::connect(address, namespace, Config::PATIENT);
        Ok(Opening::of(remote, self.client.clone()))
    }

    async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        let address = self.place().await.map_err(HookError::Failed)?;
        Ok(vec![(ADDRESS.to_owned(), address.to_string())])
    }

    async fn own_server(&self) -> Result<Arc<dyn OwnServer>, HookError> {
        Ok(Arc::new(self.mortal().await?))
    }

    async fn own_disk(&self) -> Result<Arc<dyn Disk>, HookError> {
        Ok(Arc::new(self.mortal().await?))
    }
}
