//! One path on which events are others than on the rest.

use std::sync::Arc;

use annalist_core::{
    Append, Direction, Error, EventStore, Metadata, NewEvent, Read, Receipt, RecordedEvent, Signal, Source,
    Subscribe, Subscription,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::{Gives, edited, with_data};
use crate::bug::Bug;
use crate::edit::{edit_signals, edit_writes};
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "backward_without_tags",
        guarantee: "R1",
        twin: "a query for newest-first reads that forgot a column",
        expected: &["payload.all_paths_equal"],
        make: || {
            each_handle(|| Gives {
                whenever: |read| read.direction() == Direction::Backward,
                event: untagged,
            })
        },
    },
    Mutant {
        name: "log_without_content_type",
        guarantee: "R1",
        twin: "an index of the log with a narrower row",
        expected: &["payload.all_paths_equal", "payload.small_pages_equal", "payload.content_type"],
        make: || {
            each_handle(|| Gives {
                whenever: |read| matches!(read.source(), Source::Log(_)),
                event: |event| {
                    edited(event, |new| new.with_content_type("application/json".parse().expect("a name")))
                },
            })
        },
    },
    Mutant {
        name: "second_page_without_metadata",
        guarantee: "R4",
        twin: "another statement for the pages after the first",
        expected: &["payload.small_pages_equal"],
        make: || each_handle(|| Gives { whenever: |read| read.fixed_head().is_some(), event: bare }),
    },
    Mutant {
        name: "subscription_without_metadata",
        guarantee: "S1",
        twin: "a notification with its own encoding",
        expected: &["payload.subscription_equal"],
        make: || each_handle(|| Delivers(bare)),
    },
    Mutant {
        name: "subscription_cuts_data",
        guarantee: "S1",
        twin: "`NOTIFY`, whose payload ends at 8,000 bytes",
        expected: &["payload.subscription_equal"],
        make: || {
            each_handle(|| {
                Delivers(|event| {
                    let kept = event.data().len().min(1);
                    edited(event, |new| with_data(&new, &event.data()[..kept]))
                })
            })
        },
    },
    Mutant {
        name: "multi_stream_without_metadata",
        guarantee: "A1",
        twin: "several streams written by a statement of their own",
        expected: &["payload.multi_stream_equal"],
        make: || each_handle(|| MultiStreamBare),
    },
    Mutant {
        name: "retry_writes_metadata",
        guarantee: "I1",
        twin: "`ON CONFLICT DO UPDATE`",
        expected: &["payload.retry_changes_nothing"],
        make: || crate::world::each_database(Upserted::default),
    },
];

fn untagged(event: &RecordedEvent) -> RecordedEvent {
    edited(event, |new| new.with_tags(Vec::<annalist_core::Tag>::new()).expect("none are distinct"))
}

fn bare(event: &RecordedEvent) -> RecordedEvent {
    edited(event, |new| new.with_metadata(Metadata::NONE))
}

/// Its subscriptions give other events than its reads.
struct Delivers(fn(&RecordedEvent) -> RecordedEvent);

#[async_trait]
impl Bug for Delivers {
    async fn subscribe(
        &self,
        _: &MemoryStore,
        store: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let edit = self.0;
        let subscription = annalist_engine::subscribe(store, subscribe).await?;
        Ok(edit_signals(subscription, move |answer| match answer {
            Ok(Signal::Event(event)) => vec![Ok(Signal::Event(edit(&event)))],
            other => vec![other],
        }))
    }
}

struct MultiStreamBare;

#[async_trait]
impl Bug for MultiStreamBare {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let several = append.writes().len() > 1;
        let edit = |event: &NewEvent| event.clone().with_metadata(Metadata::NONE);
        let append = edit_writes(&append, |write| {
            if several {
                write.events = write.events.iter().map(edit).collect();
            }
        });
        honest.append(append).await
    }
}

/// Gives metadata of the retry, once there was one.
#[derive(Default)]
struct Upserted(std::sync::atomic::AtomicBool);

#[async_trait]
impl Bug for Upserted {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append).await?;
        if receipt.already_committed() {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
        Ok(receipt)
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<annalist_core::Page, Error> {
        let mut page = honest.read(read).await?;
        if self.0.load(std::sync::atomic::Ordering::SeqCst) {
            page.events = page.events.iter().map(bare).collect();
        }
        Ok(page)
    }
}
