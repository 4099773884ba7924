//! Content that is not compared, and what is no content but compared.

use std::collections::HashMap;
use std::sync::Mutex;

use annalist_core::{
    Append, Error, EventId, EventStore, IdReused, NewEvent, Page, Read, Receipt, RecordedEvent,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::edit::{edit_writes, with_event};
use crate::look::{stream_of, wrong_append};
use crate::mutants::Mutant;
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "data_not_compared",
        guarantee: "I3",
        twin: "the id alone decides",
        expected: &["idem.same_id_other_payload", "idem.reused_names_where", "idem.rivals_for_an_id"],
        make: || each_handle(|| DataNotCompared),
    },
    Mutant {
        name: "type_not_compared",
        guarantee: "I3",
        twin: "a digest of the data alone",
        expected: &["idem.other_type"],
        make: || each_handle(|| TypeNotCompared),
    },
    Mutant {
        name: "tags_not_compared",
        guarantee: "I3",
        twin: "tags in a table of their own, which nobody looks at",
        expected: &["idem.other_tags", "idem.other_tag_order"],
        make: || each_handle(|| TagsNotCompared),
    },
    Mutant {
        name: "tags_compared_as_a_set",
        guarantee: "I3",
        twin: "tags compared sorted",
        expected: &["idem.other_tag_order"],
        make: || each_handle(|| TagsComparedAsASet),
    },
    Mutant {
        name: "metadata_compared",
        guarantee: "I3",
        twin: "a digest of the whole event, `traceparent` included",
        expected: &["idem.metadata_not_compared"],
        make: || each_handle(|| MetadataCompared),
    },
    Mutant {
        name: "content_type_compared",
        guarantee: "I3",
        twin: "a digest of the record with all its headers",
        expected: &["idem.content_type_not_compared"],
        make: || each_handle(|| ContentTypeCompared),
    },
    Mutant {
        name: "retry_puts_over",
        guarantee: "I3",
        twin: "`PutItem` without a condition: the retry replaces the stored event",
        expected: &["idem.metadata_not_compared", "idem.content_type_not_compared"],
        make: || each_database(|| RetryPutsOver(Mutex::default())),
    },
];

/// The append, with each event that stands in its stream edited by what is stored.
async fn by_stored(
    honest: &MemoryStore,
    append: &Append,
    edit: impl Fn(&NewEvent, &RecordedEvent) -> NewEvent,
) -> Result<Append, Error> {
    let mut edited = append.clone();
    for write in append.writes() {
        let stored = stream_of(honest, &write.stream).await?;
        edited = edit_writes(&edited, |other| {
            for event in other.events.iter_mut().filter(|_| other.stream == write.stream) {
                if let Some(stored) = stored.iter().find(|stored| stored.id() == event.id()) {
                    *event = edit(event, stored);
                }
            }
        });
    }
    Ok(edited)
}

/// An event of this type and data, and with the tags of another.
fn made_of(event_type: &NewEvent, data: &NewEvent, tags: &NewEvent) -> NewEvent {
    let made = NewEvent::new(event_type.event_type().clone(), data.data().clone()).expect("a valid type");
    let made = made.with_tags(tags.tags().iter().cloned()).expect("valid tags");
    made.with_id(data.id()).with_metadata(data.metadata().clone())
}

/// The first event of the append that differs from what is stored in a way that is none of its content.
async fn differing(
    honest: &MemoryStore,
    append: &Append,
    differs: impl Fn(&NewEvent, &RecordedEvent) -> bool,
) -> Result<Option<IdReused>, Error> {
    for write in append.writes() {
        let stored = stream_of(honest, &write.stream).await?;
        for event in &write.events {
            let found = stored.iter().find(|stored| stored.id() == event.id() && differs(event, stored));
            if let Some(found) = found {
                return Ok(Some(IdReused::new(event.id(), write.stream.clone(), found.version())));
            }
        }
    }
    Ok(None)
}

wrong_append! {
    /// Takes other data for the stored ones.
    DataNotCompared: |honest, append| {
        honest.append(by_stored(honest, &append, |event, stored| made_of(event, stored.event(), event)).await?).await
    }

    /// Takes another type for the stored one.
    TypeNotCompared: |honest, append| {
        honest.append(by_stored(honest, &append, |event, stored| made_of(stored.event(), event, event)).await?).await
    }

    /// Takes other tags for the stored ones.
    TagsNotCompared: |honest, append| {
        honest.append(by_stored(honest, &append, |event, stored| made_of(event, event, stored.event())).await?).await
    }

    /// Takes tags in another order for the stored ones.
    TagsComparedAsASet: |honest, append| {
        let edited = by_stored(honest, &append, |event, stored| {
            let (mut ours, mut theirs) = (event.tags().to_vec(), stored.tags().to_vec());
            ours.sort();
            theirs.sort();
            if ours == theirs { made_of(event, event, stored.event()) } else { event.clone() }
        });
        honest.append(edited.await?).await
    }

    /// Refuses a retry with other metadata.
    MetadataCompared: |honest, append| {
        let differs = |event: &NewEvent, stored: &RecordedEvent| event.metadata() != stored.metadata();
        match differing(honest, &append, differs).await? {
            Some(reused) => Err(reused.into()),
            None => honest.append(append).await,
        }
    }

    /// Refuses a retry with another content type.
    ContentTypeCompared: |honest, append| {
        let differs = |event: &NewEvent, stored: &RecordedEvent| event.content_type() != stored.content_type();
        match differing(honest, &append, differs).await? {
            Some(reused) => Err(reused.into()),
            None => honest.append(append).await,
        }
    }
}

/// Gives the event as it was sent last.
struct RetryPutsOver(Mutex<HashMap<EventId, NewEvent>>);

#[async_trait]
impl Bug for RetryPutsOver {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let receipt = honest.append(append.clone()).await?;
        let sent = append.events().map(|(_, event)| (event.id(), event.clone()));
        self.0.lock().expect("no panic").extend(sent);
        Ok(receipt)
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read).await?;
        let sent = self.0.lock().expect("no panic");
        for event in &mut page.events {
            if let Some(sent) = sent.get(&event.id()) {
                *event = with_event(event, sent.clone());
            }
        }
        Ok(page)
    }
}
