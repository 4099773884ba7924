//! A server that belongs to one check, which kills it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use annalist_core::{Error, Query, Read};
use async_trait::async_trait;

use crate::{BoxError, Cx, Failure, Handle, HookError, Opened, Verdict};

/// A server that one check has for itself. Dropping it stops it and removes what it leaves behind.
///
/// ```
/// use std::process::{Child, Command};
/// use std::sync::Mutex;
///
/// use annalist_conformance::{BoxError, Opened, Server};
///
/// struct Mine {
///     process: Mutex<Child>,
///     folder: std::path::PathBuf,
///     port: u16,
/// }
///
/// impl Mine {
///     fn process(&self) -> std::sync::MutexGuard<'_, Child> {
///         self.process.lock().expect("nothing panics with the lock held")
///     }
/// }
///
/// #[async_trait::async_trait]
/// impl Server for Mine {
///     async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
///         // As `Harness::open`, at `self.port`.
/// #       let _ = (namespace, self.port);
///         # panic!("not in this example")
///     }
///
///     async fn kill(&self) -> Result<(), BoxError> {
///         self.process().kill()?;
///         self.process().wait()?;
///         Ok(())
///     }
///
///     async fn start(&self) -> Result<(), BoxError> {
///         *self.process() = Command::new("mydatabase").arg(&self.folder).spawn()?;
///         Ok(()) // once it answers
///     }
///
///     async fn pause(&self) -> Result<(), BoxError> {
///         Command::new("kill").arg("-STOP").arg(self.process().id().to_string()).status()?;
///         Ok(())
///     }
///
///     async fn resume(&self) -> Result<(), BoxError> {
///         Command::new("kill").arg("-CONT").arg(self.process().id().to_string()).status()?;
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Server: Send + Sync + 'static {
    /// Opens a namespace of this server, as [`Harness::open`](crate::Harness::open) does.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from being opened, also that the server is killed or stopped.
    async fn open(&self, namespace: &str) -> Result<Opened, BoxError>;

    /// Kills all of the server's processes at once, as by `kill -9`: nothing in it can tell. Returns once they are gone.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being killed.
    async fn kill(&self) -> Result<(), BoxError>;

    /// Starts it again after it was killed, on the same data and at the same address. Returns once it answers.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from starting.
    async fn start(&self) -> Result<(), BoxError>;

    /// Stops all of its processes where they stand, as by `kill -STOP`: connections stay, and nothing answers.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being stopped.
    async fn pause(&self) -> Result<(), BoxError>;

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from going on.
    async fn resume(&self) -> Result<(), BoxError>;

    /// Where this server listens, as [`Harness::address`](crate::Harness::address) tells it. It stays the same when the server is started again.
    ///
    /// # Errors
    ///
    /// [`HookError::NotProvided`] unless it can tell.
    async fn address(&self) -> Result<SocketAddr, HookError> {
        Err(HookError::NotProvided)
    }

    /// Opens a namespace of this server by way of another address, as [`Harness::open_through`](crate::Harness::open_through) does.
    ///
    /// # Errors
    ///
    /// As [`address`](Self::address), and whatever keeps the store from being opened.
    async fn open_through(&self, namespace: &str, address: SocketAddr) -> Result<Opened, HookError> {
        let _ = (namespace, address);
        Err(HookError::NotProvided)
    }

    /// What another process needs in its environment, so that its harness opens the namespaces of this server, as
    /// [`Harness::agent_environment`](crate::Harness::agent_environment) tells it.
    ///
    /// # Errors
    ///
    /// [`HookError::NotProvided`] unless it can tell.
    async fn agent_environment(&self) -> Result<Vec<(String, String)>, HookError> {
        Err(HookError::NotProvided)
    }
}

/// The check's own server, and a namespace on it.
#[derive(Clone)]
pub(crate) struct Served {
    cx: Cx,
    server: Arc<dyn Server>,
}

impl Cx {
    /// A server of the check's own; the check is unverified where the harness cannot.
    pub(crate) async fn served(&self) -> Verdict<Served> {
        Ok(Served { cx: self.clone(), server: self.own_server().await? })
    }
}

impl Served {
    /// Another handle on the namespace. It keeps the server from being dropped until it is closed.
    pub(crate) async fn handle(&self) -> Verdict<Handle> {
        let opened = self.server.open(self.cx.namespace()).await;
        let mut opened = opened.map_err(|error| failed("opened", &error))?;
        opened.guard = Box::new((opened.guard, self.server.clone()));
        Ok(self.cx.keep(opened))
    }

    /// Kills the server.
    pub(crate) async fn kill(&self) -> Verdict {
        self.steer("killed", self.server.kill()).await
    }

    /// Sees to it that a killed server is gone: `witness`, a handle that worked until now, must not be answered any more.
    pub(crate) async fn is_gone(&self, witness: &Handle) -> Verdict {
        // A store that waits for its server to come back will not answer at all, which is as good as an error. Not long: what makes its way back through
        // several kills has no more than one patience for all of them.
        let long = self.cx.patience() / 15;
        match tokio::time::timeout(long, look(witness, long)).await {
            Ok(Ok(())) => Err(Failure::Inconclusive("the server answers although it was killed".to_owned())),
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    /// Starts the server again.
    pub(crate) async fn start(&self) -> Verdict {
        self.steer("started", self.server.start()).await
    }

    /// Stops the server where it stands.
    pub(crate) async fn pause(&self) -> Verdict {
        self.steer("stopped", self.server.pause()).await
    }

    /// Lets the server go on.
    pub(crate) async fn resume(&self) -> Verdict {
        self.steer("resumed", self.server.resume()).await
    }

    async fn steer(&self, what: &str, done: impl Future<Output = Result<(), BoxError>>) -> Verdict {
        match tokio::time::timeout(self.cx.patience(), done).await {
            Ok(done) => done.map_err(|error| failed(what, &error)),
            Err(_) => Err(failed(what, &format!("it takes longer than {:?}", self.cx.patience()).into())),
        }
    }

    /// Waits until a handle is answered again. How long that takes is the store's own; patience is the end of it.
    pub(crate) async fn healed(&self, handle: &Handle) -> Verdict {
        let healed = async {
            let mut pause = Duration::from_millis(1);
            while look(handle, self.cx.patience() / 3).await.is_err() {
                // So that a store which refuses at once is not asked without a break.
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(100));
            }
        };
        self.cx.within("healing after the server was there again", healed).await
    }
}

/// Asks something that nobody but the server can answer.
pub(crate) async fn look(handle: &Handle, timeout: Duration) -> Result<(), Error> {
    handle.read(Read::log(Query::all()).limit(1).timeout(timeout)).await.map(drop)
}

fn failed(what: &str, error: &BoxError) -> Failure {
    Failure::Inconclusive(format!("the server of the check could not be {what}: {error}"))
}
