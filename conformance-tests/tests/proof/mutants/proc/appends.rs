//! Clients that decide in their own process what only the server can.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use annalist_conformance::BoxError;
use annalist_core::{
    Append, CheckpointStore, Conflict, Error, ErrorKind, EventStore, ExpectedVersion, Owner, Position, Read,
    Receipt, StreamId, Version, backend,
};
use async_trait::async_trait;

use crate::edit::edit_writes;
use crate::mutants::Mutant;
use crate::remote::RemoteStore;
use crate::served::{Client, served};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "locked_in_the_process",
        guarantee: "A3",
        twin: "a mutex around read, compare and insert",
        expected: &["proc.one_winner", "proc.linearizable"],
        make: || served(Locked::default()),
    },
    Mutant {
        name: "version_cached_in_the_process",
        guarantee: "A3",
        twin: "a version cache that stands in for the check, filled by own answers",
        expected: &["proc.one_winner"],
        make: || served(VersionCached::default()),
    },
    Mutant {
        name: "loser_of_twins_told_of_a_conflict",
        guarantee: "I4",
        twin: "a unique violation shown as a conflict, where the process does not know the append",
        expected: &["proc.twins"],
        make: || served(LoserInConflict),
    },
    Mutant {
        name: "sent_in_parts",
        guarantee: "A1",
        twin: "`BatchWriteItem`, or one insert for each stream, put together by the client",
        expected: &["proc.kill_storm", "crash.client_kill"],
        make: || served(InParts),
    },
    Mutant {
        name: "owner_believed_in_the_process",
        guarantee: "S5",
        twin: "a lease: who claimed once goes on writing, and takes over again where it is refused",
        expected: &["proc.checkpoint_fence", "crash.client_pause", "crash.client_overdue"],
        make: || served(OwnerBelieved),
    },
    Mutant {
        name: "set_up_fails_in_a_race",
        guarantee: "A3",
        twin: "`CREATE TABLE` after a look whether there is one; PostgreSQL's `IF NOT EXISTS` is no better",
        expected: &["crash.migrate_race"],
        make: || served(RacySetUp),
    },
];

/// The version of a stream, as the server has it now.
async fn version_of(remote: &RemoteStore, stream: &StreamId) -> Result<Version, Error> {
    Ok(remote.read(Read::stream(stream).limit(0)).await?.version)
}

/// The same append without any expectation of a version.
fn unchecked(append: &Append) -> Append {
    edit_writes(append, |write| write.expected = ExpectedVersion::Any)
}

fn conflict(stream: &StreamId, expected: ExpectedVersion, actual: Version) -> Error {
    Conflict::Version { stream: stream.clone(), expected, actual }.into()
}

/// Appends one after the other in its process: reads the versions, compares, and writes without a check.
#[derive(Default)]
struct Locked(tokio::sync::Mutex<()>);

#[async_trait]
impl Client for Locked {
    async fn append(&self, remote: &RemoteStore, append: Append) -> Result<Receipt, Error> {
        let _lock = self.0.lock().await;
        for write in append.writes() {
            let actual = version_of(remote, &write.stream).await?;
            if !write.expected.holds(actual) {
                return remote.append(append.clone()).await;
            }
        }
        remote.append(unchecked(&append)).await
    }
}

/// Believes in the versions that its process was told last.
#[derive(Default)]
struct VersionCached(Mutex<HashMap<StreamId, Version>>);

impl VersionCached {
    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<StreamId, Version>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Client for VersionCached {
    async fn append(&self, remote: &RemoteStore, append: Append) -> Result<Receipt, Error> {
        let holds = append.writes().iter().all(|write| {
            matches!((write.expected, self.known().get(&write.stream)),
                (ExpectedVersion::Exact(expected), Some(known)) if expected == *known)
        });
        let answer = remote.append(if holds { unchecked(&append) } else { append }).await;
        match &answer {
            Ok(receipt) => {
                let versions = receipt.written().iter();
                self.known().extend(versions.map(|part| (part.stream().clone(), part.last_version())));
            }
            Err(error) => {
                if let ErrorKind::Conflict(Conflict::Version { stream, actual, .. }) = error.kind() {
                    self.known().insert(stream.clone(), *actual);
                }
            }
        }
        answer
    }
}

/// Tells a conflict where its own append was there already.
struct LoserInConflict;

#[async_trait]
impl Client for LoserInConflict {
    async fn append(&self, remote: &RemoteStore, append: Append) -> Result<Receipt, Error> {
        let receipt = remote.append(append.clone()).await?;
        match append.writes().first() {
            Some(write) if receipt.already_committed() => {
                Err(conflict(&write.stream, write.expected, version_of(remote, &write.stream).await?))
            }
            _ => Ok(receipt),
        }
    }
}

/// Sends each write of an append by itself, and each event of a large one.
struct InParts;

#[async_trait]
impl Client for InParts {
    async fn append(&self, remote: &RemoteStore, append: Append) -> Result<Receipt, Error> {
        let plain = append.checks().is_empty() && append.conditions().is_empty();
        let any = append.writes().iter().all(|write| write.expected == ExpectedVersion::Any);
        if !plain || !any || append.event_count() < 2 {
            return remote.append(append).await;
        }
        let mut written = Vec::new();
        for write in append.writes() {
            let mut parts = Vec::new();
            for event in &write.events {
                let part = Append::to(&write.stream, ExpectedVersion::Any, [event.clone()]);
                parts.extend_from_slice(remote.append(part).await?.written());
            }
            if let Some(first) = parts.first() {
                let positions = parts.iter().flat_map(|part| part.positions()).copied().collect();
                written.push(backend::written(write.stream.clone(), first.first_version(), positions));
            }
        }
        Ok(backend::receipt(false, written))
    }
}

/// Claims again where it is fenced.
struct OwnerBelieved;

#[async_trait]
impl Client for OwnerBelieved {
    async fn save_checkpoint(
        &self,
        remote: &RemoteStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        match remote.save_checkpoint(owner, position).await {
            Err(error) if matches!(error.kind(), ErrorKind::Fenced(_)) => {
                let again = remote.claim_checkpoint(owner.name()).await?.owner;
                remote.save_checkpoint(&again, position).await
            }
            answer => answer,
        }
    }
}

/// Sets a namespace up where it finds that nobody has.
struct RacySetUp;

#[async_trait]
impl Client for RacySetUp {
    async fn set_up(&self, other: RemoteStore) -> Result<(), BoxError> {
        let table = annalist_conformance::stream("Table-1");
        if version_of(&other, &table).await? == Version::NONE {
            let created = annalist_conformance::events(1);
            other.append(Append::to(&table, ExpectedVersion::NoStream, created)).await?;
        }
        Ok(())
    }
}
