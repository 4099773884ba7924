//! A disk that belongs to one check, which cuts its power.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{BoxError, Cx, Failure, Handle, Opened, Verdict};

/// A disk that one check has for itself, with whatever works on it. Dropping it removes both.
///
/// ```
/// use annalist_conformance::{BoxError, Disk, Opened};
///
/// struct Mine {
///     mount: std::path::PathBuf,
/// }
///
/// #[async_trait::async_trait]
/// impl Disk for Mine {
///     async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
///         // As `Harness::open`, with the data on this disk.
/// #       let _ = (namespace, &self.mount);
///         # panic!("not in this example")
///     }
///
///     async fn cut_power(&self) -> Result<(), BoxError> {
///         // Kills what works on it, drops what was not flushed, and starts it again on what is left.
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Disk: Send + Sync + 'static {
    /// Opens a namespace on this disk, as [`Harness::open`](crate::Harness::open) does.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from being opened.
    async fn open(&self, namespace: &str) -> Result<Opened, BoxError>;

    /// Cuts the power: whatever was written and not flushed is gone, as are the processes of a server. Returns once the namespaces can be
    /// opened again, on what is left. Handles that were opened before may go on with what was before, or fail; nobody asks them any more.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being cut, or what is left from being of use.
    async fn cut_power(&self) -> Result<(), BoxError>;
}

/// The check's own disk, and a namespace on it.
pub(crate) struct OnDisk {
    cx: Cx,
    disk: Arc<dyn Disk>,
}

impl Cx {
    /// A disk of the check's own; the check is unverified where the harness cannot.
    pub(crate) async fn on_disk(&self) -> Verdict<OnDisk> {
        Ok(OnDisk { cx: self.clone(), disk: self.own_disk().await? })
    }
}

impl OnDisk {
    /// Another handle on the namespace. It keeps the disk from being dropped until it is closed.
    pub(crate) async fn handle(&self) -> Verdict<Handle> {
        let opened = self.disk.open(self.cx.namespace()).await;
        let mut opened = opened
            .map_err(|error| Failure::violation(format!("what is on a disk cannot be opened: {error}")))?;
        opened.guard = Box::new((opened.guard, self.disk.clone()));
        Ok(self.cx.keep(opened))
    }

    /// Cuts the power, and gives a handle on what is left.
    pub(crate) async fn after_cut(&self) -> Verdict<Handle> {
        let cut = self.cx.within("a power cut", self.disk.cut_power()).await?;
        cut.map_err(|error| Failure::Inconclusive(format!("the power was not cut: {error}")))?;
        self.handle().await
    }
}
