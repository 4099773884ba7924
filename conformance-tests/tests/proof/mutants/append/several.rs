//! Appends to several streams, done wrongly.

use annalist_core::{Append, Error, EventStore, Receipt, backend};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::look::wrong_append;
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "receipt_in_lock_order",
        guarantee: "A4",
        twin: "`RETURNING` rows in the order in which streams were locked",
        expected: &["append.multi_receipt"],
        make: || each_handle(|| ReceiptInLockOrder),
    },
    Mutant {
        name: "receipt_of_the_first_stream",
        guarantee: "A4",
        twin: "a receipt type from the time when there was one stream",
        expected: &["append.multi_receipt", "append.multi_one_conflict_aborts_all"],
        make: || each_handle(|| ReceiptOfTheFirstStream),
    },
    Mutant {
        name: "written_in_lock_order",
        guarantee: "A2",
        twin: "streams sorted to avoid deadlocks and written in that order",
        expected: &["append.multi_order_in_log", "batch.many_streams"],
        make: || each_handle(|| WrittenInLockOrder),
    },
    Mutant {
        name: "streams_one_after_the_other",
        guarantee: "A1",
        twin: "a saga: one append for each stream",
        expected: &[
            "append.multi_one_conflict_aborts_all",
            "batch.multi_stream_atomic",
            "batch.multi_stream_whole_to_readers",
        ],
        make: || each_handle(|| StreamsOneAfterTheOther),
    },
];

wrong_append! {
    /// Tells the streams sorted by name.
    ReceiptInLockOrder: |honest, append| {
        let receipt = honest.append(append).await?;
        let mut written = receipt.written().to_vec();
        written.sort_by(|a, b| a.stream().cmp(b.stream()));
        Ok(backend::receipt(receipt.already_committed(), written))
    }

    /// Tells of one stream.
    ReceiptOfTheFirstStream: |honest, append| {
        let receipt = honest.append(append).await?;
        let first = receipt.written().iter().take(1).cloned().collect();
        Ok(backend::receipt(receipt.already_committed(), first))
    }

    /// Writes the streams sorted by name, and tells them in the order of the request.
    WrittenInLockOrder: |honest, append| {
        let mut writes = append.writes().to_vec();
        writes.sort_by(|a, b| a.stream.cmp(&b.stream));
        let mut sorted = Append::new();
        for write in writes {
            sorted = sorted.write(&write.stream, write.expected, write.events);
        }
        for check in append.checks() {
            sorted = sorted.check(&check.stream, check.expected);
        }
        for condition in append.conditions() {
            sorted = sorted.condition(condition.query.clone(), condition.after);
        }
        let receipt = honest.append(sorted).await?;
        let of = |stream| receipt.written().iter().find(|written| written.stream() == stream).cloned();
        let written = append.writes().iter().filter_map(|write| of(&write.stream)).collect();
        Ok(backend::receipt(receipt.already_committed(), written))
    }

    /// Appends to each stream for itself.
    StreamsOneAfterTheOther: |honest, append| {
        if append.writes().len() < 2 {
            return honest.append(append).await;
        }
        let mut written = Vec::new();
        for write in append.writes() {
            let mut one = Append::to(&write.stream, write.expected, write.events.iter().cloned());
            for check in append.checks() {
                one = one.check(&check.stream, check.expected);
            }
            written.extend(honest.append(one).await?.written().to_vec());
            tokio::task::yield_now().await;
        }
        Ok(backend::receipt(false, written))
    }
}
