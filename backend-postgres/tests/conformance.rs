//! The PostgreSQL store under the conformance suite.

mod common;
#[path = "common/way.rs"]
mod way;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use annalist_conformance::{
    BoxError, Disk, Fault, Harness, HookError, Namespaces, Opened, Rewind, Server, conformance_main,
};
use annalist_core::{EventId, backend};
use annalist_engine::fault::BatchFaults;
use annalist_postgres::sqlx::{self, AssertSqlSafe, Connection, Executor, PgConnection, Row};
use annalist_postgres::{Config, PostgresStore};
use annalist_test_servers::postgres;
use async_trait::async_trait;
use common::Shared;
use tokio::sync::OnceCell;

#[derive(Default)]
struct Postgres {
    stores: Stores,
    version: std::sync::OnceLock<String>,
}

/// The namespaces of one server.
#[derive(Default)]
struct Stores(Namespaces<Namespace>);

/// What all handles of a namespace share.
#[derive(Clone, Default)]
struct Namespace {
    is_set_up: Arc<OnceCell<()>>,
    faults: BatchFaults,
}

fn config(namespace: &str) -> Config {
    let mut config = Config::default();
    config.schema = namespace.to_owned();
    // Many handles are open at once, and an operation without a time-out of its own must answer before the suite's patience ends.
    config.connections_max = 3;
    config.timeout = Duration::from_secs(8);
    config.connect_timeout = Duration::from_secs(3);
    config.attempt_timeout = Duration::from_secs(2);
    config
}

impl Stores {
    /// `way` is the server's URL, or one that leads there by another address.
    async fn open(&self, url: &str, way: &str, namespace: &str) -> Result<Opened, BoxError> {
        let Namespace { is_set_up, faults } = self.0.get(namespace, Namespace::default);
        let mut config = config(namespace);
        is_set_up.get_or_try_init(|| PostgresStore::setup(url, &config)).await?;
        if way != url {
            // What goes wrong there goes wrong many times, until a deadline.
            config.timeout = Duration::from_secs(3);
            config.connect_timeout = Duration::from_millis(1_500);
        }
        let store =
            PostgresStore::connect_behind(way, config, |writer| Arc::new(faults.before(writer))).await?;
        Ok(Opened::new(store))
    }
}

impl Postgres {
    async fn learn_version(&self, url: &str) -> Result<(), BoxError> {
        if self.version.get().is_none() {
            // Another check may have been first.
            let _ = self.version.set(version(url).await?);
        }
        Ok(())
    }
}

#[async_trait]
impl Harness for Postgres {
    fn name(&self) -> &str {
        "postgres"
    }

    fn server(&self) -> String {
        self.version.get().cloned().unwrap_or_else(|| "PostgreSQL".to_owned())
    }

    /// Each connection is a process of the server.
    fn checks_at_once(&self) -> usize {
        10
    }

    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        let url = Shared::get()?.url();
        self.learn_version(&url).await?;
        self.stores.open(&url, &url, namespace).await
    }

    async fn rewind(&self, namespace: &str, rewind: Rewind) -> Result<(), HookError> {
        let text = match rewind {
            Rewind::To(position) => {
                let (head, _) = backend::numbers(position);
                format!(
                    "DELETE FROM {namespace}.event WHERE position > {head};
                    DELETE FROM {namespace}.event_tag WHERE position > {head}"
                )
            }
            Rewind::AnotherLog => format!(
                "TRUNCATE {namespace}.event, {namespace}.event_tag;
                UPDATE {namespace}.log SET id = gen_random_uuid()"
            ),
            _ => return Err(HookError::NotProvided),
        };
        execute(&text).await.map_err(HookError::Failed)
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
        let url = Shared::get().map_err(BoxError::from)?.url();
        Ok(way::address(&url).map_err(BoxError::from)?)
    }

    async fn open_through(&self, namespace: &str, address: SocketAddr) -> Result<Opened, HookError> {
        let url = Shared::get().map_err(BoxError::from)?.url();
        Ok(self.stores.open(&url, &way::through(&url, address), namespace).await?)
    }

    fn secrets(&self) -> Vec<String> {
        Shared::get().ok().and_then(|shared| way::password(&shared.url())).into_iter().collect()
    }

    async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        let url = Shared::get().map_err(BoxError::from)?.url();
        Ok(vec![(common::VARIABLE.to_owned(), url)])
    }

    async fn own_server(&self) -> Result<Arc<dyn Server>, HookError> {
        let started = blocking(|| postgres::Server::start(postgres::Settings::default())).await?;
        self.learn_version(&started.url()).await?;
        Ok(Arc::new(Own { server: Arc::new(started), stores: Stores::default() }))
    }

    async fn own_disk(&self) -> Result<Arc<dyn Disk>, HookError> {
        let started = blocking(|| {
            let disk = annalist_test_servers::Disk::new()?;
            let server = postgres::Server::start(postgres::Settings::default().in_folder(disk.path()))?;
            // Its cluster is a copy of another one.
            disk.flush()?;
            Ok((disk, server))
        });
        let (disk, server) = started.await?;
        let server = Own { server: Arc::new(server), stores: Stores::default() };
        Ok(Arc::new(OnDisk { server, disk: Arc::new(disk) }))
    }
}

/// A server on a disk of its own. It is gone before the disk is.
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

/// A server for one check.
struct Own {
    server: Arc<postgres::Server>,
    stores: Stores,
}

impl Own {
    async fn do_to(
        &self,
        what: fn(&postgres::Server) -> Result<(), annalist_test_servers::Error>,
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
        self.do_to(postgres::Server::kill).await
    }

    async fn start(&self) -> Result<(), BoxError> {
        self.do_to(postgres::Server::restart).await
    }

    async fn pause(&self) -> Result<(), BoxError> {
        self.do_to(postgres::Server::pause).await
    }

    async fn resume(&self) -> Result<(), BoxError> {
        self.do_to(postgres::Server::resume).await
    }

    async fn address(&self) -> Result<SocketAddr, HookError> {
        Ok(way::address(&self.server.url()).map_err(BoxError::from)?)
    }

    async fn open_through(&self, namespace: &str, address: SocketAddr) -> Result<Opened, HookError> {
        let url = self.server.url();
        Ok(self.stores.open(&url, &way::through(&url, address), namespace).await?)
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

async fn version(url: &str) -> Result<String, BoxError> {
    let mut connection = PgConnection::connect(url).await?;
    let row = sqlx::query("SELECT current_setting('server_version')").fetch_one(&mut connection).await?;
    connection.close().await?;
    let version: String = row.try_get(0)?;
    Ok(format!("PostgreSQL {}", version.split(' ').next().unwrap_or(&version)))
}

/// Several statements in one transaction, past the store.
async fn execute(text: &str) -> Result<(), BoxError> {
    let mut connection = PgConnection::connect(&Shared::get()?.url()).await?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {text}; COMMIT")))).await?;
    connection.close().await?;
    Ok(())
}

conformance_main!(Postgres::default());
