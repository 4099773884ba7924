//! The worlds of remote stores: a server, and what is opened on it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use annalist_conformance::{BoxError, Fault, HookError, Opened};
use annalist_core::EventId;
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::{Base, Config, PASSWORD, RemoteStore, Server};
use crate::bug::Bug;
use crate::world::World;

/// A server with a store of its own for each namespace.
pub struct Remote {
    server: OnceCell<Server>,
    make: fn(RemoteStore) -> Opened,
    base: fn(MemoryStore) -> Base,
}

/// Remote stores; honest where `make` is [`Opened::new`].
pub fn remote(make: fn(RemoteStore) -> Opened) -> Arc<dyn World> {
    Arc::new(Remote { server: OnceCell::new(), make, base: |honest| Base::of(Arc::new(honest)) })
}

impl Remote {
    async fn server(&self) -> io::Result<&Server> {
        self.server.get_or_try_init(Server::start).await
    }

    async fn base(&self, namespace: &str, honest: MemoryStore) -> io::Result<Base> {
        Ok(self.server().await?.base(namespace, || (self.base)(honest)))
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
        Ok((self.make)(RemoteStore::by_way(address, namespace, Config::PATIENT, way)))
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
        Ok((self.make)(RemoteStore::connect(address, namespace, Config::HASTY)))
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
