//! Opening a store, and setting one up.

use std::sync::Arc;

use annalist_core::{Error, ErrorKind};
use annalist_engine::group_commit::BatchWriter;
use tokio::time::timeout;

use crate::address::{Address, check_settings};
use crate::config::Config;
use crate::error::{misconfigured, unavailable};
use crate::fold::Fold;
use crate::local::Local;
use crate::replica::{self, Replica, View};
use crate::sender::Sender;
use crate::store::KafkaStore;
use crate::topic;

impl KafkaStore {
    /// Opens the store in the topic that a URL names: `kafka://host:port,host:port/topic?folder=…`.
    ///
    /// Options are `folder` ([`Config::folder`]), `replicas` ([`Config::replicas`]) and the settings of librdkafka that say who the client is
    /// ([`Config::client`]), percent-encoded.
    ///
    /// It returns once the replica has caught up with the topic. With a new folder, or none, that is all of it, which is logged as it goes on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a URL that is none; [`ErrorKind::Misconfigured`] for a topic that is missing, not set up, or has settings that
    /// would lose events, a user that is not let in, a folder that cannot be written or is in use; [`ErrorKind::WrongHistory`] where the folder is of
    /// another history than the topic; [`ErrorKind::Corrupt`] where the topic cannot be understood; [`ErrorKind::Unavailable`] where no broker
    /// answers within [`Config::connect_timeout`].
    pub async fn connect(url: &str, config: Config) -> Result<Self, Error> {
        Self::open(url, config, |writer| writer).await
    }

    /// As [`connect`](Self::connect), with something between the store's queue and the topic: for tests of what happens when the way to the
    /// broker breaks.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    #[cfg(feature = "testing")]
    pub async fn connect_behind(
        url: &str,
        config: Config,
        layer: impl FnOnce(Arc<dyn BatchWriter>) -> Arc<dyn BatchWriter>,
    ) -> Result<Self, Error> {
        Self::open(url, config, layer).await
    }

    /// Creates the topic that a URL names, and begins its log. Does nothing where all is there already; may be done by many at once.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); [`ErrorKind::Misconfigured`] also where the user may not create it.
    pub async fn setup(url: &str, config: &Config) -> Result<(), Error> {
        let mut config = config.clone();
        let address = Address::parse(url, &mut config)?;
        check_settings(&config)?;
        topic::set_up(address, config).await
    }

    async fn open(
        url: &str,
        mut config: Config,
        layer: impl FnOnce(Arc<dyn BatchWriter>) -> Arc<dyn BatchWriter>,
    ) -> Result<Self, Error> {
        let address = Address::parse(url, &mut config)?;
        check_settings(&config)?;
        let found = topic::check(address.clone(), config.clone()).await?;
        if found.end == 0 {
            return Err(misconfigured("the topic is empty: it was not set up"));
        }
        Self::open_found(&address, config, found, layer).await
    }

    /// As [`connect`](Self::connect), to a topic whose settings nobody can tell, and which is set up where it is empty: for tests with a mock of a
    /// cluster.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    #[cfg(feature = "testing")]
    pub async fn connect_unchecked(url: &str, mut config: Config) -> Result<Self, Error> {
        let address = Address::parse(url, &mut config)?;
        let found = topic::begin_unchecked(address.clone(), config.clone()).await?;
        Self::open_found(&address, config, found, |writer| writer).await
    }

    async fn open_found(
        address: &Address,
        config: Config,
        found: topic::Found,
        layer: impl FnOnce(Arc<dyn BatchWriter>) -> Arc<dyn BatchWriter>,
    ) -> Result<Self, Error> {
        let (replica, fold) = load(&config).await?;
        let replica = Arc::new(replica);
        let opening = Opening(Some(replica.clone()));
        if fold.state().applied > found.end {
            return Err(crate::error::wrong_history(
                "the folder has read further than the topic goes: it was made anew, or cut off",
            ));
        }
        replica::start(&replica, fold, address, &config)?;
        catch_up(&replica, found.end, &config).await?;
        let log = replica.view().log.ok_or_else(|| misconfigured("the topic holds no log"))?;
        let sender = Sender::new(address, &config, replica, log)?;
        opening.done();
        Ok(Self::over(config, found, log, sender, layer))
    }
}

/// Ends the thread of a replica whose store was not opened after all.
struct Opening(Option<Arc<Replica>>);

impl Opening {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(replica) = &self.0 {
            replica.stop();
        }
    }
}

/// The replica as the folder has it.
async fn load(config: &Config) -> Result<(Replica, Fold), Error> {
    let (folder, cache_bytes) = (config.folder.clone(), config.cache_bytes);
    let loaded = tokio::task::spawn_blocking(move || {
        let local = Arc::new(match &folder {
            None => Local::in_memory(),
            Some(folder) => Local::in_folder(folder, cache_bytes)?,
        });
        let fold = match (Fold::over(local.clone()), &folder) {
            (Err(error), Some(folder)) if matches!(error.kind(), ErrorKind::Corrupt(_)) => {
                tracing::warn!(%error, "the local store cannot be understood and is made anew from the topic");
                local.condemn();
                drop(local);
                let local = Arc::new(Local::in_folder(folder, cache_bytes)?);
                let fold = Fold::over(local.clone())?;
                return Ok((Replica::new(local, &fold), fold));
            }
            (fold, _) => fold?,
        };
        Ok((Replica::new(local, &fold), fold))
    });
    loaded.await.unwrap_or_else(|error| Err(unavailable("the runtime is shutting down").with_source(error)))
}

/// Waits until all is applied that was in the topic when it was looked at, and the topic is known to be the one of the folder; not for the whole
/// of it, but for each next step.
async fn catch_up(replica: &Replica, end: u64, config: &Config) -> Result<(), Error> {
    loop {
        let View { applied, is_checked, .. } = replica.view();
        if applied >= end && is_checked {
            // Also where the thread has failed since.
            return replica.check();
        }
        let more = replica.wait_until(|view| view.applied > applied || view.is_checked != is_checked);
        timeout(config.connect_timeout, more)
            .await
            .map_err(|_| unavailable("the broker gave no more of the topic while the store was opened"))??;
    }
}
