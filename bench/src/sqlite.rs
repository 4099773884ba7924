//! SQLite: Annalist's store beside a bare loop over the driver, on a table of the same columns and indexes and with the same durability.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use annalist_sqlite::{Config, SqliteStore, rusqlite};

use crate::annalist::Annalist;
use crate::subject::{Backend, Crowd, Durability, Result, Side, Volume};

mod raw;
mod row;

use raw::RawSqlite;

pub(crate) struct Sqlite;

impl Backend for Sqlite {
    const NAME: &'static str = "sqlite";
    const HAS_PROCESSES: bool = true;
    type Ours = Store;
    type Raw = Table;

    fn find() -> Result<Self> {
        Ok(Self)
    }

    fn ours(&self) -> &Store {
        &Store
    }

    fn raw(&self) -> &Table {
        &Table
    }

    fn server(&self) -> Result<Option<String>> {
        Ok(Some(format!("SQLite {}", rusqlite::version())))
    }

    fn durability(&self) -> Result<Durability> {
        let settings = "a write-ahead log with `synchronous = FULL`: each commit is flushed".to_owned();
        Ok(Durability { settings, folder: Some(std::env::temp_dir()) })
    }

    fn volume(&self) -> Volume {
        Volume {
            alone: 10_000,
            singles: 20_000,
            batched: 100_000,
            slice: 16_000,
            racing: 2_000,
            stream_reads: 1_000_000,
            log: 200_000,
        }
    }
}

/// The path of a file that no other round, and no other run, has.
fn file(side: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name =
        format!("annalist-bench-{side}-{}-{}.db", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    std::env::temp_dir().join(name)
}

fn name(file: PathBuf) -> Result<String> {
    file.into_os_string().into_string().map_err(|_| "the path of the temporary folder is no text".into())
}

fn remove(log: &str) -> Result<()> {
    std::fs::remove_file(log)?;
    for beside in ["-wal", "-shm"] {
        // Mostly gone with the last connection.
        let _ = std::fs::remove_file(format!("{log}{beside}"));
    }
    Ok(())
}

pub(crate) struct Store;

impl Side for Store {
    type Subject = Annalist;

    async fn create(&self) -> Result<String> {
        name(file("annalist"))
    }

    async fn open(&self, log: &str, _: Crowd) -> Result<Annalist> {
        Ok(Annalist::new(SqliteStore::open(log, Config::default()).await?))
    }

    async fn remove(&self, log: &str) -> Result<()> {
        remove(log)
    }
}

pub(crate) struct Table;

impl Side for Table {
    type Subject = RawSqlite;

    async fn create(&self) -> Result<String> {
        let file = file("raw");
        raw::connect(&file)?.execute_batch(raw::TABLE)?;
        name(file)
    }

    async fn open(&self, log: &str, _: Crowd) -> Result<RawSqlite> {
        RawSqlite::open(log.into())
    }

    async fn remove(&self, log: &str) -> Result<()> {
        remove(log)
    }
}
