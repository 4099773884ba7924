//! Clients that do not bear that their server goes.

use std::sync::Arc;
use std::time::Duration;

use annalist_core::{Append, Error, ErrorKind, EventStore, Receipt, Subscribe, Subscription};
use async_trait::async_trait;

use crate::mutants::Mutant;
use crate::remote::RemoteStore;
use crate::served::{Client, served};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "subscription_gives_up",
        guarantee: "S7",
        twin: "a listening connection whose first error ends the subscription",
        expected: &["crash.server_kill_subscription"],
        make: || served(GivesUp),
    },
    Mutant {
        name: "waits_for_its_server",
        guarantee: "C2",
        twin: "a driver without a read timeout on a connection that stays open",
        expected: &["crash.server_pause"],
        make: || served(Waits),
    },
    Mutant {
        name: "late_is_told_as_not_written",
        guarantee: "E1",
        twin: "a timeout taken for a failure, while the request is still under way",
        expected: &["crash.server_pause"],
        make: || served(LateIsUnavailable),
    },
];

/// Bridges no outage at all.
struct GivesUp;

#[async_trait]
impl Client for GivesUp {
    async fn subscribe(
        &self,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        annalist_engine::subscribe(store, subscribe.outage_max(Duration::ZERO)).await
    }
}

/// Sends again without end, whatever the deadline says.
struct Waits;

#[async_trait]
impl Client for Waits {
    async fn append(&self, remote: &RemoteStore, append: Append) -> Result<Receipt, Error> {
        loop {
            match remote.append(append.clone()).await {
                Err(error) if is_open(&error) => tokio::time::sleep(Duration::from_millis(1)).await,
                answer => return answer,
            }
        }
    }
}

fn is_open(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Indeterminate(_) | ErrorKind::Unavailable(_))
}

/// Says that nothing was written once it is late, and what it has sent is still to arrive.
struct LateIsUnavailable;

#[async_trait]
impl Client for LateIsUnavailable {
    async fn append(&self, remote: &RemoteStore, append: Append) -> Result<Receipt, Error> {
        let answer = remote.append(append.clone()).await;
        match answer {
            Err(error) if is_open(&error) => {
                tokio::spawn({
                    let remote = remote.clone();
                    async move { Waits.append(&remote, append).await }
                });
                Err(ErrorKind::Unavailable("it took too long".to_owned()).into())
            }
            answer => answer,
        }
    }
}
