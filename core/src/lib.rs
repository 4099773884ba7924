#![doc = include_str!("../README.md")]

pub mod backend;

mod append;
mod capabilities;
mod checkpoint;
mod error;
mod event;
mod id;
mod json;
mod metadata;
mod name;
mod position;
mod query;
mod read;
mod snapshot;
mod store;
mod subscription;
mod version;

pub use append::{Append, Check, Condition, Receipt, Write, Written};
pub use capabilities::{Capabilities, Capability, Limits, Survives};
pub use checkpoint::{Checkpoint, CheckpointStore, Claim, Owner};
pub use error::{Conflict, Error, ErrorKind, Fenced, IdReused, Invalid, Remedy};
pub use event::{NewEvent, RecordedEvent, TAGS_MAX};
pub use id::{EventId, LogId};
pub use metadata::Metadata;
pub use name::{CheckpointName, ContentType, EventType, NAME_BYTES_MAX, SnapshotSchema, StreamId, Tag};
pub use position::Position;
pub use query::{Query, QueryItem};
pub use read::{Consistency, Direction, PAGE_SIZE_DEFAULT, Page, Read, Source};
pub use snapshot::{Snapshot, SnapshotStore};
pub use store::EventStore;
pub use subscription::{Signal, Start, Subscribe, Subscription};
pub use version::{ExpectedVersion, Version};
