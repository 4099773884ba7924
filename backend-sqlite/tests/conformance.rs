//! The SQLite store under the conformance suite.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use annalist_conformance::{
    BoxError, Disk, Fault, Harness, HookError, Namespaces, Opened, Rewind, Server, conformance_main,
};
use annalist_core::{EventId, LogId, backend};
use annalist_engine::fault::BatchFaults;
use annalist_sqlite::rusqlite::{self, Connection};
use annalist_sqlite::{Config, SqliteStore};
use annalist_test_servers as test_servers;
use async_trait::async_trait;
use tempfile::TempDir;

/// Where the processes that the suite starts find the files.
const VARIABLE: &str = "ANNALIST_TEST_SQLITE_FOLDER";

#[derive(Default)]
struct Sqlite {
    folder: OnceLock<Folder>,
    faults: Namespaces<BatchFaults>,
}

enum Folder {
    Given(PathBuf),
    Own(TempDir),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Own(folder) => folder.path(),
        }
    }
}

impl Sqlite {
    fn folder(&self) -> &Path {
        let folder = self.folder.get_or_init(|| match std::env::var_os(VARIABLE) {
            Some(path) => Folder::Given(path.into()),
            None => Folder::Own(tempfile::tempdir().expect("the system has a folder for temporary files")),
        });
        folder.path()
    }

    fn file(&self, namespace: &str) -> PathBuf {
        self.folder().join(format!("{namespace}.db"))
    }
}

fn config() -> Config {
    let mut config = Config::default();
    // An operation without a time-out of its own must answer before the suite's patience ends.
    config.timeout = Duration::from_secs(8);
    config
}

fn no_connection() -> HookError {
    HookError::NotApplicable("a store in a file has no connection to lose".to_owned())
}

#[async_trait]
impl Harness for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn server(&self) -> String {
        format!("SQLite {}", rusqlite::version())
    }

    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        let faults = self.faults.get(namespace, BatchFaults::default);
        let layer = |writer| -> Arc<dyn annalist_engine::group_commit::BatchWriter> {
            Arc::new(faults.before(writer))
        };
        Ok(Opened::new(SqliteStore::open_behind(self.file(namespace), config(), layer).await?))
    }

    async fn rewind(&self, namespace: &str, rewind: Rewind) -> Result<(), HookError> {
        let file = self.file(namespace);
        let done = tokio::task::spawn_blocking(move || rewound(&file, rewind)).await;
        done.map_err(|lost| HookError::Failed(lost.into()))?
    }

    async fn fault(&self, namespace: &str, fault: Fault) -> Result<(), HookError> {
        let faults = self.faults.get(namespace, BatchFaults::default);
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
        Ok(self.faults.get(namespace, BatchFaults::default).held())
    }

    async fn address(&self) -> Result<SocketAddr, HookError> {
        Err(no_connection())
    }

    async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        let folder = self.folder().to_str().ok_or_else(|| BoxError::from("the folder's path is no text"))?;
        Ok(vec![(VARIABLE.to_owned(), folder.to_owned())])
    }

    async fn own_server(&self) -> Result<Arc<dyn Server>, HookError> {
        Err(HookError::NotApplicable("a store in a file has no server to kill".to_owned()))
    }

    async fn own_disk(&self) -> Result<Arc<dyn Disk>, HookError> {
        let disk = tokio::task::spawn_blocking(test_servers::Disk::new).await.map_err(BoxError::from)?;
        Ok(Arc::new(Own(Arc::new(disk.map_err(BoxError::from)?))))
    }
}

/// A disk for one check, with the files on it.
struct Own(Arc<test_servers::Disk>);

#[async_trait]
impl Disk for Own {
    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        let file = self.0.path().join(format!("{namespace}.db"));
        Ok(Opened::new(SqliteStore::open(file, config()).await?))
    }

    async fn cut_power(&self) -> Result<(), BoxError> {
        let disk = self.0.clone();
        Ok(tokio::task::spawn_blocking(move || disk.cut()).await??)
    }
}

/// Changes the file behind the back of all who have it open.
fn rewound(file: &Path, rewind: Rewind) -> Result<(), HookError> {
    let text = match rewind {
        Rewind::To(position) => {
            let (head, _) = backend::numbers(position);
            format!(
                "DELETE FROM event WHERE position > {head}; DELETE FROM event_tag WHERE position > {head}"
            )
        }
        Rewind::AnotherLog => {
            let id = LogId::new().as_uuid().simple();
            format!("DELETE FROM event; DELETE FROM event_tag; UPDATE log SET id = x'{id}'")
        }
        _ => return Err(HookError::NotProvided),
    };
    let done = Connection::open(file)
        .and_then(|connection| connection.execute_batch(&format!("BEGIN IMMEDIATE; {text}; COMMIT")));
    done.map_err(|error| HookError::Failed(error.into()))
}

conformance_main!(Sqlite::default());
