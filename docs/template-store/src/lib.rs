//! A store to copy when you write a backend for Annalist: a list behind a lock, and everything found by looking through it.
//!
//! It is slow on purpose. What is worth copying is its order: what a backend must keep ([`Row`]), what it tells the engine's
//! admission about it ([`Facts`]), and then the three traits, method by method.

mod checkpoint;
mod rows;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use annalist_core::{
    Append, Capabilities, Capability, Consistency, Error, ErrorKind, EventStore, Limits, LogId, Page, Position, Read,
    Receipt, Source, Subscribe, Subscription, Survives,
};
use annalist_engine::WakeUp;
use annalist_engine::admission::{Verdict, admit};
use async_trait::async_trait;

use crate::checkpoint::Checkpoints;
use crate::rows::Rows;
use crate::snapshot::Snapshots;

/// A handle on a list of events.
#[derive(Clone, Debug)]
pub struct TemplateStore {
    data: Arc<Data>,
    closed: Arc<AtomicBool>,
}

/// What every handle on one list shares. A real backend has a connection here.
#[derive(Debug)]
struct Data {
    capabilities: Capabilities,
    state: Mutex<State>,
    wake_up: WakeUp,
}

#[derive(Debug)]
struct State {
    rows: Rows,
    snapshots: Snapshots,
    checkpoints: Checkpoints,
}

impl TemplateStore {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        let log = LogId::new();
        let state =
            State { rows: Rows::new(log), snapshots: BTreeMap::new(), checkpoints: BTreeMap::new() };
        let data = Data { capabilities: capabilities(), state: Mutex::new(state), wake_up: WakeUp::of(log) };
        Self { data: Arc::new(data), closed: Arc::default() }
    }

    /// A second, independent handle on the same list.
    #[must_use]
    pub fn another_handle(&self) -> Self {
        Self { data: Arc::clone(&self.data), closed: Arc::default() }
    }

    /// Everything behind the lock, if this handle is open.
    fn state(&self) -> Result<MutexGuard<'_, State>, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(ErrorKind::Closed.into());
        }
        Ok(self.data.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for TemplateStore {
    fn default() -> Self {
        Self::new()
    }
}

/// Promise everything; take back what your technology rules out, and say why.
fn capabilities() -> Capabilities {
    const WHY: &str = "a list in memory";
    Capabilities::full(Limits::FLOOR)
        .durability(Survives::Nothing, WHY)
        .recorded_at_resolution(Duration::from_nanos(1))
        .queries_scan()
        .without(Capability::Durability, WHY)
        .without(Capability::Processes, WHY)
        .without(Capability::LocalReads, "every read is linearizable")
}

#[async_trait]
impl EventStore for TemplateStore {
    async fn append(&self, append: Append) -> Result<Receipt, Error> {
        // Invalid comes before every other verdict, and before anything is sent.
        self.data.capabilities.limits().check_append(&append)?;
        let receipt = {
            // Facts, verdict and commit belong to one state: one lock here, one transaction in a database.
            let mut state = self.state()?;
            match admit(&append, &state.rows)? {
                Verdict::Accepted => state.rows.commit(&append, SystemTime::now()),
                Verdict::AlreadyCommitted(receipt) => return Ok(receipt),
                Verdict::Refused(refusal) => return Err(refusal),
            }
        };
        self.data.wake_up.wake();
        Ok(receipt)
    }

    async fn read(&self, read: Read) -> Result<Page, Error> {
        self.data.capabilities.limits().check_read(&read)?;
        if read.consistency() != Consistency::Linearizable {
            self.data.capabilities.require(Capability::LocalReads)?;
        }
        let state = self.state()?;
        match read.source() {
            Source::Stream(stream) => state.rows.read_stream(&read, stream),
            Source::Log(query) => state.rows.read_log(&read, query),
            // What you do not know, you refuse.
            other => Err(ErrorKind::Unsupported(format!("reading {other:?}")).into()),
        }
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error> {
        annalist_engine::subscribe(Arc::new(self.clone()), subscribe).await
    }

    async fn wait_for_more(&self, after: Position) -> Result<(), Error> {
        let more = || self.state().map_or(true, |state| state.rows.head() > after);
        self.data.wake_up.wait_until(more).await;
        self.state().map(drop)
    }

    fn capabilities(&self) -> &Capabilities {
        &self.data.capabilities
    }

    async fn close(&self) -> Result<(), Error> {
        self.closed.store(true, Ordering::Release);
        self.data.wake_up.wake();
        Ok(())
    }
}
