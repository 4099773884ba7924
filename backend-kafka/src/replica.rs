//! The replica of the log in this process: a thread that reads the topic and folds it, and what everybody else may know of that.

mod thread;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annalist_core::{Error, ErrorKind, LogId, Position};
use tokio::sync::watch;
use uuid::Uuid;

use crate::client::Health;
use crate::error::internal;
use crate::fold::Fold;
use crate::local::Local;
use crate::sender::Pending;

pub(crate) use thread::start;

/// What a process knows of the log. The local store holds all of it, and may hold a little more.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) log: Option<LogId>,
    /// The offset up to which the log has been applied, exclusive.
    pub(crate) applied: u64,
    pub(crate) digest: u64,
    pub(crate) head: Position,
    /// Whether the topic was found to be the one that the local store was made of.
    pub(crate) is_checked: bool,
    /// Records that were not ours, and that came late or twice.
    pub(crate) foreign: u64,
    pub(crate) late: u64,
    /// Why nothing more will be applied.
    pub(crate) failure: Option<Error>,
}

pub(crate) struct Replica {
    local: Arc<Local>,
    view: watch::Sender<View>,
    pending: Pending,
    health: Health,
    writer: Uuid,
    stop: AtomicBool,
    ended: watch::Sender<bool>,
}

impl Replica {
    pub(crate) fn new(local: Arc<Local>, fold: &Fold) -> Self {
        Self {
            local,
            view: watch::Sender::new(View::of(fold)),
            pending: Pending::default(),
            health: Health::default(),
            writer: Uuid::new_v4(),
            stop: AtomicBool::new(false),
            ended: watch::Sender::new(false),
        }
    }

    pub(crate) fn local(&self) -> &Arc<Local> {
        &self.local
    }

    pub(crate) fn pending(&self) -> &Pending {
        &self.pending
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn writer(&self) -> Uuid {
        self.writer
    }

    /// How far the log has been applied, and the digest of that.
    pub(crate) fn digest(&self) -> (u64, u64) {
        let view = self.view.borrow();
        (view.applied, view.digest)
    }

    pub(crate) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Refuses when the fold has stopped for good.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.view.borrow().failure.clone().map_or(Ok(()), Err)
    }

    /// Waits until something holds of the view.
    pub(crate) async fn wait_until(&self, mut holds: impl FnMut(&View) -> bool) -> Result<(), Error> {
        let mut views = self.view.subscribe();
        let view = views.wait_for(|view| view.failure.is_some() || holds(view)).await;
        let view = view.map_err(|_| internal("the replica is gone"))?;
        view.failure.clone().map_or(Ok(()), Err)
    }

    fn publish(&self, fold: &Fold) {
        self.view.send_modify(|view| *view = View { is_checked: view.is_checked, ..View::of(fold) });
    }

    /// Tells that the topic is the one that was read before.
    fn checked(&self) {
        self.view.send_if_modified(|view| !std::mem::replace(&mut view.is_checked, true));
    }

    /// Stops for good, and tells everyone who waits.
    pub(crate) fn fail(&self, error: Error) {
        tracing::error!(%error, "the log cannot be read any further");
        if matches!(error.kind(), ErrorKind::Corrupt(_)) {
            self.local.condemn();
        }
        self.view.send_modify(|view| {
            view.failure.get_or_insert(error.clone());
        });
        self.pending.stopped(&error);
    }

    /// Ends because nobody has the store any more: who still waits for a record is told so, and none is sent any more.
    fn end(&self) {
        let closed = Error::from(ErrorKind::Closed);
        self.view.send_modify(|view| {
            view.failure.get_or_insert(closed.clone());
        });
        self.pending.stopped(&closed);
    }

    /// Lets the thread end, soon.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Waits until the thread has let go of the local store.
    pub(crate) async fn ended(&self) {
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

impl View {
    fn of(fold: &Fold) -> Self {
        let state = fold.state();
        Self {
            log: state.log,
            applied: state.applied,
            digest: state.digest,
            head: fold.head(),
            is_checked: state.last.is_none(),
            foreign: state.foreign,
            late: state.late,
            failure: None,
        }
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica").field("view", &*self.view.borrow()).finish_non_exhaustive()
    }
}
