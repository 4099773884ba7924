//! Retries that are known and answered wrongly.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use annalist_core::{Append, Error, EventId, EventStore, IdReused, Receipt, StreamId, Version, backend};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::edit_receipt;
use crate::look::{head_of, is_conflict, version_of, wrong_append};
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "retry_told_as_new",
        guarantee: "I1",
        twin: "a receipt that does not know of retries",
        expected: &[
            "idem.replay_exact",
            "idem.replay_any",
            "idem.stream_order_free",
            "append.replay_before_conflict",
        ],
        make: || each_handle(|| RetryToldAsNew),
    },
    Mutant {
        name: "retry_tells_the_present_version",
        guarantee: "I1",
        twin: "`SELECT max(version)` after the unique index struck",
        expected: &["idem.replay_after_growth", "idem.replay_deep"],
        make: || each_handle(|| RetryTellsThePresent),
    },
    Mutant {
        name: "retry_in_the_same_stream_order",
        guarantee: "I1",
        twin: "a digest of the request as it is written",
        expected: &["idem.stream_order_free"],
        make: || each_handle(|| RetryInTheSameOrder),
    },
    Mutant {
        name: "retry_of_the_whole_request",
        guarantee: "I1",
        twin: "`IdempotentParameterMismatch` where expectations are parameters too",
        expected: &["idem.retry_whatever_expectations", "append.wrong_history_after_replay"],
        make: || each_database(|| RetryOfTheWholeRequest(Mutex::default())),
    },
    Mutant {
        name: "refused_is_remembered_as_done",
        guarantee: "A5",
        twin: "a token kept before the outcome, and answered from",
        expected: &["idem.refused_again_is_no_replay", "append.conflict_repeatable"],
        make: || each_database(|| RefusedRememberedAsDone(Mutex::default())),
    },
];

wrong_append! {
    /// Never tells that an append was committed before.
    RetryToldAsNew: |honest, append| {
        Ok(backend::receipt(false, honest.append(append).await?.written().to_vec()))
    }

    /// Tells a retry the version that the stream has by now.
    RetryTellsThePresent: |honest, append| {
        let receipt = honest.append(append).await?;
        let mut versions: HashMap<StreamId, Version> = HashMap::new();
        for written in receipt.written() {
            versions.insert(written.stream().clone(), version_of(honest, written.stream()).await?);
        }
        Ok(edit_receipt(&receipt, |written| {
            let (stream, positions) = (written.stream().clone(), written.positions().to_vec());
            let first = versions[&stream].get() + 1 - positions.len() as u64;
            backend::written(stream, Version::new(first), positions)
        }))
    }

    /// Knows a retry only with its streams in the order of the first time.
    RetryInTheSameOrder: |honest, append| {
        let receipt = honest.append(append.clone()).await?;
        let in_order = receipt.written().is_sorted_by_key(|written| written.positions()[0]);
        match append.events().next() {
            Some((stream, event)) if !in_order => {
                Err(IdReused::new(event.id(), stream.clone(), Version::FIRST).into())
            }
            _ => Ok(receipt),
        }
    }
}

/// Knows a retry only if all of the request is the same.
struct RetryOfTheWholeRequest(Mutex<HashMap<EventId, Append>>);

#[async_trait]
impl Bug for RetryOfTheWholeRequest {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append.clone()).await?;
        if let Some((stream, event)) = append.events().next() {
            let mut requests = self.0.lock().expect("no panic");
            let first = requests.entry(event.id()).or_insert_with(|| append.clone());
            if receipt.already_committed() && !first.same_request(&append) {
                return Err(IdReused::new(event.id(), stream.clone(), Version::FIRST).into());
            }
        }
        Ok(receipt)
    }
}

/// Tells that an append was committed which was refused before.
struct RefusedRememberedAsDone(Mutex<HashSet<EventId>>);

#[async_trait]
impl Bug for RefusedRememberedAsDone {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let answer = honest.append(append.clone()).await;
        let (true, Some((stream, event))) = (answer.as_ref().is_err_and(is_conflict), append.events().next())
        else {
            return answer;
        };
        if self.0.lock().expect("no panic").insert(event.id()) {
            return answer;
        }
        let written = backend::written(stream.clone(), Version::FIRST, vec![head_of(honest).await?]);
        Ok(backend::receipt(true, vec![written]))
    }
}
