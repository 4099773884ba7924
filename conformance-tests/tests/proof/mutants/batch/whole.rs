//! Appends taken to pieces, put in another order, or locked against one another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use annalist_core::{
    Append, Error, ErrorKind, EventStore, ExpectedVersion, Page, Position, Query, Read, Receipt, Source,
    StreamId, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::{edit_writes, with_position};
use crate::look::{demands, knows, wrong_append};
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "events_one_by_one",
        guarantee: "A1",
        twin: "a loop of inserts in autocommit",
        expected: &["batch.contiguous_versions", "batch.contiguous_global", "batch.whole_to_readers"],
        make: || each_handle(|| InChunks(1)),
    },
    Mutant {
        name: "events_in_chunks",
        guarantee: "A1",
        twin: "`BatchWriteItem`, or a transaction for every hundred items",
        expected: &["batch.atomic_bad_middle", "batch.whole_to_readers", "batch.contiguous_global"],
        make: || each_handle(|| InChunks(5)),
    },
    Mutant {
        name: "events_sorted_by_id",
        guarantee: "A2",
        twin: "`ORDER BY id` of UUIDv7 within a batch",
        expected: &["batch.order"],
        make: || each_handle(|| SortedById),
    },
    Mutant {
        name: "places_handed_out_in_pairs",
        guarantee: "G3",
        twin: "a sequence with a cache for each session: two sessions take turns",
        expected: &["batch.one"],
        make: || each_handle(|| PlacesInPairs),
    },
    Mutant {
        name: "streams_locked_in_request_order",
        guarantee: "A5",
        twin: "`SELECT … FOR UPDATE` stream by stream, and `40P01` passed on",
        expected: &["batch.no_deadlock"],
        make: || each_database(|| LockedInRequestOrder(Mutex::default())),
    },
];

/// Appends so many events at a time, after looking at all that is demanded.
struct InChunks(usize);

#[async_trait]
impl Bug for InChunks {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        if append.event_count() <= self.0 || knows(honest, &append).await? {
            return honest.append(append).await;
        }
        honest.append(demands(&append)).await?;
        let mut written = Vec::new();
        for write in append.writes().iter().filter(|write| !write.events.is_empty()) {
            let (mut first, mut positions) = (None, Vec::new());
            for chunk in write.events.chunks(self.0) {
                let one = Append::to(&write.stream, ExpectedVersion::Any, chunk.to_vec());
                let receipt = honest.append(one).await?;
                first.get_or_insert(receipt.written()[0].first_version());
                positions.extend_from_slice(receipt.written()[0].positions());
                tokio::task::yield_now().await;
            }
            written.extend(first.map(|first| backend::written(write.stream.clone(), first, positions)));
        }
        Ok(backend::receipt(false, written))
    }
}

wrong_append! {
    /// Puts the events of a stream in the order of their ids.
    SortedById: |honest, append| {
        honest.append(edit_writes(&append, |write| write.events.sort_by_key(|event| event.id()))).await
    }
}

/// Tells the places of two neighbours the wrong way round where the log is read.
struct PlacesInPairs;

#[async_trait]
impl Bug for PlacesInPairs {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        if !matches!(read.source(), Source::Log(query) if query.is_all()) || read != Read::log(Query::all()) {
            return honest.read(read).await;
        }
        let mut page = honest.read(read).await?;
        let places: Vec<Position> = page.events.iter().map(|event| event.position()).collect();
        for (pair, places) in
            page.events.chunks_mut(2).zip(places.chunks(2)).filter(|(pair, _)| pair.len() == 2)
        {
            pair.swap(0, 1);
            pair[0] = with_position(&pair[0], places[0]);
            pair[1] = with_position(&pair[1], places[1]);
        }
        Ok(page)
    }
}

/// Locks the streams that it writes one after the other, and gives up where another has one for long.
struct LockedInRequestOrder(Mutex<HashMap<StreamId, Arc<tokio::sync::Mutex<()>>>>);

#[async_trait]
impl Bug for LockedInRequestOrder {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let mut held = Vec::new();
        for write in append.writes() {
            let lock = self.0.lock().expect("no panic").entry(write.stream.clone()).or_default().clone();
            let mut tries = 0;
            held.push(loop {
                if let Ok(guard) = lock.clone().try_lock_owned() {
                    break guard;
                }
                tries += 1;
                if tries > 1_000 {
                    return Err(ErrorKind::Internal("deadlock detected".to_owned()).into());
                }
                tokio::task::yield_now().await;
            });
            tokio::task::yield_now().await;
        }
        honest.append(append).await
    }
}
