//! The worlds of remote stores: a server, and what is opened on it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use annalist_conformance::{BoxError, Fault, HookError, Opened};
use annalist_core::EventId;
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::{Base, Config, PASSWORD, RemoteStore, Server, ServerFlaw};
use crate::bug::Bug;
use crate::world::World;

/// What a remote store is made of.
#[derive(Clone, Copy)]
pub struct Parts {
    /// What is opened, of the honest client.
    pub make: fn(RemoteStore) -> Opened,
    /// The settings of a handle whose network is expected to fail.
    pub hasty: Config,
    pub server: ServerFlaw,
    /// Whether such a handle goes past the address that it is given.
    pub goes_past: bool,
}

impl Parts {
    pub const HONEST: Self =
        Self { make: Opened::new, hasty: Config::HASTY, server: ServerFlaw::None, goes_past: false };
}

/// A server with a store of its own for each namespace.
struct Remote {
    server: OnceCell<Server>,
    parts: Parts,
}

pub fn remote(parts: Parts) -> Arc<dyn World> {
    Arc::new(Remote { server: OnceCell::new(), parts })
}

impl Remote {
    async fn server(&self) -> io::Result<&Server> {
        self.server.get_or_try_init(|| start(self.parts.server)).await
    }

    async fn base(&self, namespace: &str, honest: MemoryStore) -> io::Result<Base> {
        Ok(self.server().await?.base(namespace, || Base::of(Arc::new(honest))))
    }
}

async fn start(flaw: ServerFlaw) -> io::Result<Server> {
    match flaw {
        ServerFlaw::None => Server::start().await,
        flaw => Server::with(flaw).await,
    }
}

struct Honest;

impl Bug for Honest {}

#[async_trait]
impl World for Remote {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        Arc::new(Honest)
    }

    async fn open(&self, namespace: &str, honest: MemoryStore) -> Result<Opened, BoxError> {
        let way = self.base(namespace, honest).await?.way;
        let address = self.server().await?.address();
        Ok((self.parts.make)(RemoteStore::by_way(address, namespace, Config::PATIENT, way)))
    }

    async fn address(&self) -> Result<SocketAddr, HookError> {
        Ok(self.server().await.map_err(|error| HookError::Failed(error.into()))?.address())
    }

    async fn open_through(
        &self,
        namespace: &str,
        honest: MemoryStore,
        address: SocketAddr,
    ) -> Result<Opened, HookError> {
        self.base(namespace, honest).await.map_err(|error| HookError::Failed(error.into()))?;
        let address = if self.parts.goes_past { self.address().await? } else { address };
        Ok((self.parts.make)(RemoteStore::connect(address, namespace, self.parts.hasty)))
    }

    fn secrets(&self) -> Vec<String> {
        vec![PASSWORD.to_owned()]
    }

    async fn fault(&self, namespace: &str, fault: Fault) -> Result<(), HookError> {
        self.way(namespace).await?.set(fault);
        Ok(())
    }

    async fn held(&self, namespace: &str) -> Result<Vec<EventId>, HookError> {
        Ok(self.way(namespace).await?.held())
    }
}

impl Remote {
    async fn way(&self, namespace: &str) -> Result<Arc<crate::faulty::Way>, HookError> {
        let base = self.base(namespace, MemoryStore::new()).await;
        Ok(base.map_err(|error| HookError::Failed(error.into()))?.way)
    }
}
