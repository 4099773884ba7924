//! Broken stores for the area `errors`.

use annalist_core::{
    Append, CheckpointName, CheckpointStore, Claim, Error, ErrorKind, EventStore, Owner, Page, Position,
    Query, Read, Receipt, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Version,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::Mutant;
use crate::bug::Bug;
use crate::world::each_handle;

mod closed;
mod extremes;
pub(super) mod faults;
mod told;

pub const PARTS: &[&[Mutant]] =
    &[MUTANTS, told::MUTANTS, closed::MUTANTS, extremes::MUTANTS, faults::MUTANTS];

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "conflict_as_internal",
        guarantee: "A5",
        twin: "one `Storage(String)` for whatever the database refuses",
        expected: &["errors.conflict", "limits.checks_per_append"],
        make: || {
            each_handle(|| {
                Refuses(|error| match error.kind() {
                    ErrorKind::Conflict(_) => ErrorKind::Internal("constraint failed".into()).into(),
                    _ => error,
                })
            })
        },
    },
    Mutant {
        name: "condition_as_id_reused",
        guarantee: "A5",
        twin: "every unique violation taken for one of ids",
        expected: &["errors.conflict"],
        make: || {
            each_handle(|| {
                Refuses(|error| match error.kind() {
                    ErrorKind::Conflict(annalist_core::Conflict::Condition { .. }) => {
                        ErrorKind::Internal("a condition".into()).into()
                    }
                    _ => error,
                })
            })
        },
    },
    Mutant {
        name: "id_reused_as_unavailable",
        guarantee: "I3",
        twin: "a unique violation that is retried until the deadline",
        expected: &["errors.id_reused"],
        make: || {
            each_handle(|| {
                Refuses(|error| match error.kind() {
                    ErrorKind::IdReused(_) => ErrorKind::Unavailable("gave up".into()).into(),
                    _ => error,
                })
            })
        },
    },
    Mutant {
        name: "invalid_as_misconfigured",
        guarantee: "L1",
        twin: "a client error of the server's, such as 400, taken for a wrong set-up",
        expected: &["errors.invalid", "limits.bytes_per_append"],
        make: || {
            each_handle(|| {
                Refuses(|error| match error.kind() {
                    ErrorKind::Invalid(_) => ErrorKind::Misconfigured("400".into()).into(),
                    _ => error,
                })
            })
        },
    },
    Mutant {
        name: "reads_check_nothing",
        guarantee: "L1",
        twin: "rules that are checked for appends only",
        expected: &["errors.invalid", "limits.items_per_query"],
        make: || each_handle(|| ReadsLax(|kind| matches!(kind, ErrorKind::Invalid(_)))),
    },
    Mutant {
        name: "past_the_head_is_empty",
        guarantee: "G5",
        twin: "`WHERE position > $1`, whatever is asked",
        expected: &["errors.wrong_history", "errors.no_panic_read"],
        make: || each_handle(|| ReadsLax(|kind| matches!(kind, ErrorKind::WrongHistory(_)))),
    },
    Mutant {
        name: "checkpoint_anywhere",
        guarantee: "G5",
        twin: "a checkpoint kept as a number that nobody looks at",
        expected: &["errors.wrong_history"],
        make: || each_handle(|| CheckpointAnywhere),
    },
    Mutant {
        name: "fenced_save_does_nothing",
        guarantee: "S5",
        twin: "`UPDATE … WHERE epoch = $1`, and the count of rows not looked at",
        expected: &["errors.fenced", "errors.shape", "errors.no_payload"],
        make: || each_handle(|| FencedSilently),
    },
    Mutant {
        name: "fenced_as_unavailable",
        guarantee: "S5",
        twin: "a lost lock, retried by whoever lost it",
        expected: &["errors.fenced"],
        make: || each_handle(|| FencedRetries),
    },
    Mutant {
        name: "stream_not_found",
        guarantee: "R2",
        twin: "a store that answers `StreamNotFound`",
        expected: &["errors.missing_is_no_error"],
        make: || each_handle(|| MissingStream),
    },
    Mutant {
        name: "missing_snapshot_is_an_error",
        guarantee: "R2",
        twin: "`fetch_one` where `fetch_optional` was meant",
        expected: &["errors.missing_is_no_error"],
        make: || each_handle(|| MissingSnapshot),
    },
    Mutant {
        name: "local_ignored",
        guarantee: "R3",
        twin: "an option that is not known, and ignored",
        expected: &["errors.unsupported"],
        make: || each_handle(|| LocalIgnored),
    },
    Mutant {
        name: "opt_out_without_reason",
        guarantee: "A8",
        twin: "`without(capability, \"\")`",
        expected: &["errors.opt_outs_told"],
        make: || {
            each_handle(|| {
                let honest = MemoryStore::new().capabilities().clone();
                Declares(honest.without(annalist_core::Capability::Processes, ""))
            })
        },
    },
    Mutant {
        name: "durable_in_one_place",
        guarantee: "A8",
        twin: "a declaration copied from a durable store, with one line changed",
        expected: &["errors.opt_outs_told"],
        make: || {
            each_handle(|| {
                let honest = MemoryStore::new().capabilities().clone();
                Declares(honest.durability(annalist_core::Survives::PowerLoss, "fsync"))
            })
        },
    },
];

/// Answers appends with other errors.
struct Refuses(fn(Error) -> Error);

#[async_trait]
impl Bug for Refuses {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        honest.append(append).await.map_err(self.0)
    }
}

/// Gives an empty page instead of some errors.
struct ReadsLax(fn(&ErrorKind) -> bool);

#[async_trait]
impl Bug for ReadsLax {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        match honest.read(read).await {
            Err(error) if (self.0)(error.kind()) => honest.read(Read::log(Query::all()).limit(0)).await,
            answer => answer,
        }
    }
}

/// Takes a position of another history for the head.
struct CheckpointAnywhere;

#[async_trait]
impl Bug for CheckpointAnywhere {
    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        match honest.save_checkpoint(owner, position).await {
            Err(error) if matches!(error.kind(), ErrorKind::WrongHistory(_)) => Ok(()),
            answer => answer,
        }
    }
}

struct FencedSilently;

#[async_trait]
impl Bug for FencedSilently {
    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        match honest.save_checkpoint(owner, position).await {
            Err(error) if matches!(error.kind(), ErrorKind::Fenced(_)) => Ok(()),
            answer => answer,
        }
    }
}

struct FencedRetries;

#[async_trait]
impl Bug for FencedRetries {
    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        honest.save_checkpoint(owner, position).await.map_err(|error| match error.kind() {
            ErrorKind::Fenced(_) => ErrorKind::Unavailable("the lock was lost".into()).into(),
            _ => error,
        })
    }

    async fn claim_checkpoint(&self, honest: &MemoryStore, name: &CheckpointName) -> Result<Claim, Error> {
        honest.claim_checkpoint(name).await
    }
}

struct MissingStream;

#[async_trait]
impl Bug for MissingStream {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let of_stream = matches!(read.source(), annalist_core::Source::Stream(_));
        let page = honest.read(read).await?;
        if of_stream && page.version == Version::NONE {
            return Err(ErrorKind::Internal("the stream was not found".into()).into());
        }
        Ok(page)
    }
}

struct MissingSnapshot;

#[async_trait]
impl Bug for MissingSnapshot {
    async fn load_snapshot(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        let found = honest.load_snapshot(stream, schema, at_most).await?;
        found.map(Some).ok_or_else(|| ErrorKind::Internal("no row".into()).into())
    }
}

/// Answers a local read with another one, of which it says nothing.
struct LocalIgnored;

#[async_trait]
impl Bug for LocalIgnored {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let plain = match read.source() {
            annalist_core::Source::Stream(stream) => Read::stream(stream),
            annalist_core::Source::Log(query) => Read::log(query.clone()),
            _ => read.clone(),
        };
        let local = read.consistency() != annalist_core::Consistency::Linearizable;
        honest.read(if local { plain } else { read }).await
    }
}

struct Declares(annalist_core::Capabilities);

impl Bug for Declares {
    fn capabilities<'a>(&'a self, _: &'a MemoryStore) -> &'a annalist_core::Capabilities {
        &self.0
    }
}
