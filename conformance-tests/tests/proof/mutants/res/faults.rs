//! Senders whose queue, or whose dropping, goes wrong.

use std::sync::Arc;

use annalist_core::{Append, Error, ErrorKind};
use annalist_engine::group_commit::GroupCommit;
use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::Slot;
use crate::faulty::{Answer, Carrier, Sender, faulty, unavailable};
use crate::mutants::Mutant;
use crate::senders::{Direct, Writer, group_config};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "full_queue_refuses",
        guarantee: "C2",
        twin: "`try_send`",
        expected: &["res.full_queue_waits"],
        make: || faulty(|way| Arc::new(FullRefuses { commits: commits(way), places: Semaphore::new(64) })),
    },
    Mutant {
        name: "dropped_append_stays_queued",
        guarantee: "C1",
        twin: "an owned request in a channel, whose caller is not asked for",
        expected: &["res.withdrawn_append_is_absent"],
        make: || faulty(|way| Arc::new(StaysQueued(Arc::new(commits(way))))),
    },
    Mutant {
        name: "dropped_in_flight_breaks_connection",
        guarantee: "C1",
        twin: "one connection, which is broken when a future is dropped that waits on it",
        expected: &["res.in_flight_append_completes"],
        make: || {
            faulty(|way| Arc::new(BreaksConnection { direct: Direct::new(way), in_use: Slot::default() }))
        },
    },
    Mutant {
        name: "close_flushes_nothing",
        guarantee: "C2",
        twin: "a task that is left to itself by `close`",
        expected: &["res.close_waits_for_what_is_in_flight"],
        make: || faulty(|way| Arc::new(FlushesNothing(commits(way)))),
    },
];

fn commits(way: Arc<dyn Carrier>) -> GroupCommit {
    GroupCommit::new(Arc::new(Writer(way)), group_config())
}

struct FullRefuses {
    commits: GroupCommit,
    places: Semaphore,
}

#[async_trait]
impl Sender for FullRefuses {
    async fn append(&self, append: Append) -> Answer {
        let Ok(_place) = self.places.try_acquire() else { return Err(unavailable("the queue is full")) };
        self.commits.append(append).await
    }

    async fn close(&self) {
        self.commits.close().await;
    }
}

struct StaysQueued(Arc<GroupCommit>);

#[async_trait]
impl Sender for StaysQueued {
    async fn append(&self, append: Append) -> Answer {
        let commits = self.0.clone();
        let task = tokio::spawn(async move { commits.append(append).await });
        task.await.unwrap_or_else(|_| Err(ErrorKind::Internal("the task was lost".into()).into()))
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// One append at a time; one that is dropped leaves the connection in use for ever.
struct BreaksConnection {
    direct: Direct,
    in_use: Slot,
}

#[async_trait]
impl Sender for BreaksConnection {
    async fn append(&self, append: Append) -> Answer {
        let timeout = append.timeout_after().unwrap_or(crate::faulty::TIMEOUT);
        if tokio::time::timeout(timeout, self.in_use.wait()).await.is_err() {
            let error: Error = unavailable("no connection in time");
            return Err(error);
        }
        let answer = self.direct.append(append).await;
        self.in_use.give_back();
        answer
    }
}

struct FlushesNothing(GroupCommit);

#[async_trait]
impl Sender for FlushesNothing {
    async fn append(&self, append: Append) -> Answer {
        self.0.append(append).await
    }
}
