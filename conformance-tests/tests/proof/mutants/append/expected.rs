//! Expectations that are not kept.

use std::collections::HashSet;
use std::sync::Mutex;

use annalist_core::{
    Append, Error, EventStore, ExpectedVersion, Query, QueryItem, Read, Receipt, StreamId, Version,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::edit_writes;
use crate::look::{all_of, version_conflict, version_of, wrong_append};
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "exact_never_checked",
        guarantee: "A3",
        twin: "a batch writer: puts without a condition",
        expected: &["append.exact_stale", "append.conflict_reports_actual", "batch.atomic_conflict"],
        make: || each_handle(|| ExactNeverChecked),
    },
    Mutant {
        name: "exact_is_the_next_version",
        guarantee: "A3",
        twin: "an off-by-one between the version before and the version to be written",
        expected: &["append.exact_ok"],
        make: || each_handle(|| ExactIsTheNextVersion),
    },
    Mutant {
        name: "later_versions_hold",
        guarantee: "A3",
        twin: "`attribute_not_exists(version)` of the new item alone: writes above a hole",
        expected: &["append.exact_future", "append.expected_extremes"],
        make: || each_handle(|| LaterVersionsHold),
    },
    Mutant {
        name: "no_stream_by_prefix",
        guarantee: "A3",
        twin: "`begins_with(key, stream)` to find out whether a stream exists",
        expected: &["append.nostream_new"],
        make: || each_handle(|| NoStreamByPrefix),
    },
    Mutant {
        name: "no_stream_is_an_upsert",
        guarantee: "A3",
        twin: "`INSERT … ON CONFLICT DO UPDATE` of the stream's row",
        expected: &["append.nostream_existing", "append.exact_zero"],
        make: || each_handle(|| NoStreamIsAnUpsert),
    },
    Mutant {
        name: "exists_is_any",
        guarantee: "A3",
        twin: "a mode without a case of its own",
        expected: &["append.exists_missing", "append.refusal_uses_no_version"],
        make: || each_handle(|| ExistsIsAny),
    },
    Mutant {
        name: "exists_by_own_writes",
        guarantee: "A3",
        twin: "existence from the cache of a process",
        expected: &["append.exists_present"],
        make: || each_handle(|| ExistsByOwnWrites(Mutex::default())),
    },
    Mutant {
        name: "zero_expects_nothing",
        guarantee: "A3",
        twin: "0 as the default of an integer that may be left out",
        expected: &["append.exact_zero"],
        make: || each_handle(|| ZeroExpectsNothing),
    },
    Mutant {
        name: "expected_wraps_to_32_bits",
        guarantee: "A3",
        twin: "a version cast to a 32-bit column",
        expected: &["append.expected_extremes"],
        make: || each_handle(|| ExpectedWraps),
    },
    Mutant {
        name: "expected_wraps_to_signed",
        guarantee: "A3",
        twin: "`as i64` where negative numbers mean `Any`",
        expected: &["append.expected_extremes"],
        make: || each_handle(|| ExpectedWrapsToSigned),
    },
    Mutant {
        name: "any_reads_then_writes",
        guarantee: "A6",
        twin: "the version read first, the write conditional, no second try",
        expected: &["append.any_never_conflicts"],
        make: || each_handle(|| AnyReadsThenWrites),
    },
];

fn with_expected(append: &Append, edit: impl Fn(ExpectedVersion) -> ExpectedVersion) -> Append {
    edit_writes(append, |write| write.expected = edit(write.expected))
}

wrong_append! {
    /// Takes every `Exact` as `Any`.
    ExactNeverChecked: |honest, append| {
        honest.append(with_expected(&append, |expected| match expected {
            ExpectedVersion::Exact(_) => ExpectedVersion::Any,
            other => other,
        })).await
    }

    /// Takes `Exact` for the version that the first event gets.
    ExactIsTheNextVersion: |honest, append| {
        honest.append(with_expected(&append, |expected| match expected {
            ExpectedVersion::Exact(version) if version > Version::NONE => {
                ExpectedVersion::Exact(Version::new(version.get() - 1))
            }
            other => other,
        })).await
    }

    /// Takes an expectation above the stream's version as one that holds.
    LaterVersionsHold: |honest, append| {
        let mut edited = append.clone();
        for write in append.writes() {
            let actual = version_of(honest, &write.stream).await?;
            if let ExpectedVersion::Exact(version) = write.expected && version > actual {
                edited = edit_writes(&edited, |other| {
                    if other.stream == write.stream {
                        other.expected = ExpectedVersion::Any;
                    }
                });
            }
        }
        honest.append(edited).await
    }

    /// Takes a stream for there if there is one whose name begins like it.
    NoStreamByPrefix: |honest, append| {
        for write in append.writes().iter().filter(|write| write.expected == ExpectedVersion::NoStream) {
            let like = QueryItem::new().stream_prefix(write.stream.as_str());
            let found = all_of(honest, Read::log(Query::from(like))).await?.len();
            if found > 0 {
                return Err(version_conflict(&write.stream, write.expected, Version::new(found as u64)));
            }
        }
        honest.append(append).await
    }

    /// Takes `NoStream` as `Any`.
    NoStreamIsAnUpsert: |honest, append| {
        honest.append(with_expected(&append, |expected| match expected {
            ExpectedVersion::NoStream | ExpectedVersion::Exact(Version::NONE) => ExpectedVersion::Any,
            other => other,
        })).await
    }

    /// Takes `Exists` as `Any`.
    ExistsIsAny: |honest, append| {
        honest.append(with_expected(&append, |expected| match expected {
            ExpectedVersion::Exists => ExpectedVersion::Any,
            other => other,
        })).await
    }

    /// Takes `Exact(0)` as `Any`.
    ZeroExpectsNothing: |honest, append| {
        honest.append(with_expected(&append, |expected| match expected {
            ExpectedVersion::Exact(Version::NONE) => ExpectedVersion::Any,
            other => other,
        })).await
    }

    /// Compares the lower 32 bits.
    ExpectedWraps: |honest, append| {
        honest.append(with_expected(&append, |expected| match expected {
            ExpectedVersion::Exact(version) => {
                ExpectedVersion::Exact(Version::new(version.get() & u64::from(u32::MAX)))
            }
            other => other,
        })).await
    }

    /// Takes versions with the highest bit set as `Any`.
    ExpectedWrapsToSigned: |honest, append| {
        honest.append(with_expected(&append, |expected| match expected {
            ExpectedVersion::Exact(version) if version.get() > i64::MAX as u64 => ExpectedVersion::Any,
            other => other,
        })).await
    }

    /// Reads the version and expects it.
    AnyReadsThenWrites: |honest, append| {
        let mut edited = append.clone();
        for write in append.writes().iter().filter(|write| write.expected == ExpectedVersion::Any) {
            let version = version_of(honest, &write.stream).await?;
            edited = edit_writes(&edited, |other| {
                if other.stream == write.stream {
                    other.expected = ExpectedVersion::Exact(version);
                }
            });
        }
        tokio::task::yield_now().await;
        honest.append(edited).await
    }
}

/// Takes a stream for missing unless this handle wrote to it.
struct ExistsByOwnWrites(Mutex<HashSet<StreamId>>);

#[async_trait]
impl Bug for ExistsByOwnWrites {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        for write in append.writes().iter().filter(|write| write.expected == ExpectedVersion::Exists) {
            if !self.0.lock().expect("no panic").contains(&write.stream) {
                return Err(version_conflict(&write.stream, write.expected, Version::NONE));
            }
        }
        let receipt = honest.append(append).await?;
        let mut written = self.0.lock().expect("no panic");
        written.extend(receipt.written().iter().map(|written| written.stream().clone()));
        Ok(receipt)
    }
}
