//! What a server does with a batch between its coming and its commit: nothing, unless it has a flaw.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use annalist_core::{Append, EventId, ExpectedVersion, Page};
use tokio::sync::OwnedMutexGuard;

use super::server::Base;
use super::wire::{Reply, WireError, WireReceipt};
use crate::edit::{edit_writes, keep};
use crate::faulty::{Answer, Loss};
use crate::look::demands;

/// What a server does wrongly.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ServerFlaw {
    None,
    /// Events get their places when they come, and are seen once they are committed.
    PlacesAtPrepare,
    /// A batch has a lock of its namespace from its coming to its commit.
    LockedSincePrepare,
    /// A batch has a lock of the whole server from its coming to its commit.
    AllLockedSincePrepare,
    /// What is expected is looked at when a batch comes, and what is written is written when it is committed.
    CheckedAtPrepare,
}

pub type Lock = Arc<tokio::sync::Mutex<()>>;

/// What the flaw of a server remembers of one namespace.
#[derive(Default)]
pub struct Wrong {
    hidden: Mutex<HashSet<EventId>>,
    lock: Lock,
}

impl Wrong {
    fn hidden(&self) -> MutexGuard<'_, HashSet<EventId>> {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page without what is hidden.
    pub fn seen(&self, mut page: Page) -> Page {
        let hidden = self.hidden();
        page.events.retain(|event| !hidden.contains(&event.id()));
        page
    }
}

/// A batch that has come, and what a flaw has made of it already.
#[derive(Default)]
pub struct Prepared {
    batch: Vec<Append>,
    answers: Option<Vec<Answer>>,
    _lock: Option<OwnedMutexGuard<()>>,
}

impl Prepared {
    pub async fn take_in(base: &Base, batch: Vec<Append>, (flaw, all): &(ServerFlaw, Lock)) -> Self {
        let nothing = Self { batch, ..Self::default() };
        match flaw {
            ServerFlaw::None => nothing,
            ServerFlaw::PlacesAtPrepare => nothing.placed(base).await,
            ServerFlaw::LockedSincePrepare => nothing.locked(&base.wrong.lock).await,
            ServerFlaw::AllLockedSincePrepare => nothing.locked(all).await,
            ServerFlaw::CheckedAtPrepare => nothing.checked(base).await,
        }
    }

    async fn locked(mut self, lock: &Lock) -> Self {
        self._lock = Some(lock.clone().lock_owned().await);
        self
    }

    async fn placed(mut self, base: &Base) -> Self {
        let mut answers = Vec::new();
        for append in &self.batch {
            base.wrong.hidden().extend(append.events().map(|(_, event)| event.id()));
            answers.push(base.events.append(append.clone()).await);
        }
        self.answers = Some(answers);
        self
    }

    async fn checked(mut self, base: &Base) -> Self {
        for append in &mut self.batch {
            if base.events.append(demands(append)).await.is_ok() {
                let any = edit_writes(append, |write| write.expected = ExpectedVersion::Any);
                *append = keep(&any, false, false);
            }
        }
        self
    }

    /// Fails, and thereby ends the connection, where the replies are lost.
    pub async fn commit(self, base: &Base) -> io::Result<Reply> {
        let told = |answer: Answer| answer.map(WireReceipt::from).map_err(WireError::from);
        let answers = match self.answers {
            Some(answers) => Ok(answers),
            None => base.way.send(base.events.clone(), &self.batch).await,
        };
        let mut hidden = base.wrong.hidden();
        for (_, event) in self.batch.iter().flat_map(Append::events) {
            hidden.remove(&event.id());
        }
        match answers {
            Ok(answers) => Ok(Reply::Receipts(answers.into_iter().map(told).collect())),
            Err(Loss::NotSent) => Ok(Reply::NotSent),
            Err(Loss::Unknown) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}
