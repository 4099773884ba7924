//! Broken stores for the area `payload`.

use annalist_core::{Append, Error, EventStore, NewEvent, Page, Read, Receipt, RecordedEvent};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::Mutant;
use crate::bug::Bug;
use crate::edit::{edit_writes, with_event};

mod data;
mod envelope;
mod paths;

pub const PARTS: &[&[Mutant]] = &[data::MUTANTS, envelope::MUTANTS, paths::MUTANTS];

/// Stores another event than the one that was given.
struct Stores(fn(NewEvent) -> NewEvent);

#[async_trait]
impl Bug for Stores {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let edit = |event: &NewEvent| (self.0)(event.clone());
        let append = edit_writes(&append, |write| write.events = write.events.iter().map(edit).collect());
        honest.append(append).await
    }
}

/// Gives another event than the one that is stored, where the read is of a kind.
struct Gives {
    whenever: fn(&Read) -> bool,
    event: fn(&RecordedEvent) -> RecordedEvent,
}

#[async_trait]
impl Bug for Gives {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let concerned = (self.whenever)(&read);
        let mut page = honest.read(read).await?;
        if concerned {
            page.events = page.events.iter().map(self.event).collect();
        }
        Ok(page)
    }
}

/// The same event with other data.
fn with_data(event: &NewEvent, data: impl Into<Vec<u8>>) -> NewEvent {
    let tags = event.tags().iter().cloned();
    let content_type = event.content_type().parse().expect("it was one");
    NewEvent::new(event.event_type(), data.into())
        .and_then(|made| made.with_tags(tags))
        .expect("only the data are others")
        .with_id(event.id())
        .with_metadata(event.metadata().clone())
        .with_content_type(content_type)
}

/// The same recorded event with an edited content.
fn edited(event: &RecordedEvent, edit: impl FnOnce(NewEvent) -> NewEvent) -> RecordedEvent {
    with_event(event, edit(event.event().clone()))
}
