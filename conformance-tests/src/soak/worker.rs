//! The clients that share a process and a handle.

use annalist_core::Error;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::{Client, Memory};
use super::follower::Follower;
use super::place::Way;
use super::plan::Plan;
use crate::history::Recorder;
use crate::history::merge::Noted;

/// How many sessions the clients of a worker have together, at most.
const SESSIONS: u32 = 16;

/// How many clients share the worker's handle.
pub(super) const CLIENTS: u32 = 2;

/// What a worker is.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(super) plan: Plan,
    /// Which no other worker of the soak has: its sessions and the ids of its events follow from it.
    pub(super) number: u32,
    /// Whether there is one more client, which has a handle of its own and opens another now and then.
    pub(super) reopens: bool,
}

impl Work {
    pub(super) fn patience(&self) -> std::time::Duration {
        self.plan.patience
    }
}

/// Opens a handle, and works through it until it is over.
pub(super) async fn work(
    work: Work,
    way: Way,
    note: impl Fn(Noted) + Send + Sync + 'static,
    over: watch::Receiver<bool>,
) -> Result<(), Error> {
    let Work { plan, number, reopens } = work;
    let recorder = Recorder::told_to(number * SESSIONS, note);
    let open = async || match way.open_at_last(plan.patience).await {
        Ok(handle) => Some(handle),
        Err(error) => {
            recorder.wrong(format!("a handle cannot be opened: {error}"));
            None
        }
    };
    let Some(handle) = open().await else { return Ok(()) };
    let mut tasks = JoinSet::new();
    let first = number * (CLIENTS + 1);
    for client in 0..CLIENTS {
        let session = recorder.session(&handle);
        let client = Client { plan, number: first + client, session, own: None, memory: Memory::default() };
        tasks.spawn(client.work(over.clone()));
    }
    if reopens && let Some(own) = open().await {
        let (session, number) = (recorder.session(&own), first + CLIENTS);
        let client = Client { plan, number, session, own: Some(way.clone()), memory: Memory::default() };
        tasks.spawn(client.work(over.clone()));
    }
    let follower = Follower { plan, number, session: recorder.session(&handle), seen: Vec::new() };
    tasks.spawn(follower.follow(over));
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            recorder.wrong(format!("a client was lost: {error}"));
        }
    }
    handle.close().await
}
