//! A server that can be killed: the served memory store with a network in front of it that goes down, and a fate that says what is left.

use std::sync::{Arc, Mutex, PoisonError};

use annalist_conformance::{BoxError, Disk, Opened, Proxy, Server as OwnServer, Trouble};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::client::{Client, Opening};
use crate::remote::{Base, Config, RemoteStore, Server};

/// What a server serves, and what is left of it when it is killed. One is made for each server.
#[async_trait]
pub trait Fate: Send + Sync + 'static {
    /// What is served of a namespace.
    fn base(&self, honest: MemoryStore) -> Base {
        Base::of(Arc::new(honest))
    }

    /// What a kill does to a namespace.
    async fn killed(&self, honest: &MemoryStore) {
        let _ = honest;
    }

    /// What a power cut does to a namespace.
    async fn cut(&self, honest: &MemoryStore) {
        let _ = honest;
    }

    /// What kills and stops it; nothing to be listened to where the fate is to be spared.
    fn is_mortal(&self) -> bool {
        true
    }
}

/// Keeps everything.
pub struct Spared;

impl Fate for Spared {}

pub struct Mortal {
    server: Server,
    proxy: Proxy,
    namespaces: Mutex<Vec<(String, MemoryStore)>>,
    fate: Arc<dyn Fate>,
    client: Arc<dyn Client>,
}

impl Mortal {
    pub async fn start(fate: Arc<dyn Fate>, client: Arc<dyn Client>) -> std::io::Result<Self> {
        let server = Server::start().await?;
        let proxy = Proxy::start(server.address()).await?;
        Ok(Self { server, proxy, namespaces: Mutex::default(), fate, client })
    }

    async fn arm(&self, trouble: Trouble) -> Result<(), BoxError> {
        if self.fate.is_mortal() {
            self.proxy.arm(trouble).await;
        }
        Ok(())
    }

    /// The stores of all namespaces.
    fn all(&self) -> Vec<MemoryStore> {
        let namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        namespaces.iter().map(|(_, honest)| honest.another_handle()).collect()
    }
}

#[async_trait]
impl OwnServer for Mortal {
    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        self.server.base(namespace, || {
            let honest = MemoryStore::new();
            let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
            namespaces.push((namespace.to_owned(), honest.another_handle()));
            self.fate.base(honest)
        });
        let remote = RemoteStore::connect(self.proxy.address(), namespace, Config::PATIENT);
        Ok(Opening::of(remote, self.client.clone()))
    }

    async fn kill(&self) -> Result<(), BoxError> {
        self.arm(Trouble::Down).await?;
        for honest in self.all() {
            self.fate.killed(&honest).await;
        }
        Ok(())
    }

    async fn start(&self) -> Result<(), BoxError> {
        self.arm(Trouble::None).await
    }

    async fn pause(&self) -> Result<(), BoxError> {
        self.arm(Trouble::Silent).await
    }

    async fn resume(&self) -> Result<(), BoxError> {
        self.arm(Trouble::None).await
    }
}

/// Its disk: what a server has flushed is what its fate leaves of it.
#[async_trait]
impl Disk for Mortal {
    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        OwnServer::open(self, namespace).await
    }

    async fn cut_power(&self) -> Result<(), BoxError> {
        self.arm(Trouble::Down).await?;
        for honest in self.all() {
            self.fate.cut(&honest).await;
        }
        self.arm(Trouble::None).await
    }
}
