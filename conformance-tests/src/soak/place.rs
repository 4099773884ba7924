//! Where the log of a soak is, and the ways to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::{BoxError, Fault, Handle, Harness, HookError, Opened, Server};

/// A namespace: of a server of the soak's own where the backend has one that can be killed, else of what the harness opens.
pub(super) struct Place {
    pub(super) harness: Arc<dyn Harness>,
    pub(super) server: Result<Arc<dyn Server>, HookError>,
    pub(super) namespace: String,
    pub(super) patience: Duration,
}

/// A way to the log, by which any number of handles can be opened.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) place: Arc<Place>,
    /// Through this address, where it is not straight.
    pub(super) through: Option<SocketAddr>,
}

impl Place {
    /// A place for a soak: it has a server of its own where it can.
    pub(super) async fn new(harness: Arc<dyn Harness>, namespace: String, patience: Duration) -> Self {
        let server = harness.own_server().await;
        Self { harness, server, namespace, patience }
    }

    /// A place that was made in another process.
    pub(super) fn of_agent(harness: Arc<dyn Harness>, namespace: String, patience: Duration) -> Self {
        Self { harness, server: Err(HookError::NotProvided), namespace, patience }
    }

    pub(super) fn way(self: &Arc<Self>) -> Way {
        Way { place: self.clone(), through: None }
    }

    pub(super) async fn address(&self) -> Result<SocketAddr, HookError> {
        match &self.server {
            Ok(server) => server.address().await,
            Err(_) => self.harness.address().await,
        }
    }

    pub(super) async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        match &self.server {
            Ok(server) => server.agent_environment().await,
            Err(_) => self.harness.agent_environment().await,
        }
    }

    /// Breaks the way to the log from within, which the harness can do on its own server alone.
    pub(super) async fn fault(&self, fault: Fault) -> Result<(), HookError> {
        match &self.server {
            Ok(_) => Err(HookError::NotApplicable(
                "the network is broken instead, in front of the soak's own server".to_owned(),
            )),
            Err(_) => self.harness.fault(&self.namespace, fault).await,
        }
    }

    async fn opened(&self, through: Option<SocketAddr>) -> Result<Opened, HookError> {
        Ok(match (&self.server, through) {
            (Ok(server), None) => server.open(&self.namespace).await?,
            (Ok(server), Some(address)) => server.open_through(&self.namespace, address).await?,
            (Err(_), None) => self.harness.open(&self.namespace).await?,
            (Err(_), Some(address)) => self.harness.open_through(&self.namespace, address).await?,
        })
    }
}

impl Way {
    /// Another handle.
    pub(super) async fn open(&self) -> Result<Handle, HookError> {
        let mut opened = self.place.opened(self.through).await?;
        // The server is not gone before its last handle is.
        opened.guard = Box::new((opened.guard, self.place.clone()));
        Ok(Handle::new(opened, self.place.patience))
    }

    /// Another handle, tried for again while it cannot be opened: a fault may be under way.
    pub(super) async fn open_at_last(&self, patience: Duration) -> Result<Handle, BoxError> {
        const BREATH: Duration = Duration::from_millis(100);
        let mut last = String::new();
        let opened = async {
            loop {
                match self.open().await {
                    Ok(handle) => return handle,
                    Err(error) => last = format!("{error:?}"),
                }
                tokio::time::sleep(BREATH).await;
            }
        };
        match tokio::time::timeout(2 * patience, opened).await {
            Ok(handle) => Ok(handle),
            Err(_) => Err(format!("not within {:?}: {last}", 2 * patience).into()),
        }
    }
}
