//! Stores that the largest numbers break.

use annalist_core::{
    Append, Error, EventStore, ExpectedVersion, Page, Read, Receipt, Snapshot, SnapshotSchema, SnapshotStore,
    StreamId, Version,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::edit_writes;
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "expected_wraps_to_any",
        guarantee: "A3",
        twin: "`as i64`: the largest version becomes -1, which means any",
        expected: &["errors.no_panic_append"],
        make: || {
            each_handle(|| {
                Expected(|version| match version as i64 {
                    negative if negative < 0 => ExpectedVersion::Any,
                    _ => ExpectedVersion::Exact(Version::new(version)),
                })
            })
        },
    },
    Mutant {
        name: "expected_plus_one_panics",
        guarantee: "E3",
        twin: "`expected + 1`, the version of the first event",
        expected: &["errors.no_panic_append"],
        make: || {
            each_handle(|| {
                Expected(|version| {
                    let next = version.checked_add(1).expect("attempt to add with overflow");
                    ExpectedVersion::Exact(Version::new(next - 1))
                })
            })
        },
    },
    Mutant {
        name: "limit_plus_one_panics",
        guarantee: "E3",
        twin: "`limit + 1`, to see whether there is more",
        expected: &["errors.no_panic_read"],
        make: || {
            each_handle(|| {
                Reads(|read| {
                    let more = read
                        .limit_left()
                        .map_or(1, |limit| limit.checked_add(1).expect("attempt to add with overflow"));
                    assert!(more > 0);
                    read
                })
            })
        },
    },
    Mutant {
        name: "limit_as_i32",
        guarantee: "R1",
        twin: "`limit as i32`, which is negative for large ones and then taken for none at all",
        expected: &["errors.no_panic_read"],
        make: || {
            each_handle(|| {
                Reads(|read| match read.limit_left().map(|limit| limit as i32) {
                    Some(negative) if negative < 0 => read.limit(0),
                    _ => read,
                })
            })
        },
    },
    Mutant {
        name: "from_as_i64",
        guarantee: "R1",
        twin: "`from as i64`: a bound beyond the largest is one before the first",
        expected: &["errors.no_panic_read"],
        make: || {
            each_handle(|| {
                Reads(|read| match read.versions().0.get() as i64 {
                    negative if negative < 0 => read.from(Version::FIRST),
                    _ => read,
                })
            })
        },
    },
    Mutant {
        name: "snapshot_version_as_i32",
        guarantee: "N1",
        twin: "an `integer` column for versions of snapshots",
        expected: &["errors.no_panic_snapshot"],
        make: || each_handle(|| SnapshotVersionAsI32),
    },
    Mutant {
        name: "prune_keeps_a_wrapped_number",
        guarantee: "N4",
        twin: "`keep as i32` of the largest number",
        expected: &["errors.no_panic_snapshot"],
        make: || each_handle(|| PruneWraps),
    },
    Mutant {
        name: "timeout_overflows",
        guarantee: "E3",
        twin: "`Instant::now() + timeout`",
        expected: &["errors.no_panic_timeout"],
        make: || each_handle(|| TimeoutOverflows),
    },
    Mutant {
        name: "no_time_is_internal",
        guarantee: "C2",
        twin: "the timer's own error passed on, which says nothing of what became of the append",
        expected: &["errors.no_panic_timeout"],
        make: || each_handle(|| NoTimeIsInternal),
    },
    Mutant {
        name: "nothing_panics",
        guarantee: "E3",
        twin: "`events[0]`",
        expected: &["errors.no_panic_empty", "errors.closed"],
        make: || each_handle(|| NothingPanics),
    },
];

struct Expected(fn(u64) -> ExpectedVersion);

#[async_trait]
impl Bug for Expected {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let append = edit_writes(&append, |write| {
            if let ExpectedVersion::Exact(version) = write.expected {
                write.expected = (self.0)(version.get());
            }
        });
        honest.append(append).await
    }
}

struct Reads(fn(Read) -> Read);

#[async_trait]
impl Bug for Reads {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        honest.read((self.0)(read)).await
    }
}

struct SnapshotVersionAsI32;

#[async_trait]
impl Bug for SnapshotVersionAsI32 {
    async fn load_snapshot(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        let wrapped = u64::try_from(at_most.get() as i32).unwrap_or(0);
        honest.load_snapshot(stream, schema, Version::new(wrapped)).await
    }
}

struct PruneWraps;

#[async_trait]
impl Bug for PruneWraps {
    async fn prune_snapshots(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        let wrapped = usize::try_from(keep as i32).unwrap_or(0);
        honest.prune_snapshots(stream, schema, wrapped).await
    }
}

struct TimeoutOverflows;

#[async_trait]
impl Bug for TimeoutOverflows {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let timeout = append.timeout_after().unwrap_or_default();
        let deadline = std::time::Instant::now() + timeout;
        assert!(deadline.elapsed().as_secs() < 1);
        honest.append(append).await
    }
}

struct NoTimeIsInternal;

#[async_trait]
impl Bug for NoTimeIsInternal {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let none = append.timeout_after().is_some_and(|timeout| timeout.is_zero());
        if none {
            return Err(annalist_core::ErrorKind::Internal("timed out".into()).into());
        }
        honest.append(append).await
    }
}

struct NothingPanics;

#[async_trait]
impl Bug for NothingPanics {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        assert!(
            append.checks().len() + append.conditions().len() + append.event_count() > 0,
            "index out of bounds"
        );
        honest.append(append).await
    }
}
