//! What the suite and its agents say to each other: one line of JSON for each ask, and for each thing told.

use std::time::Duration;

use annalist_core::{CheckpointName, EventId, Position};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::Cx;
use crate::history::merge::Noted;
use crate::history::{Answer, AppendCall, ReadCall};
use crate::soak::Work;

/// What the suite asks of an agent, one after the other.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// To open a namespace, which all that follows is about. Told: `Opened` or `Refused`.
    Open { namespace: String },
    /// Told: `Answered`.
    Append(AppendCall),
    /// Told: `Answered`.
    Read(ReadCall),
    /// To do things at random. Told: `Noted` at each call and return, and `Done` after so many steps or a `Stop`.
    Traffic(Traffic),
    /// To work on a namespace as one of a soak's workers. Told: `Noted` at each call and return, and `Done` after a `Stop`.
    Soak { namespace: String, work: Work },
    /// To follow the whole log. Told: `Following`, then `Event` and `CaughtUp`, and `Done` after a `Stop`.
    Follow { from: From },
    /// To claim a checkpoint. Told: `Claimed` or `Refused`.
    Claim { name: CheckpointName },
    /// To save these positions one by one under the last claim. Told: `Saved` after each, then `Done`, or `Refused` at the first that is not.
    Save { positions: Vec<Position> },
    /// To be ready for something, and do it at `Go`, so that several agents begin at the same moment.
    Hold(Box<Ask>),
    /// To do what was held.
    Go,
    /// To end traffic, or a subscription.
    Stop,
}

/// Things done at random, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Traffic {
    pub(crate) load: Load,
    /// The number of the agent, which no other of the check has: its sessions and its own stream follow from it.
    pub(crate) number: u32,
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    /// By when plain appends must be answered.
    pub(crate) timeout: Duration,
}

impl Traffic {
    /// Traffic without end.
    pub(crate) fn of(cx: &Cx, number: u32, load: Load) -> Self {
        Self { load, number, seed: cx.rng().random(), steps: u64::MAX, timeout: cx.patience() }
    }

    /// The name of the stream that nobody else writes.
    pub(crate) fn own_stream(&self) -> String {
        format!("Own-{}", self.number)
    }
}

/// What traffic is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Load {
    /// Appends of every shape, retries and reads.
    Mixed,
    /// Appends that nothing but a fault can refuse.
    Plain,
    /// Appends of one event and of fifty, in turn.
    Batches,
}

/// Where a subscription begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum From {
    After(Position),
    Now,
}

/// What an agent tells.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told {
    Opened,
    /// The answer of the store, and the text of the error where it is one.
    Answered {
        answer: Answer,
        error: Option<String>,
    },
    Noted(Noted),
    Following,
    Event {
        id: EventId,
    },
    CaughtUp,
    Claimed {
        epoch: u64,
        resumed: Option<Position>,
    },
    Saved {
        position: Position,
    },
    /// The name of the error's kind, and its text.
    Refused {
        kind: String,
        error: String,
    },
    Done,
    /// The agent cannot go on, for this reason.
    Broken(String),
}

#[cfg(test)]
mod tests {
    use annalist_core::Append;

    use super::*;
    use crate::{events, exact, stream};

    #[test]
    fn each_is_one_line() {
        let append = Append::to(&stream("Order-1"), exact(0), events(2));
        let ask = Ask::Hold(Box::new(Ask::Append(AppendCall::of(&append))));
        let line = serde_json::to_string(&ask).expect("asks are JSON");
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Ask>(&line).expect("the same again"), ask);
    }
}
