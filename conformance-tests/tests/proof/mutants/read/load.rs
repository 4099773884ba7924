//! Stores that show what must not be seen while others write.

use std::sync::Mutex;

use annalist_core::{
    Append, Error, ErrorKind, EventStore, NewEvent, Page, Position, Read, Receipt, RecordedEvent, Source,
    StreamId, Version, Write, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::task::yield_now;

use super::super::Mutant;
use crate::bug::Bug;
use crate::edit_read::with_numbers;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "refused_events_deleted_again",
        guarantee: "A5",
        twin: "insert first, and compensate by a delete when a later check fails",
        expected: &["read.aborted_hidden"],
        make: || each_database(DeletedAgain::default),
    },
    Mutant {
        name: "append_in_a_loop",
        guarantee: "A1",
        twin: "a loop of inserts, each committed",
        expected: &["read.batch_atomic"],
        make: || each_handle(|| InALoop),
    },
];

/// Shows the events of an append before it knows that it is refused.
#[derive(Default)]
struct DeletedAgain(Mutex<Vec<(StreamId, NewEvent)>>);

impl DeletedAgain {
    fn ghosts(&self, read: &Read, page: &Page) -> Vec<RecordedEvent> {
        let ghosts = self.0.lock().expect("nothing panics here");
        let above = |n: usize| with_numbers(page.head, backend::numbers(page.head).0 + 1 + n as u64, 0);
        let recorded = ghosts.iter().enumerate().map(|(n, (stream, event))| {
            let version = Version::new(page.version.get() + 1 + n as u64);
            backend::recorded(event.clone(), stream.clone(), version, above(n), std::time::SystemTime::now())
        });
        let meant = |event: &RecordedEvent| match read.source() {
            Source::Stream(stream) => event.stream() == stream,
            _ => true,
        };
        recorded.filter(meant).collect()
    }
}

#[async_trait]
impl Bug for DeletedAgain {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let answer = honest.append(append.clone()).await;
        let refused = answer.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::Conflict(_)));
        if refused {
            let shown = append.events().map(|(stream, event)| (stream.clone(), event.clone()));
            self.0.lock().expect("nothing panics here").extend(shown);
            for _ in 0..3 {
                yield_now().await;
            }
            let gone: Vec<_> = append.events().map(|(_, event)| event.id()).collect();
            self.0.lock().expect("nothing panics here").retain(|(_, event)| !gone.contains(&event.id()));
        }
        answer
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read.clone()).await?;
        if page.next.is_none() && page.head > Position::START && read.limit_left().is_none() {
            let ghosts = self.ghosts(&read, &page);
            page.events.extend(ghosts);
        }
        Ok(page)
    }
}

/// Commits each event of an append by itself.
struct InALoop;

#[async_trait]
impl Bug for InALoop {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        if append.event_count() < 2 || !append.checks().is_empty() || !append.conditions().is_empty() {
            return honest.append(append).await;
        }
        let mut written = Vec::new();
        for Write { stream, expected, events, .. } in append.writes() {
            let (mut positions, mut first) = (Vec::new(), None);
            for (n, event) in events.iter().enumerate() {
                let expected = if n == 0 { *expected } else { annalist_core::ExpectedVersion::Any };
                let receipt = honest.append(Append::to(stream, expected, [event.clone()])).await?;
                first = first.or(receipt.written().first().map(|written| written.first_version()));
                positions.extend(receipt.position());
                yield_now().await;
            }
            if let Some(first) = first {
                written.push(backend::written(stream.clone(), first, positions));
            }
        }
        Ok(backend::receipt(false, written))
    }
}
