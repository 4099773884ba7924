//! The Kafka store under the conformance suite.

mod common;
#[path = "common/way.rs"]
mod way;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use annalist_conformance::{
    BoxError, Disk, Fault, Harness, HookError, Namespaces, Opened, Rewind, Server, conformance_main,
};
use annalist_core::EventId;
use annalist_engine::fault::BatchFaults;
use annalist_kafka::{Config, KafkaStore};
use annalist_test_servers::kafka;
use async_trait::async_trait;
use common::Shared;
use tokio::sync::OnceCell;
use way::Way;

#[derive(Default)]
struct Kafka {
    stores: Stores,
}

/// The namespaces of one broker: a topic each.
#[derive(Default)]
struct Stores(Namespaces<Namespace>);

/// What all handles of a namespace share.
#[derive(Clone, Default)]
struct Namespace {
    is_set_up: Arc<OnceCell<()>>,
    faults: BatchFaults,
}

fn config() -> Config {
    let mut config = Config::default();
    // An operation without a time-out of its own must answer before the suite's patience ends.
    config.timeout = Duration::from_secs(8);
    config.connect_timeout = Duration::from_secs(5);
    config.attempt_timeout = Duration::from_secs(2);
    config
}

impl Stores {
    /// `way` is the broker's URL, or one that leads there by another address.
    async fn open(&self, url: &str, way: &str, namespace: &str) -> Result<KafkaStore, BoxError> {
        let Namespace { is_set_up, faults } = self.0.get(namespace, Namespace::default);
        let mut config = config();
        let plain = topic(url, namespace);
        is_set_up.get_or_try_init(|| KafkaStore::setup(&plain, &config)).await?;
        if way != url {
            // What goes wrong there goes wrong many times, until a deadline.
            config.timeout = Duration::from_millis(1_500);
            config.connect_timeout = Duration::from_millis(1_500);
        }
        let layer = |writer| Arc::new(faults.before(writer)) as Arc<_>;
        Ok(KafkaStore::connect_behind(&topic(way, namespace), config, layer).await?)
    }

    /// All connections go to the address `through`, those as well that the broker tells its clients of.
    async fn open_through(
        &self,
        url: &str,
        namespace: &str,
        through: SocketAddr,
    ) -> Result<Opened, HookError> {
        let way = Way::open(address(url)?, through).await.map_err(BoxError::from)?;
        let store = self.open(url, &format!("kafka://{}", way.address), namespace).await?;
        Ok(Opened::new(store).guarded_by(way))
    }
}

fn topic(url: &str, namespace: &str) -> String {
    format!("{url}/{namespace}")
}

fn address(url: &str) -> Result<SocketAddr, BoxError> {
    let host = url.strip_prefix("kafka://").unwrap_or(url);
    Ok(host.parse().map_err(|error| format!("{host}: {error}"))?)
}

#[async_trait]
impl Harness for Kafka {
    fn name(&self) -> &str {
        "kafka"
    }

    fn server(&self) -> String {
        match Shared::get() {
            Ok(Shared::Own(server)) => server.version(),
            _ => "Apache Kafka".to_owned(),
        }
    }

    /// Each handle has threads and connections of its own.
    fn checks_at_once(&self) -> usize {
        8
    }

    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        let url = Shared::get()?.url();
        Ok(Opened::new(self.stores.open(&url, &url, namespace).await?))
    }

    async fn rewind(&self, _: &str, _: Rewind) -> Result<(), HookError> {
        Err(HookError::NotApplicable(
            "checkpoints are records of the log: a topic that is restored takes them back with its events, and one made anew has none".to_owned(),
        ))
    }

    async fn fault(&self, namespace: &str, fault: Fault) -> Result<(), HookError> {
        let faults = self.stores.0.get(namespace, Namespace::default).faults;
        match fault {
            Fault::None => faults.heal(),
            Fault::Refuse(batches) => faults.refuse(batches),
            Fault::LoseReplies(batches) => faults.lose_replies(batches),
            Fault::Stall => faults.stall(),
            _ => return Err(HookError::NotProvided),
        }
        Ok(())
    }

    async fn held(&self, namespace: &str) -> Result<Vec<EventId>, HookError> {
        Ok(self.stores.0.get(namespace, Namespace::default).faults.held())
    }

    async fn address(&self) -> Result<SocketAddr, HookError> {
        Ok(address(&Shared::get().map_err(BoxError::from)?.url())?)
    }

    async fn open_through(&self, namespace: &str, through: SocketAddr) -> Result<Opened, HookError> {
        let url = Shared::get().map_err(BoxError::from)?.url();
        self.stores.open_through(&url, namespace, through).await
    }

    async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        let url = Shared::get().map_err(BoxError::from)?.url();
        Ok(vec![(common::VARIABLE.to_owned(), url)])
    }

    async fn own_server(&self) -> Result<Arc<dyn Server>, HookError> {
        let started = blocking(kafka::Server::start).await?;
        Ok(Arc::new(Own { server: Arc::new(started), stores: Stores::default() }))
    }

    async fn own_disk(&self) -> Result<Arc<dyn Disk>, HookError> {
        let started = blocking(|| {
            let disk = annalist_test_servers::Disk::new()?;
            let server = kafka::Server::start_in(&disk.path())?;
            // What it starts from is a copy of another one.
            disk.flush()?;
            Ok((disk, server))
        });
        let (disk, server) = started.await?;
        let server = Own { server: Arc::new(server), stores: Stores::default() };
        Ok(Arc::new(OnDisk { server, disk: Arc::new(disk) }))
    }
}

/// A broker on a disk of its own. It is gone before the disk is.
struct OnDisk {
    server: Own,
    disk: Arc<annalist_test_servers::Disk>,
}

#[async_trait]
impl Disk for OnDisk {
    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        Server::open(&self.server, namespace).await
    }

    async fn cut_power(&self) -> Result<(), BoxError> {
        self.server.kill().await?;
        let disk = self.disk.clone();
        blocking(move || disk.cut()).await?;
        self.server.start().await
    }
}

/// A broker for one check.
struct Own {
    server: Arc<kafka::Server>,
    stores: Stores,
}

impl Own {
    async fn do_to(
        &self,
        what: fn(&kafka::Server) -> Result<(), annalist_test_servers::Error>,
    ) -> Result<(), BoxError> {
        let server = self.server.clone();
        blocking(move || what(&server)).await
    }
}

#[async_trait]
impl Server for Own {
    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        let url = self.server.url();
        Ok(Opened::new(self.stores.open(&url, &url, namespace).await?))
    }

    async fn kill(&self) -> Result<(), BoxError> {
        self.do_to(kafka::Server::kill).await
    }

    async fn start(&self) -> Result<(), BoxError> {
        self.do_to(kafka::Server::restart).await
    }

    async fn pause(&self) -> Result<(), BoxError> {
        self.do_to(kafka::Server::pause).await
    }

    async fn resume(&self) -> Result<(), BoxError> {
        self.do_to(kafka::Server::resume).await
    }

    async fn address(&self) -> Result<SocketAddr, HookError> {
        Ok(self.server.address())
    }

    async fn open_through(&self, namespace: &str, through: SocketAddr) -> Result<Opened, HookError> {
        self.stores.open_through(&self.server.url(), namespace, through).await
    }

    async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        Ok(vec![(common::VARIABLE.to_owned(), self.server.url())])
    }
}

/// Starting and stopping servers waits for other processes.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, annalist_test_servers::Error> + Send + 'static,
) -> Result<T, BoxError> {
    Ok(tokio::task::spawn_blocking(work).await??)
}

conformance_main!(Kafka::default());
