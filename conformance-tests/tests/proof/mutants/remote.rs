//! Broken stores whose bugs need a network to show.

use std::sync::Arc;
use std::time::Duration;

use annalist_core::{
    Append, CheckpointName, CheckpointStore, Claim, Error, ErrorKind, EventStore, Owner, Page, Position,
    Query, Read, Snapshot, SnapshotStore, Version, backend,
};
use async_trait::async_trait;

use super::Mutant;
use super::errors::faults as senders;
use crate::faulty::{Answer, indeterminate, unavailable};
use crate::remote::{Config, Flaw, Habit, PASSWORD, Parts, RemoteStore, ServerFlaw, flawed, remote, sending};
use crate::world::World;

mod subscriptions;
mod told;

pub const PARTS: &[&[Mutant]] = &[SENDERS, CLIENTS, SERVERS, told::MUTANTS, subscriptions::MUTANTS];

const SENDERS: &[Mutant] = &[
    Mutant {
        name: "remote_lost_reply_is_unavailable",
        guarantee: "E1",
        twin: "an error of the transport after COMMIT was sent, told as a failure",
        expected: &["ambig.cut_after", "ambig.retry_converges", "ambig.next_append_clean"],
        make: || with(|store| sending(store, senders::lost_reply_is_unavailable)),
    },
    Mutant {
        name: "remote_timeout_is_unavailable",
        guarantee: "E1",
        twin: "\"timed out, so it was not written\"",
        expected: &["ambig.late_landing", "ambig.slow_network"],
        make: || with(|store| sending(store, senders::timeout_is_unavailable)),
    },
    Mutant {
        name: "remote_retry_with_new_ids",
        guarantee: "E1",
        twin: "aws/aws-sdk-java#2667: a retry of the driver's, whose write meets itself",
        expected: &["ambig.driver_auto_retry"],
        make: || with(|store| sending(store, senders::retry_with_new_ids)),
    },
    Mutant {
        name: "remote_ids_of_retries_forgotten",
        guarantee: "I1",
        twin: "a token that is valid for one connection",
        expected: &["ambig.retry_converges"],
        make: || with(|store| sending(store, senders::ids_of_retries_forgotten)),
    },
    Mutant {
        name: "remote_lost_append_sent_with_the_next",
        guarantee: "C1",
        twin: "KIP-890: a transaction that was not ended takes in what is sent next",
        expected: &["ambig.next_append_clean"],
        make: || with(|store| sending(store, senders::lost_append_sent_with_the_next)),
    },
];

const FOR_EVER: Duration = Duration::from_secs(3_600);

const CLIENTS: &[Mutant] = &[
    Mutant {
        name: "remote_lost_connection_used_again",
        guarantee: "E1",
        twin: "a pool that gives a broken connection out again",
        expected: &["ambig.cut_before", "errors.retryable_means_retryable", "read.cut_sweep"],
        make: || remote(habit(Habit::KeepsLost)),
    },
    Mutant {
        name: "remote_connects_once",
        guarantee: "C2",
        twin: "a client that has to be made anew after its server was away",
        expected: &["res.unavailable", "errors.retryable_means_retryable", "errors.unavailable_retryable"],
        make: || remote(habit(Habit::ConnectsOnce)),
    },
    Mutant {
        name: "remote_deadline_ignored",
        guarantee: "C2",
        twin: "confluentinc/librdkafka#5456: calls that take no timeout",
        expected: &["res.deadline_of_every_operation"],
        make: || {
            remote(Parts { hasty: endless(3), make: |store| flawed(store, DeadlineIgnored), ..Parts::HONEST })
        },
    },
    Mutant {
        name: "remote_retries_for_ever",
        guarantee: "C2",
        twin: "a retry loop without a deadline",
        expected: &["res.unavailable"],
        make: || {
            remote(Parts {
                hasty: endless(u32::MAX),
                make: |store| flawed(store, DeadlineIgnored),
                ..Parts::HONEST
            })
        },
    },
    Mutant {
        name: "remote_close_says_goodbye",
        guarantee: "C2",
        twin: "a close that waits for the server's word",
        expected: &["res.close_without_network"],
        make: || {
            remote(Parts { hasty: endless(3), make: |store| flawed(store, SaysGoodbye), ..Parts::HONEST })
        },
    },
    Mutant {
        name: "remote_lost_connection_ends_the_read",
        guarantee: "E4",
        twin: "the end of the connection taken for the end of the rows",
        expected: &["read.error_not_truncation", "read.cut_sweep"],
        make: || with(|store| flawed(store, ShorterRead)),
    },
    Mutant {
        name: "remote_epoch_counted_by_the_client",
        guarantee: "S5",
        twin: "a claim that is made up where the server does not answer",
        expected: &["sub.checkpoint_claim_cut"],
        make: || with(|store| flawed(store, OwnEpoch)),
    },
    Mutant {
        name: "remote_save_not_waited_for",
        guarantee: "S5",
        twin: "auto-commit: a checkpoint that is sent on its way and taken for saved",
        expected: &["sub.checkpoint_save_cut"],
        make: || with(|store| flawed(store, SaveNotWaitedFor)),
    },
    Mutant {
        name: "remote_snapshot_deleted_then_inserted",
        guarantee: "N4",
        twin: "DELETE and INSERT, each committed by itself",
        expected: &["snap.atomic"],
        make: || with(|store| flawed(store, DeletedThenInserted)),
    },
    Mutant {
        name: "proxy_gone_past",
        guarantee: "E1",
        twin: "a test harness that opens its own server's address",
        expected: &["meta.proxy_in_between"],
        make: || remote(Parts { goes_past: true, ..Parts::HONEST }),
    },
];

const SERVERS: &[Mutant] = &[
    Mutant {
        name: "remote_place_at_insert",
        guarantee: "G2",
        twin: "bigserial: a place from INSERT, seen from COMMIT on",
        expected: &["global.late_commit"],
        make: || server(ServerFlaw::PlacesAtPrepare),
    },
    Mutant {
        name: "remote_lock_over_round_trips",
        guarantee: "G2",
        twin: "an advisory lock that a transaction has while its client thinks",
        expected: &["global.idle_session_no_stall", "conc.parked_harms_nobody"],
        make: || server(ServerFlaw::LockedSincePrepare),
    },
    Mutant {
        name: "remote_one_lock_for_all",
        guarantee: "G2",
        twin: "one advisory lock for all namespaces of a database",
        expected: &["tenant.noisy"],
        make: || server(ServerFlaw::AllLockedSincePrepare),
    },
    Mutant {
        name: "remote_checked_then_written",
        guarantee: "A3",
        twin: "SELECT max(version) in one round trip, INSERT in the next",
        expected: &["conc.parked_one_winner"],
        make: || server(ServerFlaw::CheckedAtPrepare),
    },
];

fn with(make: fn(RemoteStore) -> annalist_conformance::Opened) -> Arc<dyn World> {
    remote(Parts { make, ..Parts::HONEST })
}

fn server(server: ServerFlaw) -> Arc<dyn World> {
    remote(Parts { server, ..Parts::HONEST })
}

fn habit(habit: Habit) -> Parts {
    Parts { hasty: Config { habit, ..Config::HASTY }, ..Parts::HONEST }
}

fn endless(attempts_max: u32) -> Config {
    Config { timeout: FOR_EVER, attempt_timeout: FOR_EVER, attempts_max, ..Config::HASTY }
}

struct DeadlineIgnored;

#[async_trait]
impl Flaw for DeadlineIgnored {
    async fn append(&self, honest: &RemoteStore, append: Append) -> Answer {
        honest.append(append.timeout(FOR_EVER)).await
    }

    async fn read(&self, honest: &RemoteStore, read: Read) -> Result<Page, Error> {
        honest.read(read.timeout(FOR_EVER)).await
    }
}

struct SaysGoodbye;

#[async_trait]
impl Flaw for SaysGoodbye {
    async fn close(&self, honest: &RemoteStore) -> Result<(), Error> {
        let goodbye = honest.read(Read::log(Query::all()).limit(0).timeout(FOR_EVER)).await;
        honest.close().await?;
        goodbye.map(drop)
    }
}

struct ShorterRead;

#[async_trait]
impl Flaw for ShorterRead {
    async fn read(&self, honest: &RemoteStore, read: Read) -> Result<Page, Error> {
        match honest.read(read.clone()).await {
            Err(error) if matches!(error.kind(), ErrorKind::Unavailable(_)) => {
                let head = read.fixed_head().unwrap_or(Position::START);
                Ok(backend::page(&read, Vec::new(), backend::Looked::All, head, Version::NONE))
            }
            answer => answer,
        }
    }
}

struct OwnEpoch;

#[async_trait]
impl Flaw for OwnEpoch {
    async fn claim(&self, honest: &RemoteStore, name: &CheckpointName) -> Result<Claim, Error> {
        const HIGH: u64 = 1_000;
        let claimed = honest.claim_checkpoint(name).await;
        claimed.or_else(|_| Ok(backend::claim(backend::owner(name.clone(), HIGH), None)))
    }
}

struct SaveNotWaitedFor;

#[async_trait]
impl Flaw for SaveNotWaitedFor {
    async fn save_checkpoint(
        &self,
        honest: &RemoteStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        match honest.save_checkpoint(owner, position).await {
            Err(error) if matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_)) => {
                Ok(())
            }
            answer => answer,
        }
    }
}

struct DeletedThenInserted;

#[async_trait]
impl Flaw for DeletedThenInserted {
    async fn save_snapshot(&self, honest: &RemoteStore, snapshot: Snapshot) -> Result<(), Error> {
        honest.prune_snapshots(&snapshot.stream, &snapshot.schema, 0).await?;
        honest.save_snapshot(snapshot).await
    }
}
