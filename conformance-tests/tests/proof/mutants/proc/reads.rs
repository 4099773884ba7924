//! Clients that read what their own process has, and servers that show events late.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use annalist_core::{
    Append, Capabilities, Error, EventStore, Page, Position, Read, Receipt, Subscribe, Subscription,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::Notify;

use crate::bug::Broken;
use crate::mutants::{Mutant, late_commit};
use crate::remote::{Base, RemoteStore};
use crate::served::{Client, Fate, Served, served, with_fate};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "reads_cached_in_the_process",
        guarantee: "R3",
        twin: "a cache of pages that own appends empty",
        expected: &["proc.visibility"],
        make: || served(ReadsCached::default()),
    },
    Mutant {
        name: "processes_apart",
        guarantee: "R3",
        twin: "each process with a file or an embedded store of its own",
        expected: &["proc.visibility", "proc.one_winner", "proc.twins"],
        make: Served::apart,
    },
    Mutant {
        name: "woken_in_the_process_only",
        guarantee: "S2",
        twin: "an in-process channel for live events, and a poll for safety once an hour",
        expected: &["proc.live"],
        make: || served(WokenHere::default()),
    },
    Mutant {
        name: "served_position_given_before_commit",
        guarantee: "G2",
        twin: "bigserial, under the eyes of another process",
        expected: &["proc.tail"],
        make: || with_fate(|| Arc::new(LateCommits)),
    },
];

/// Reads once, and then answers what it knows until its own process appends.
#[derive(Default)]
struct ReadsCached(Mutex<HashMap<String, Page>>);

#[async_trait]
impl Client for ReadsCached {
    async fn append(&self, remote: &RemoteStore, append: Append) -> Result<Receipt, Error> {
        let answer = remote.append(append).await;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
        answer
    }

    async fn read(&self, remote: &RemoteStore, read: Read) -> Result<Page, Error> {
        let key = format!("{read:?}");
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(page) = known {
            return Ok(page);
        }
        let page = remote.read(read).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, page.clone());
        Ok(page)
    }
}

/// Waits for the appends of its own process.
#[derive(Default)]
struct WokenHere {
    appended: Arc<Notify>,
}

#[async_trait]
impl Client for WokenHere {
    async fn append(&self, remote: &RemoteStore, append: Append) -> Result<Receipt, Error> {
        let answer = remote.append(append).await;
        self.appended.notify_waiters();
        answer
    }

    async fn subscribe(
        &self,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let capabilities = store.capabilities().clone().wake_up_within(Duration::from_secs(3_600));
        let hourly = Hourly { store, appended: self.appended.clone(), capabilities };
        annalist_engine::subscribe(Arc::new(hourly), subscribe).await
    }
}

/// A store that looks once an hour where nothing in its process wakes it.
#[derive(Debug)]
struct Hourly {
    store: Arc<dyn EventStore>,
    appended: Arc<Notify>,
    capabilities: Capabilities,
}

#[async_trait]
impl EventStore for Hourly {
    async fn append(&self, append: Append) -> Result<Receipt, Error> {
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.store.read(read).await
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        self.store.subscribe(subscribe).await
    }

    async fn wait_for_more(&self, _: Position) -> Result<(), Error> {
        self.appended.notified().await;
        Ok(())
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn close(&self) -> Result<(), Error> {
        self.store.close().await
    }
}

struct LateCommits;

impl Fate for LateCommits {
    fn base(&self, honest: MemoryStore) -> Base {
        Base::of(Broken::new(honest, Arc::new(late_commit())))
    }
}
