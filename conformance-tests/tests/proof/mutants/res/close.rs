//! Stores that close, drop or start wrongly.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use annalist_conformance::{BoxError, Namespaces, Opened};
use annalist_core::{
    Append, Error, ErrorKind, EventStore, Position, Query, Read, Receipt, Subscribe, Subscription,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::{Broken, Bug};
use crate::mutants::Mutant;
use crate::world::{World, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "closed_and_written",
        guarantee: "C2",
        twin: "a caller told of the end while its append goes on in a task",
        expected: &["res.close_flushes"],
        make: || each_handle(ClosedAndWritten::default),
    },
    Mutant {
        name: "close_wakes_nobody",
        guarantee: "C2",
        twin: "waiters woken by appends alone",
        expected: &["res.close_wakes_waiters"],
        make: || each_handle(|| WakesNobody),
    },
    Mutant {
        name: "dropped_handle_loses_its_last",
        guarantee: "C2",
        twin: "writing behind, flushed by `close` alone",
        expected: &["res.drop_without_close"],
        make: || each_handle(WritesBehind::default),
    },
    Mutant {
        name: "handles_never_given_back",
        guarantee: "C2",
        twin: "connections that outlive their handles, up to the server's limit",
        expected: &["res.open_often"],
        make: || Arc::new(NeverGivenBack::default()),
    },
    Mutant {
        name: "blocks_in_place",
        guarantee: "E3",
        twin: "`block_in_place` around a driver that blocks",
        expected: &["res.current_thread", "res.no_task_leak"],
        make: || each_handle(|| BlocksInPlace),
    },
    Mutant {
        name: "detached_task_for_each_subscription",
        guarantee: "C2",
        twin: "a loop spawned for each subscription, which nothing ends",
        expected: &["res.no_task_leak"],
        make: || each_handle(|| Detached),
    },
];

/// Tells an append that the store was closed, which was written nevertheless.
#[derive(Default)]
struct ClosedAndWritten(AtomicBool);

#[async_trait]
impl Bug for ClosedAndWritten {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let answer = honest.append(append).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        if self.0.load(Ordering::SeqCst) { Err(ErrorKind::Closed.into()) } else { answer }
    }

    async fn close(&self, honest: &MemoryStore) -> Result<(), Error> {
        self.0.store(true, Ordering::SeqCst);
        honest.close().await
    }
}

struct WakesNobody;

#[async_trait]
impl Bug for WakesNobody {
    async fn wait_for_more(&self, honest: &MemoryStore, after: Position) -> Result<(), Error> {
        honest.read(Read::log(Query::all()).limit(0)).await?;
        honest.another_handle().wait_for_more(after).await
    }
}

/// When it is dropped before it was closed, its last append was never written.
#[derive(Default)]
struct WritesBehind(Mutex<Option<(MemoryStore, Position)>>);

impl WritesBehind {
    fn remember(&self, unwritten: Option<(MemoryStore, Position)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = unwritten;
    }
}

#[async_trait]
impl Bug for WritesBehind {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let before = honest.read(Read::log(Query::all()).limit(0)).await?.head;
        let answer = honest.append(append).await;
        self.remember(Some((honest.another_handle(), before)));
        answer
    }

    async fn close(&self, honest: &MemoryStore) -> Result<(), Error> {
        self.remember(None);
        honest.close().await
    }
}

impl Drop for WritesBehind {
    fn drop(&mut self) {
        let unwritten = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((log, before)) = unwritten {
            // Whoever appended meanwhile has restored an older log: that one is not this bug's.
            drop(log.restore_to(before));
        }
    }
}

/// A world whose namespaces can be opened sixty times.
#[derive(Default)]
struct NeverGivenBack(Namespaces<Arc<AtomicUsize>>);

struct Honest;

impl Bug for Honest {}

#[async_trait]
impl World for NeverGivenBack {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        Arc::new(Honest)
    }

    async fn open(&self, namespace: &str, honest: MemoryStore) -> Result<Opened, BoxError> {
        const HANDLES_MAX: usize = 60;
        if self.0.get(namespace, Arc::default).fetch_add(1, Ordering::SeqCst) >= HANDLES_MAX {
            return Err("sorry, too many clients already".into());
        }
        let store = Broken::new(honest, self.bug(namespace));
        Ok(Opened::of(store.clone(), store.clone(), store))
    }
}

struct BlocksInPlace;

#[async_trait]
impl Bug for BlocksInPlace {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        tokio::task::block_in_place(std::thread::yield_now);
        honest.append(append).await
    }
}

struct Detached;

#[async_trait]
impl Bug for Detached {
    async fn subscribe(
        &self,
        honest: &MemoryStore,
        _: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        drop(tokio::spawn(std::future::pending::<()>()));
        honest.subscribe(subscribe).await
    }
}
