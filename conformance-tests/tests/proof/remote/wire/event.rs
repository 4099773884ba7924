//! Events and snapshots on the wire.

use std::time::SystemTime;

use annalist_core::{
    ContentType, EventId, EventType, Metadata, NewEvent, Position, RecordedEvent, Snapshot, SnapshotSchema,
    StreamId, Tag, Version, backend,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct WireEvent {
    id: EventId,
    event_type: EventType,
    data: Bytes,
    metadata: String,
    content_type: String,
    tags: Vec<Tag>,
}

impl From<&NewEvent> for WireEvent {
    fn from(event: &NewEvent) -> Self {
        Self {
            id: event.id(),
            event_type: event.event_type().clone(),
            data: event.data().clone(),
            metadata: event.metadata().as_str().to_owned(),
            content_type: event.content_type().to_owned(),
            tags: event.tags().to_vec(),
        }
    }
}

impl From<WireEvent> for NewEvent {
    fn from(wire: WireEvent) -> Self {
        let event = Self::new(wire.event_type, wire.data).expect("it was an event");
        event
            .with_id(wire.id)
            .with_metadata(metadata(wire.metadata))
            .with_content_type(ContentType::new(wire.content_type).expect("it was a content type"))
            .with_tags(wire.tags)
            .expect("they were tags")
    }
}

fn metadata(text: String) -> Metadata {
    Metadata::new(text).expect("it was metadata")
}

#[derive(Serialize, Deserialize)]
pub struct WireRecorded {
    event: WireEvent,
    stream: StreamId,
    version: Version,
    position: Position,
    recorded_at: SystemTime,
}

impl From<&RecordedEvent> for WireRecorded {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            event: event.event().into(),
            stream: event.stream().clone(),
            version: event.version(),
            position: event.position(),
            recorded_at: event.recorded_at(),
        }
    }
}

impl From<WireRecorded> for RecordedEvent {
    fn from(wire: WireRecorded) -> Self {
        backend::recorded(wire.event.into(), wire.stream, wire.version, wire.position, wire.recorded_at)
    }
}

#[derive(Serialize, Deserialize)]
pub struct WireSnapshot {
    stream: StreamId,
    schema: SnapshotSchema,
    version: Version,
    data: Bytes,
    metadata: String,
}

impl From<&Snapshot> for WireSnapshot {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            stream: snapshot.stream.clone(),
            schema: snapshot.schema.clone(),
            version: snapshot.version,
            data: snapshot.data.clone(),
            metadata: snapshot.metadata.as_str().to_owned(),
        }
    }
}

impl From<WireSnapshot> for Snapshot {
    fn from(wire: WireSnapshot) -> Self {
        Self::new(&wire.stream, &wire.schema, wire.version, wire.data).with_metadata(metadata(wire.metadata))
    }
}
