//! The DynamoDB store under the conformance suite.

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annalist_conformance::{
    BoxError, Disk, Fault, Harness, HookError, Namespaces, Opened, Rewind, Server, conformance_main,
};
use annalist_core::{EventId, backend};
use annalist_dynamodb::{Config, DynamoStore};
use annalist_engine::fault::BatchFaults;
use annalist_test_servers::dynamodb;
use async_trait::async_trait;
use common::{SECRET, Shared, client};
use tokio::sync::OnceCell;

#[path = "common/rewind.rs"]
mod rewind;

#[derive(Default)]
struct Dynamo {
    stores: Stores,
}

/// The namespaces of one server.
#[derive(Default)]
struct Stores(Namespaces<Namespace>);

/// What all handles of a namespace share.
#[derive(Clone, Default)]
struct Namespace {
    is_set_up: Arc<OnceCell<()>>,
    opened: Arc<AtomicUsize>,
    faults: BatchFaults,
}

/// A table for each test, and for whatever namespaces it uses: the server looks through a whole table to describe it.
pub(crate) fn table(namespace: &str) -> String {
    const OF_TEST: usize = "t0123456789_000000".len();
    format!("annalist-{}", &namespace[..OF_TEST.min(namespace.len())])
}

fn config(namespace: &str) -> Config {
    let mut config = Config::default();
    config.namespace = namespace.to_owned();
    // An operation without a time-out of its own must answer before the suite's patience ends.
    config.timeout = Duration::from_secs(8);
    config.attempt_timeout = Duration::from_secs(2);
    config.request_timeout = Duration::from_millis(1_500);
    config.poll_interval_min = Duration::from_millis(5);
    config.poll_interval_max = Duration::from_millis(250);
    config
}

/// Handles of one log may have different bounds: the first indexes every batch at once and remembers little, another lets its tail grow, and
/// another has the defaults.
fn vary(config: &mut Config, n: usize) {
    match n % 3 {
        0 => {
            (config.index_batches_min, config.index_batches_help, config.index_batches_max) = (1, 1, 2);
            (config.streams_known_max, config.cache_bytes_max) = (2, 0);
        }
        1 => (config.index_batches_min, config.index_batches_help, config.index_batches_max) = (3, 5, 9),
        _ => {}
    }
}

impl Stores {
    /// `way` is the server's endpoint, or one that leads there by another address.
    async fn open(&self, url: &str, way: &str, namespace: &str) -> Result<Opened, BoxError> {
        let Namespace { is_set_up, opened, faults } = self.0.get(namespace, Namespace::default);
        let mut config = config(namespace);
        let (direct, table) = (client(url), table(namespace));
        is_set_up.get_or_try_init(|| DynamoStore::setup_with(&direct, &table, &config)).await?;
        vary(&mut config, opened.fetch_add(1, Ordering::Relaxed));
        if way != url {
            // What goes wrong there goes wrong many times, until a deadline.
            config.timeout = Duration::from_secs(3);
            config.request_timeout = Duration::from_millis(700);
        }
        let client = client(way);
        let store =
            DynamoStore::open_behind(&client, &table, config, |writer| Arc::new(faults.before(writer)))
                .await?;
        Ok(Opened::new(store))
    }
}

fn endpoint(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn address(url: &str) -> Result<SocketAddr, BoxError> {
    let address =
        url.trim_end_matches('/').strip_prefix("http://").ok_or("the endpoint must begin with http://")?;
    Ok(address.parse()?)
}

#[async_trait]
impl Harness for Dynamo {
    fn name(&self) -> &str {
        "dynamodb"
    }

    fn server(&self) -> String {
        match Shared::get() {
            Ok(Shared::Own(server)) => server.version(),
            _ => "DynamoDB".to_owned(),
        }
    }

    /// The server does one thing at a time, and flushes each write.
    fn checks_at_once(&self) -> usize {
        8
    }

    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        let url = Shared::get()?.url();
        self.stores.open(&url, &url, namespace).await
    }

    async fn rewind(&self, namespace: &str, rewind: Rewind) -> Result<(), HookError> {
        let client = client(&Shared::get().map_err(BoxError::from)?.url());
        let above = match rewind {
            Rewind::To(position) => Some(backend::numbers(position).0),
            Rewind::AnotherLog => None,
            _ => return Err(HookError::NotProvided),
        };
        rewind::rewind(&client, &config(namespace), above).await.map_err(HookError::Failed)
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

    async fn open_through(&self, namespace: &str, address: SocketAddr) -> Result<Opened, HookError> {
        let url = Shared::get().map_err(BoxError::from)?.url();
        Ok(self.stores.open(&url, &endpoint(address), namespace).await?)
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }

    async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        let url = Shared::get().map_err(BoxError::from)?.url();
        Ok(vec![(common::VARIABLE.to_owned(), url)])
    }

    async fn own_server(&self) -> Result<Arc<dyn Server>, HookError> {
        let started = blocking(dynamodb::Server::start).await?;
        Ok(Arc::new(Own { server: Arc::new(started), stores: Stores::default() }))
    }

    async fn own_disk(&self) -> Result<Arc<dyn Disk>, HookError> {
        Err(HookError::NotApplicable(
            "the disks are those of the service, which answers once they have it".to_owned(),
        ))
    }
}

/// A server for one check.
struct Own {
    server: Arc<dynamodb::Server>,
    stores: Stores,
}

impl Own {
    async fn do_to(
        &self,
        what: fn(&dynamodb::Server) -> Result<(), annalist_test_servers::Error>,
    ) -> Result<(), BoxError> {
        let server = self.server.clone();
        blocking(move || what(&server)).await
    }
}

#[async_trait]
impl Server for Own {
    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        let url = self.server.url();
        self.stores.open(&url, &url, namespace).await
    }

    async fn kill(&self) -> Result<(), BoxError> {
        self.do_to(dynamodb::Server::kill).await
    }

    async fn start(&self) -> Result<(), BoxError> {
        self.do_to(dynamodb::Server::restart).await
    }

    async fn pause(&self) -> Result<(), BoxError> {
        self.do_to(dynamodb::Server::pause).await
    }

    async fn resume(&self) -> Result<(), BoxError> {
        self.do_to(dynamodb::Server::resume).await
    }

    async fn address(&self) -> Result<SocketAddr, HookError> {
        Ok(address(&self.server.url())?)
    }

    async fn open_through(&self, namespace: &str, address: SocketAddr) -> Result<Opened, HookError> {
        let url = self.server.url();
        Ok(self.stores.open(&url, &endpoint(address), namespace).await?)
    }

    async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        Ok(vec![(common::VARIABLE.to_owned(), self.server.url())])
    }
}

async fn blocking<T: Send + 'static>(
    what: impl FnOnce() -> Result<T, annalist_test_servers::Error> + Send + 'static,
) -> Result<T, BoxError> {
    Ok(tokio::task::spawn_blocking(what).await??)
}

conformance_main!(Dynamo::default());
