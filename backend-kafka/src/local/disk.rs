//! The local store on disk.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use annalist_core::{Error, ErrorKind};
use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use tracing::warn;

use super::{See, Table, Way, damaged};

/// Beside the store's own files; while it is there, they are not taken up.
const CONDEMNED: &str = "CONDEMNED";
/// The folder within the one that was given, so that nothing of somebody else's is ever removed.
const FOLDER: &str = "annalist-local";

pub(crate) struct Disk {
    folder: PathBuf,
    database: Database,
    tables: Vec<Keyspace>,
}

impl Disk {
    pub(super) fn open(folder: &Path, cache_bytes: u64) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(no_folder)?;
        let condemned = folder.join(CONDEMNED);
        if condemned.exists() {
            Self::remove(folder)?;
            fs::remove_file(&condemned).map_err(no_folder)?;
        }
        match Self::open_once(folder, cache_bytes) {
            Err(fjall::Error::Locked) => {
                let message = "the folder is in use by another store; each needs one of its own";
                Err(ErrorKind::Misconfigured(message.to_owned()).into())
            }
            Err(error) => {
                warn!(%error, "the local store cannot be understood and is made anew from the topic");
                Self::remove(folder)?;
                Self::open_once(folder, cache_bytes).map_err(damaged)
            }
            Ok(disk) => Ok(disk),
        }
    }

    fn remove(folder: &Path) -> Result<(), Error> {
        match fs::remove_dir_all(folder.join(FOLDER)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(no_folder(error)),
            _ => Ok(()),
        }
    }

    fn open_once(folder: &Path, cache_bytes: u64) -> Result<Self, fjall::Error> {
        let database = Database::builder(folder.join(FOLDER)).cache_size(cache_bytes).open()?;
        let mut tables = Vec::with_capacity(Table::ALL.len());
        for table in Table::ALL {
            tables.push(database.keyspace(table.name(), KeyspaceCreateOptions::default)?);
        }
        Ok(Self { folder: folder.to_owned(), database, tables })
    }

    fn table(&self, table: Table) -> &Keyspace {
        &self.tables[table as usize]
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.table(table).get(key).map_err(damaged)?.map(Bytes::from))
    }

    pub(super) fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        way: Way,
        see: See<'_>,
    ) -> Result<(), Error> {
        let mut range = self.table(table).range(from..to);
        loop {
            let entry = match way {
                Way::Up => range.next(),
                Way::Down => range.next_back(),
            };
            let Some(entry) = entry else { return Ok(()) };
            let (key, value) = entry.into_inner().map_err(damaged)?;
            if see(&key, value.into())?.is_break() {
                return Ok(());
            }
        }
    }

    pub(super) fn apply(&self, changes: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>) -> Result<(), Error> {
        let mut batch = self.database.batch();
        for (table, key, value) in changes {
            match value {
                Some(value) => batch.insert(self.table(table), key, value),
                None => batch.remove(self.table(table), key),
            }
        }
        batch.commit().map_err(damaged)
    }

    pub(super) fn condemn(&self) {
        if let Err(error) = fs::write(self.folder.join(CONDEMNED), b"") {
            warn!(%error, "the local store is damaged and could not be marked: remove its folder");
        }
    }
}

fn no_folder(error: std::io::Error) -> Error {
    let message = "the folder of the local store cannot be made or written".to_owned();
    Error::new(ErrorKind::Misconfigured(message)).with_source(error)
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("folder", &self.folder).finish_non_exhaustive()
    }
}
