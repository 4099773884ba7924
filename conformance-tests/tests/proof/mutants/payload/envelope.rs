//! Ids, types, metadata, content types, tags and times that are not kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use annalist_core::{
    Capabilities, Error, EventId, EventStore, Metadata, NewEvent, Page, Read, RecordedEvent, Tag, Version,
    backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::data::metadata_as_jsonb;
use super::{Gives, Stores};
use crate::bug::Bug;
use crate::edit::with_version;
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "metadata_absent_is_empty",
        guarantee: "R1",
        twin: "a column of metadata with the default `{}`",
        expected: &["payload.metadata"],
        make: || {
            each_handle(|| {
                Stores(|event| match event.metadata().is_none() {
                    true => event.with_metadata(Metadata::new("{}").expect("it is an object")),
                    false => event,
                })
            })
        },
    },
    Mutant {
        name: "metadata_as_jsonb",
        guarantee: "R1",
        twin: "`jsonb` for metadata",
        expected: &["payload.metadata", "payload.number_text", "payload.key_order_dups"],
        make: || each_handle(|| Stores(metadata_as_jsonb)),
    },
    Mutant {
        name: "metadata_dropped",
        guarantee: "R1",
        twin: "a second encoding that knows no metadata",
        expected: &["payload.metadata", "payload.multi_stream_equal", "payload.fuzz"],
        make: || each_handle(|| Stores(|event| event.with_metadata(Metadata::NONE))),
    },
    Mutant {
        name: "metadata_flattened_into_the_event",
        guarantee: "A2",
        twin: "envelope and metadata flattened into one JSON object",
        expected: &["payload.metadata_cannot_override"],
        make: || {
            each_handle(|| Gives {
                whenever: |_| true,
                event: |event| match serde_json::from_str::<serde_json::Value>(event.metadata().as_str()) {
                    Ok(value) => {
                        with_version(event, value["version"].as_u64().map_or(event.version(), Version::new))
                    }
                    Err(_) => event.clone(),
                },
            })
        },
    },
    Mutant {
        name: "content_type_dropped",
        guarantee: "R1",
        twin: "no column for it",
        expected: &["payload.content_type", "payload.multi_stream_equal"],
        make: || each_handle(|| Stores(|event| event.with_content_type(named("application/json")))),
    },
    Mutant {
        name: "content_type_lower_case",
        guarantee: "R1",
        twin: "a header's value put into lower case",
        expected: &["payload.content_type"],
        make: || {
            each_handle(|| {
                Stores(|event| {
                    let lower = named(&event.content_type().to_lowercase());
                    event.with_content_type(lower)
                })
            })
        },
    },
    Mutant {
        name: "nil_id_made_anew",
        guarantee: "I2",
        twin: "the nil UUID taken for \"none was given\"",
        expected: &["payload.ids"],
        make: || {
            each_handle(|| {
                Stores(|event| {
                    let nil = event.id().as_uuid().is_nil();
                    if nil { event.with_id(EventId::new()) } else { event }
                })
            })
        },
    },
    Mutant {
        name: "type_lower_case",
        guarantee: "R1",
        twin: "a collation that folds case",
        expected: &["payload.types"],
        make: || each_handle(|| Stores(|event| typed(&event, &event.event_type().as_str().to_lowercase()))),
    },
    Mutant {
        name: "type_after_its_last_dot",
        guarantee: "R1",
        twin: "a namespace cut off the name of a class",
        expected: &["payload.types"],
        make: || {
            each_handle(|| {
                Stores(|event| {
                    let name = event.event_type().as_str();
                    match name.rsplit_once('.') {
                        Some((_, last)) if !last.is_empty() => typed(&event, last),
                        _ => event,
                    }
                })
            })
        },
    },
    Mutant {
        name: "tags_sorted",
        guarantee: "R1",
        twin: "tags kept as a set",
        expected: &["payload.tags", "payload.tags_many", "payload.multi_stream_equal"],
        make: || {
            each_handle(|| {
                Stores(|event| {
                    let mut tags = event.tags().to_vec();
                    tags.sort_unstable();
                    retagged(event, tags)
                })
            })
        },
    },
    Mutant {
        name: "tags_at_most_16",
        guarantee: "R1",
        twin: "a fixed number of columns for tags",
        expected: &["payload.tags_many"],
        make: || {
            each_handle(|| {
                Stores(|event| {
                    let tags = event.tags().iter().take(16).cloned().collect();
                    retagged(event, tags)
                })
            })
        },
    },
    Mutant {
        name: "tags_trimmed",
        guarantee: "R1",
        twin: "a collation that pads with spaces",
        expected: &["payload.tags"],
        make: || {
            each_handle(|| {
                Stores(|event| {
                    let mut tags: Vec<Tag> = Vec::new();
                    for tag in event.tags() {
                        let trimmed = Tag::new(tag.as_str().trim()).unwrap_or_else(|_| tag.clone());
                        if !tags.contains(&trimmed) {
                            tags.push(trimmed);
                        }
                    }
                    retagged(event, tags)
                })
            })
        },
    },
    Mutant {
        name: "recorded_at_finer_than_declared",
        guarantee: "R1",
        twin: "a time in nanoseconds, where the declaration copied from another backend says milliseconds",
        expected: &["payload.recorded_at_resolution"],
        make: || each_handle(FinerThanDeclared::new),
    },
    Mutant {
        name: "recorded_at_reading",
        guarantee: "R1",
        twin: "the time made up while a row is decoded",
        expected: &["payload.recorded_at_stays", "payload.all_paths_equal", "payload.retry_changes_nothing"],
        make: || each_handle(RecordedAtReading::default),
    },
];

fn named(name: &str) -> annalist_core::ContentType {
    name.parse().expect("it is a name")
}

fn retagged(event: NewEvent, tags: Vec<Tag>) -> NewEvent {
    event.with_tags(tags).expect("they are distinct and few")
}

fn typed(event: &NewEvent, name: &str) -> NewEvent {
    let Ok(made) = NewEvent::new(name, event.data().clone()) else { return event.clone() };
    retagged(made, event.tags().to_vec())
        .with_id(event.id())
        .with_metadata(event.metadata().clone())
        .with_content_type(named(event.content_type()))
}

struct FinerThanDeclared(Capabilities);

impl FinerThanDeclared {
    fn new() -> Self {
        let full = Capabilities::full(*MemoryStore::new().capabilities().limits());
        Self(full.recorded_at_resolution(Duration::from_millis(1)))
    }
}

impl Bug for FinerThanDeclared {
    fn capabilities<'a>(&'a self, _: &'a MemoryStore) -> &'a Capabilities {
        &self.0
    }
}

#[derive(Default)]
struct RecordedAtReading(AtomicU64);

impl RecordedAtReading {
    fn at(&self, event: &RecordedEvent) -> RecordedEvent {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.fetch_add(1, Ordering::Relaxed));
        let (new, stream) = (event.event().clone(), event.stream().clone());
        backend::recorded(new, stream, event.version(), event.position(), now)
    }
}

#[async_trait]
impl Bug for RecordedAtReading {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read).await?;
        page.events = page.events.iter().map(|event| self.at(event)).collect();
        Ok(page)
    }
}
