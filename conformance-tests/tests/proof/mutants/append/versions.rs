//! Wrong versions.

use std::collections::HashMap;
use std::sync::Mutex;

use annalist_core::{
    Append, Error, EventStore, ExpectedVersion, Page, Position, Read, Receipt, RecordedEvent, StreamId,
    Version, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::{edit_receipt, edit_writes, with_version};
use crate::look::{log_of, version_conflict, version_of, wrong_append};
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "versions_from_zero",
        guarantee: "A4",
        twin: "pyeventsourcing's first version, under a contract that begins at 1",
        expected: &["append.first_version"],
        make: || each_handle(|| VersionsFromZero),
    },
    Mutant {
        name: "version_is_the_place_in_the_log",
        guarantee: "A2",
        twin: "a Kafka offset used as the version",
        expected: &["append.versions_contiguous", "append.multi_receipt"],
        make: || each_handle(|| VersionIsThePlaceInTheLog),
    },
    Mutant {
        name: "any_needs_a_stream",
        guarantee: "A6",
        twin: "`UPDATE streams SET version = version + n`, which finds no row of a new stream",
        expected: &["append.any", "append.versions_contiguous"],
        make: || each_handle(|| AnyNeedsAStream),
    },
    Mutant {
        name: "versions_cached_by_any",
        guarantee: "A3",
        twin: "a cache of versions that only one of two ways of writing keeps up",
        expected: &["append.mixed_modes"],
        make: || each_database(|| VersionsCachedByAny(Mutex::default())),
    },
    Mutant {
        name: "one_version_for_all_streams",
        guarantee: "A3",
        twin: "`SELECT max(version) FROM events` without the stream",
        expected: &["append.streams_independent", "append.exact_ok"],
        make: || each_handle(|| OneVersionForAllStreams),
    },
    Mutant {
        name: "versions_as_text",
        guarantee: "A2",
        twin: "a sort key that is text without padding",
        expected: &["append.beyond_digit_edges"],
        make: || each_handle(|| VersionsAsText),
    },
];

/// Gives every event the version before its own.
struct VersionsFromZero;

fn one_less(version: Version) -> Version {
    Version::new(version.get().saturating_sub(1))
}

#[async_trait]
impl Bug for VersionsFromZero {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await?;
        Ok(edit_receipt(&receipt, |written| {
            backend::written(
                written.stream().clone(),
                one_less(written.first_version()),
                written.positions().to_vec(),
            )
        }))
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read).await?;
        let shifted = |event: &RecordedEvent| with_version(event, one_less(event.version()));
        page.events = page.events.iter().map(shifted).collect();
        Ok(page)
    }
}

/// Numbers the events of all streams in one go.
struct VersionIsThePlaceInTheLog;

fn place(position: Position) -> Version {
    Version::new(backend::numbers(position).0)
}

#[async_trait]
impl Bug for VersionIsThePlaceInTheLog {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await?;
        Ok(edit_receipt(&receipt, |written| {
            let positions = written.positions().to_vec();
            backend::written(written.stream().clone(), place(positions[0]), positions)
        }))
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read).await?;
        page.events = page.events.iter().map(|event| with_version(event, place(event.position()))).collect();
        Ok(page)
    }
}

wrong_append! {
    /// Takes `Any` as `Exists`.
    AnyNeedsAStream: |honest, append| {
        honest.append(edit_writes(&append, |write| {
            if write.expected == ExpectedVersion::Any {
                write.expected = ExpectedVersion::Exists;
            }
        })).await
    }

    /// Compares what is expected with the version of the newest event of all.
    OneVersionForAllStreams: |honest, append| {
        let all = Version::new(log_of(honest).await?.len() as u64);
        for write in append.writes() {
            if let ExpectedVersion::Exact(expected) = write.expected && expected != all {
                return Err(version_conflict(&write.stream, write.expected, all));
            }
        }
        honest.append(edit_writes(&append, |write| {
            if matches!(write.expected, ExpectedVersion::Exact(_)) {
                write.expected = ExpectedVersion::Any;
            }
        })).await
    }

    /// Compares what is expected with the version that is last as text.
    VersionsAsText: |honest, append| {
        for write in append.writes() {
            let actual = version_of(honest, &write.stream).await?;
            let last = (1..=actual.get()).map(|version| version.to_string()).max();
            let last = last.and_then(|text| text.parse().ok()).map_or(Version::NONE, Version::new);
            if matches!(write.expected, ExpectedVersion::Exact(_)) && !write.expected.holds(last) {
                return Err(version_conflict(&write.stream, write.expected, last));
            }
        }
        honest.append(append).await
    }
}

/// Keeps the version of each stream, but only appends without an exact expectation keep it up.
struct VersionsCachedByAny(Mutex<HashMap<StreamId, Version>>);

#[async_trait]
impl Bug for VersionsCachedByAny {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let is_exact = |expected| matches!(expected, ExpectedVersion::Exact(_));
        for write in append.writes().iter().filter(|write| is_exact(write.expected)) {
            let cached = self.0.lock().expect("no panic").get(&write.stream).copied();
            if let Some(cached) = cached.filter(|cached| !write.expected.holds(*cached)) {
                return Err(version_conflict(&write.stream, write.expected, cached));
            }
        }
        let receipt = honest.append(append.clone()).await?;
        for write in append.writes().iter().filter(|write| !is_exact(write.expected)) {
            if let Some(version) = receipt.version_of(&write.stream) {
                self.0.lock().expect("no panic").insert(write.stream.clone(), version);
            }
        }
        Ok(receipt)
    }
}
