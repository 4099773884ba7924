//! How far a bug reaches: one handle, one database, or all of them; and the harness that opens broken stores.

use std::net::SocketAddr;
use std::sync::Arc;

use annalist_conformance::{BoxError, Disk, Fault, Harness, HookError, Namespaces, Opened, Rewind, Server};
use annalist_core::EventId;
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::{Broken, Bug};

/// Gives the bug of each handle that is opened. One world is made for each run of the suite.
#[async_trait]
pub trait World: Send + Sync + 'static {
    /// The bug of a handle that is opened on a namespace.
    fn bug(&self, namespace: &str) -> Arc<dyn Bug>;

    /// Whether its checks run one at a time, with nothing beside them: for bugs that panic in the background, where nobody
    /// can tell which check it was.
    fn alone(&self) -> bool {
        false
    }

    /// The namespace that is really opened where this one is asked for.
    fn namespace(&self, asked: &str) -> String {
        asked.to_owned()
    }

    /// The memory store of a new namespace.
    fn store(&self) -> MemoryStore {
        MemoryStore::new()
    }

    /// Opens a handle: the broken store over this honest handle of the namespace.
    async fn open(&self, namespace: &str, honest: MemoryStore) -> Result<Opened, BoxError> {
        let store = Broken::new(honest, self.bug(namespace));
        Ok(Opened::of(store.clone(), store.clone(), store))
    }

    /// Puts the log back; as it should.
    async fn rewind(&self, namespace: &str, honest: &MemoryStore, rewind: Rewind) -> Result<(), HookError> {
        let _ = namespace;
        match rewind {
            Rewind::To(position) => {
                honest.restore_to(position).map_err(|error| HookError::Failed(error.into()))
            }
            Rewind::AnotherLog => {
                honest.replace_log();
                Ok(())
            }
            _ => Err(HookError::NotProvided),
        }
    }

    /// There is no way to break between a memory store and its log.
    async fn fault(&self, namespace: &str, fault: Fault) -> Result<(), HookError> {
        let _ = (namespace, fault);
        Err(HookError::NotApplicable("has no connection to lose".to_owned()))
    }

    /// Where the server listens.
    async fn address(&self) -> Result<SocketAddr, HookError> {
        Err(HookError::NotApplicable("has no connection to lose".to_owned()))
    }

    /// Opens a handle whose connections go to this address.
    async fn open_through(
        &self,
        namespace: &str,
        honest: MemoryStore,
        address: SocketAddr,
    ) -> Result<Opened, HookError> {
        let _ = (namespace, honest, address);
        Err(HookError::NotProvided)
    }

    /// What agents need in their environment, besides the name of the store.
    async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        Err(HookError::NotApplicable("is in the memory of one process".to_owned()))
    }

    /// A server of one check's own.
    async fn own_server(&self) -> Result<Arc<dyn Server>, HookError> {
        Err(HookError::NotApplicable("has no server".to_owned()))
    }

    /// A disk of one check's own.
    async fn own_disk(&self) -> Result<Arc<dyn Disk>, HookError> {
        Err(HookError::NotApplicable("has no disk".to_owned()))
    }

    /// What no text may contain.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    /// What is held up on the way.
    async fn held(&self, namespace: &str) -> Result<Vec<EventId>, HookError> {
        let _ = namespace;
        Err(HookError::NotProvided)
    }
}

/// The same world, for bugs that panic in the background.
pub fn alone(world: Arc<dyn World>) -> Arc<dyn World> {
    Arc::new(Alone(world))
}

struct Alone(Arc<dyn World>);

#[async_trait]
impl World for Alone {
    fn bug(&self, namespace: &str) -> Arc<dyn Bug> {
        self.0.bug(namespace)
    }

    fn alone(&self) -> bool {
        true
    }

    fn namespace(&self, asked: &str) -> String {
        self.0.namespace(asked)
    }

    fn store(&self) -> MemoryStore {
        self.0.store()
    }

    async fn open(&self, namespace: &str, honest: MemoryStore) -> Result<Opened, BoxError> {
        self.0.open(namespace, honest).await
    }

    async fn rewind(&self, namespace: &str, honest: &MemoryStore, rewind: Rewind) -> Result<(), HookError> {
        self.0.rewind(namespace, honest, rewind).await
    }

    async fn fault(&self, namespace: &str, fault: Fault) -> Result<(), HookError> {
        self.0.fault(namespace, fault).await
    }

    async fn held(&self, namespace: &str) -> Result<Vec<EventId>, HookError> {
        self.0.held(namespace).await
    }

    async fn address(&self) -> Result<SocketAddr, HookError> {
        self.0.address().await
    }

    async fn open_through(
        &self,
        namespace: &str,
        honest: MemoryStore,
        address: SocketAddr,
    ) -> Result<Opened, HookError> {
        self.0.open_through(namespace, honest, address).await
    }

    async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        self.0.agent_environment().await
    }

    async fn own_server(&self) -> Result<Arc<dyn Server>, HookError> {
        self.0.own_server().await
    }

    async fn own_disk(&self) -> Result<Arc<dyn Disk>, HookError> {
        self.0.own_disk().await
    }

    fn secrets(&self) -> Vec<String> {
        self.0.secrets()
    }
}

struct EachHandle<F>(F);
struct EachDatabase<F>(F, Namespaces<Arc<dyn Bug>>);
struct Everywhere(Arc<dyn Bug>);

#[async_trait]
impl<F: Fn() -> Arc<dyn Bug> + Send + Sync + 'static> World for EachHandle<F> {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        self.0()
    }
}

#[async_trait]
impl<F: Fn() -> Arc<dyn Bug> + Send + Sync + 'static> World for EachDatabase<F> {
    fn bug(&self, namespace: &str) -> Arc<dyn Bug> {
        self.1.get(namespace, || self.0())
    }
}

#[async_trait]
impl World for Everywhere {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        self.0.clone()
    }
}

/// A bug whose state is each handle's own.
pub fn each_handle<B: Bug>(make: impl Fn() -> B + Send + Sync + 'static) -> Arc<dyn World> {
    Arc::new(EachHandle(move || Arc::new(make()) as Arc<dyn Bug>))
}

/// A bug whose state all handles of a namespace share.
pub fn each_database<B: Bug>(make: impl Fn() -> B + Send + Sync + 'static) -> Arc<dyn World> {
    Arc::new(EachDatabase(move || Arc::new(make()) as Arc<dyn Bug>, Namespaces::default()))
}

/// A bug whose state all namespaces share.
pub fn everywhere<B: Bug>(bug: B) -> Arc<dyn World> {
    Arc::new(Everywhere(Arc::new(bug)))
}

/// Opens the stores of a world.
pub struct WorldHarness {
    name: &'static str,
    world: Arc<dyn World>,
    databases: Namespaces<MemoryStore>,
}

impl WorldHarness {
    pub fn new(name: &'static str, world: Arc<dyn World>) -> Arc<Self> {
        Arc::new(Self { name, world, databases: Namespaces::default() })
    }

    pub fn alone(&self) -> bool {
        self.world.alone()
    }

    fn honest(&self, namespace: &str) -> MemoryStore {
        self.databases.get(&self.world.namespace(namespace), || self.world.store())
    }
}

#[async_trait]
impl Harness for WorldHarness {
    fn name(&self) -> &str {
        self.name
    }

    fn server(&self) -> String {
        "in process".to_owned()
    }

    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        self.world.open(namespace, self.honest(namespace).another_handle()).await
    }

    async fn rewind(&self, namespace: &str, rewind: Rewind) -> Result<(), HookError> {
        self.world.rewind(namespace, &self.honest(namespace), rewind).await
    }

    async fn fault(&self, namespace: &str, fault: Fault) -> Result<(), HookError> {
        self.world.fault(namespace, fault).await
    }

    async fn held(&self, namespace: &str) -> Result<Vec<EventId>, HookError> {
        self.world.held(namespace).await
    }

    async fn address(&self) -> Result<SocketAddr, HookError> {
        self.world.address().await
    }

    async fn open_through(&self, namespace: &str, address: SocketAddr) -> Result<Opened, HookError> {
        self.world.open_through(namespace, self.honest(namespace).another_handle(), address).await
    }

    async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        let mut environment = self.world.agent_environment().await?;
        environment.push((crate::served::STORE.to_owned(), self.name.to_owned()));
        Ok(environment)
    }

    async fn own_server(&self) -> Result<Arc<dyn Server>, HookError> {
        self.world.own_server().await
    }

    async fn own_disk(&self) -> Result<Arc<dyn Disk>, HookError> {
        self.world.own_disk().await
    }

    fn secrets(&self) -> Vec<String> {
        self.world.secrets()
    }
}
