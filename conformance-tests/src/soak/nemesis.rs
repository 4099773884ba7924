//! What goes wrong in a soak. Two lanes strike side by side: the network, and the machines. What comes when is drawn from the seed; each fault
//! proves that it happened, or counts as one that did not.

mod machines;
mod network;

use std::fmt;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::client::ended;
use super::ledger::{FaultLine, Ledger};
use super::plan::Plan;
use crate::os;

pub(super) use machines::{Machines, Running};
pub(super) use network::Network;

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A request is lost, and its connection.
    Cut,
    /// A request arrives, its reply is lost, and its connection.
    LostReply,
    /// A connection is lost in the middle of a reply.
    HalfReply,
    /// A request arrives, and no reply ever comes.
    NoReply,
    /// A request is held up, and arrives late.
    Held,
    /// Nothing arrives in either direction for a while.
    Stall,
    /// Everything arrives later.
    Delay,
    /// The server cannot be reached for a while.
    Outage,
    /// A process is killed, and another one started.
    ProcessKill,
    /// A process is stopped for a while.
    ProcessPause,
    /// The server is killed, and started again.
    ServerKill,
    /// The server is stopped for a while.
    ServerPause,
    /// The store's own writes are refused.
    WriteRefused,
    /// They are done, and nobody learns it.
    WriteReplyLost,
    /// They are held up.
    WriteHeld,
}

impl Kind {
    pub(super) const NETWORK: [Self; 8] = [
        Self::Cut,
        Self::LostReply,
        Self::HalfReply,
        Self::NoReply,
        Self::Held,
        Self::Stall,
        Self::Delay,
        Self::Outage,
    ];
    pub(super) const SERVER: [Self; 2] = [Self::ServerKill, Self::ServerPause];
    pub(super) const WRITE: [Self; 3] = [Self::WriteRefused, Self::WriteReplyLost, Self::WriteHeld];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "request lost",
            Self::LostReply => "reply lost",
            Self::HalfReply => "reply cut in the middle",
            Self::NoReply => "no reply",
            Self::Held => "request late",
            Self::Stall => "network silent",
            Self::Delay => "network slow",
            Self::Outage => "server out of reach",
            Self::ProcessKill => "process killed",
            Self::ProcessPause => "process stopped",
            Self::ServerKill => "server killed",
            Self::ServerPause => "server stopped",
            Self::WriteRefused => "write refused",
            Self::WriteReplyLost => "reply to a write lost",
            Self::WriteHeld => "write held up",
        })
    }
}

/// One fault that was drawn.
pub(super) struct Stroke {
    pub(super) kind: Kind,
    /// For how long, where it lasts.
    pub(super) long: Duration,
    /// Whatever else there is to choose.
    pub(super) rng: StdRng,
}

/// Whoever can strike.
pub(super) trait Strike {
    /// The kinds that there can be.
    fn kinds(&self) -> Vec<Kind>;

    /// Does it, and heals it: what proves that it happened, if it did.
    async fn strike(&mut self, stroke: Stroke) -> Option<String>;
}

/// Strikes until it is over. Whatever was done is healed then.
pub(super) async fn lane<S: Strike>(
    name: &'static str,
    mut striker: S,
    plan: Plan,
    ledger: Ledger,
    mut over: watch::Receiver<bool>,
) -> S {
    let mut round = Vec::new();
    for number in 0.. {
        let mut rng = plan.rng(name, 0, number);
        if round.is_empty() {
            // Every kind once, in another order each time.
            round = striker.kinds();
            round.shuffle(&mut rng);
        }
        let Some(kind) = round.pop() else { break };
        let rest = Duration::from_millis(rng.random_range(100..1_500));
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = ended(&mut over) => break,
        }
        if *over.borrow() {
            break;
        }
        let long = Duration::from_millis(rng.random_range(100..2_500));
        let at = os::now();
        let proof = striker.strike(Stroke { kind, long, rng }).await;
        ledger.fault(&FaultLine { kind, at, ended: os::now(), proof });
    }
    striker
}
