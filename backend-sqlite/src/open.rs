//! Opening a store: a file that is there, or a new one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use annalist_core::{Error, ErrorKind};
use annalist_engine::group_commit::BatchWriter;
use annalist_engine::later;
use tokio::time::{Instant, timeout_at};

use crate::config::Config;
use crate::connection::{Link, gone, patiently};
use crate::error::{misconfigured, unavailable};
use crate::schema;
use crate::store::SqliteStore;

impl SqliteStore {
    /// Opens the store in a file, which is made where it is not there, unless [`Config::create`] forbids that. Any number of processes may do it at once.
    ///
    /// All handles of a process on one file share the thread that writes, and the first one's [`Config::wal_bytes_max`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] for a path that leads to no folder, a file that is none of SQLite or of something else, that is read-only, or
    /// that a newer version has changed too much; [`ErrorKind::Corrupt`] for one that is damaged; [`ErrorKind::Unavailable`] where the file is
    /// locked for longer than [`Config::timeout`], or the disk is full.
    pub async fn open(path: impl AsRef<Path>, config: Config) -> Result<Self, Error> {
        Self::open_layered(path.as_ref(), config, |writer| writer).await
    }

    /// As [`open`](Self::open), with something between the store's queue and the thread that writes: for tests of what happens when the way
    /// to the file breaks.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    #[cfg(feature = "testing")]
    pub async fn open_behind(
        path: impl AsRef<Path>,
        config: Config,
        layer: impl FnOnce(Arc<dyn BatchWriter>) -> Arc<dyn BatchWriter>,
    ) -> Result<Self, Error> {
        Self::open_layered(path.as_ref(), config, layer).await
    }

    async fn open_layered(
        path: &Path,
        config: Config,
        layer: impl FnOnce(Arc<dyn BatchWriter>) -> Arc<dyn BatchWriter>,
    ) -> Result<Self, Error> {
        let deadline = later(Instant::now(), config.timeout);
        let (path, create) = (path.to_owned(), config.create);
        let opening = tokio::task::spawn_blocking(move || prepared(&path, create, deadline));
        let opened = timeout_at(deadline, opening).await;
        let opened = opened.map_err(|_| unavailable("the file was locked for longer than the time-out"))?;
        let (path, link) = opened.map_err(|lost| {
            Error::new(ErrorKind::Internal("the opening was lost".into())).with_source(lost)
        })??;
        Self::over(path, link, config, layer)
    }
}

/// A file of an event store, whatever it was before, under the path by which all who open it know it.
fn prepared(path: &Path, create: bool, deadline: Instant) -> Result<(PathBuf, Link), Error> {
    let path = whole(path)?;
    if !create && !path.exists() {
        return Err(gone(&path));
    }
    let link = patiently(deadline.into_std(), || {
        let mut link = Link::create(&path)?;
        schema::prepare(&mut link.connection)?;
        Ok(link)
    })?;
    Ok((path, link))
}

/// The path with nothing in it that leads elsewhere: SQLite names the files beside it by the path, and two names for one file would have two
/// write-ahead logs.
fn whole(path: &Path) -> Result<PathBuf, Error> {
    if let Ok(found) = path.canonicalize() {
        return Ok(found);
    }
    let name = path.file_name().ok_or_else(|| misconfigured("the path names no file"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|cause| {
        misconfigured(format!("there is no folder {}", folder.display())).with_source(cause)
    })?;
    Ok(folder.join(name))
}
