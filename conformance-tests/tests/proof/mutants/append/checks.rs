//! Checks and appends without events, done wrongly.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use annalist_core::{
    Append, Error, EventStore, ExpectedVersion, Invalid, NewEvent, Receipt, StreamId, Version, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::keep;
use crate::look::{knows, version_conflict, wrong_append};
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "checks_ignored",
        guarantee: "A3",
        twin: "only the streams that are written are looked at",
        expected: &["append.check_fails", "append.first_failed_check", "batch.multi_stream_read_guard"],
        make: || each_handle(|| ChecksIgnored),
    },
    Mutant {
        name: "checks_write_a_marker",
        guarantee: "A3",
        twin: "a checked stream locked by bumping its version",
        expected: &["append.check_holds", "batch.multi_stream_read_guard"],
        make: || each_handle(|| ChecksWriteAMarker),
    },
    Mutant {
        name: "empty_appends_answered_at_once",
        guarantee: "A7",
        twin: "`if events.is_empty() { return Ok(()) }`",
        expected: &["append.empty_checks_only", "append.write_without_events_is_check"],
        make: || each_handle(|| EmptyAnsweredAtOnce),
    },
    Mutant {
        name: "empty_appends_verified_by_cache",
        guarantee: "A7",
        twin: "nothing is written, so what this process knows is thought to be enough",
        expected: &["append.empty_is_fresh"],
        make: || each_handle(|| EmptyVerifiedByCache(Mutex::default())),
    },
    Mutant {
        name: "empty_writes_make_the_stream",
        guarantee: "A7",
        twin: "SqlStreamStore: an append of no messages creates the stream",
        expected: &["append.write_without_events_is_check", "batch.empty"],
        make: || each_database(|| EmptyWritesMakeTheStream(Mutex::default())),
    },
    Mutant {
        name: "empty_writes_skipped",
        guarantee: "A7",
        twin: "a loop over events, which never comes to a stream that has none",
        expected: &["append.write_without_events_is_check"],
        make: || each_handle(|| EmptyWritesSkipped),
    },
    Mutant {
        name: "empty_writes_in_the_receipt",
        guarantee: "A7",
        twin: "a receipt with a line for every stream of the request",
        expected: &["append.write_without_events_is_check", "batch.empty"],
        make: || each_handle(|| EmptyWritesInTheReceipt),
    },
    Mutant {
        name: "nothing_is_invalid",
        guarantee: "A7",
        twin: "pyeventsourcing's DCB: an append without events raises",
        expected: &["append.nothing_at_all"],
        make: || each_handle(|| NothingIsInvalid),
    },
    Mutant {
        name: "nothing_leaves_a_marker",
        guarantee: "A7",
        twin: "a barrier record in the log that readers are given",
        expected: &["append.nothing_at_all", "append.empty_checks_only", "batch.empty"],
        make: || each_handle(|| NothingLeavesAMarker),
    },
];

fn marker(of: &StreamId) -> Append {
    let event = NewEvent::new("Marked", "{}").expect("a valid type");
    Append::to(of, ExpectedVersion::Any, [event])
}

wrong_append! {
    /// Looks at nothing that is not written.
    ChecksIgnored: |honest, append| {
        let keeps = append.event_count() == 0;
        honest.append(if keeps { append } else { keep(&append, false, true) }).await
    }

    /// Writes to what it checks.
    ChecksWriteAMarker: |honest, append| {
        let receipt = honest.append(append.clone()).await?;
        for check in append.checks().iter().filter(|_| append.event_count() > 0) {
            honest.append(marker(&check.stream)).await?;
        }
        Ok(receipt)
    }

    /// Never looks at anything where nothing is written.
    EmptyAnsweredAtOnce: |honest, append| {
        if append.event_count() == 0 {
            return Ok(backend::receipt(false, Vec::new()));
        }
        honest.append(append).await
    }

    /// Forgets writes without events beside others.
    EmptyWritesSkipped: |honest, append| {
        let mut kept = Append::new();
        for write in append.writes().iter().filter(|write| !write.events.is_empty()) {
            kept = kept.write(&write.stream, write.expected, write.events.iter().cloned());
        }
        for check in append.checks() {
            kept = kept.check(&check.stream, check.expected);
        }
        for condition in append.conditions() {
            kept = kept.condition(condition.query.clone(), condition.after);
        }
        honest.append(kept).await
    }

    /// Tells of streams to which nothing was written, at the head's position.
    EmptyWritesInTheReceipt: |honest, append| {
        let receipt = honest.append(append.clone()).await?;
        let mut written = receipt.written().to_vec();
        let head = crate::look::head_of(honest).await?;
        for write in append.writes().iter().filter(|write| write.events.is_empty()) {
            written.push(backend::written(write.stream.clone(), Version::FIRST, vec![head]));
        }
        Ok(backend::receipt(receipt.already_committed(), written))
    }

    /// Refuses what asks for nothing.
    NothingIsInvalid: |honest, append| {
        if append.same_request(&Append::new()) {
            return Err(Invalid::new("append", "must have an event", "0 events").into());
        }
        honest.append(append).await
    }

    /// Writes a barrier that readers see.
    NothingLeavesAMarker: |honest, append| {
        let receipt = honest.append(append.clone()).await?;
        if append.event_count() == 0 {
            honest.append(marker(&StreamId::new("Barrier-1").expect("a valid name"))).await?;
        }
        Ok(receipt)
    }
}

/// Verifies appends without events against the versions that this handle's own appends made.
struct EmptyVerifiedByCache(Mutex<HashMap<StreamId, Version>>);

#[async_trait]
impl Bug for EmptyVerifiedByCache {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        if append.event_count() == 0 {
            for check in append.checks() {
                let known = self.0.lock().expect("no panic").get(&check.stream).copied();
                if let Some(known) = known.filter(|known| !check.expected.holds(*known)) {
                    return Err(version_conflict(&check.stream, check.expected, known));
                }
            }
        }
        let receipt = honest.append(append).await?;
        let versions = receipt.written().iter().map(|w| (w.stream().clone(), w.last_version()));
        self.0.lock().expect("no panic").extend(versions);
        Ok(receipt)
    }
}

/// Takes a stream for there once something without events was written to it.
struct EmptyWritesMakeTheStream(Mutex<HashSet<StreamId>>);

#[async_trait]
impl Bug for EmptyWritesMakeTheStream {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let known = knows(honest, &append).await?;
        for write in append.writes().iter().filter(|_| !known) {
            let made = self.0.lock().expect("no panic").contains(&write.stream);
            let expects_none =
                matches!(write.expected, ExpectedVersion::NoStream | ExpectedVersion::Exact(Version::NONE));
            if made && expects_none {
                return Err(version_conflict(&write.stream, write.expected, Version::NONE));
            }
        }
        let receipt = honest.append(append.clone()).await?;
        let empty = append.writes().iter().filter(|write| write.events.is_empty());
        self.0.lock().expect("no panic").extend(empty.map(|write| write.stream.clone()));
        Ok(receipt)
    }
}
