//! Events: as a caller makes them, and as the log holds them.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::{ContentType, Error, EventId, EventType, Invalid, Metadata, Position, StreamId, Tag, Version};

/// The most tags that an event can have.
pub const TAGS_MAX: usize = 32;

/// An event to be appended. It clones in O(1).
///
/// Its id is made with the value, so that appending the same value again is a retry and not a second event.
///
/// ```
/// use annalist_core::NewEvent;
///
/// let event = NewEvent::new("OrderPlaced", r#"{"total": 12}"#)?.with_tags(["customer:7"])?;
/// assert_eq!(event.event_type().as_str(), "OrderPlaced");
/// assert_eq!(event.size(), 11 + 13 + 10);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct NewEvent(Arc<Content>);

#[derive(Clone, PartialEq, Eq)]
struct Content {
    id: EventId,
    event_type: EventType,
    data: Bytes,
    metadata: Metadata,
    content_type: Option<ContentType>,
    tags: Vec<Tag>,
}

/// The content type where none was given.
const CONTENT_TYPE_DEFAULT: &str = "application/json";

impl NewEvent {
    /// An event with a new id, no metadata, no tags and the content type `application/json`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the type breaks the rules of a name.
    pub fn new<T>(event_type: T, data: impl Into<Bytes>) -> Result<Self, Error>
    where
        T: TryInto<EventType>,
        Error: From<T::Error>,
    {
        let event_type = event_type.try_into()?;
        Ok(Self(Arc::new(Content {
            id: EventId::new(),
            event_type,
            data: data.into(),
            metadata: Metadata::NONE,
            content_type: None,
            tags: Vec::new(),
        })))
    }

    /// The same under another id.
    #[must_use]
    pub fn with_id(mut self, id: EventId) -> Self {
        self.edit().id = id;
        self
    }

    /// The same with this metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.edit().metadata = metadata;
        self
    }

    /// The same with this content type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: ContentType) -> Self {
        let default = content_type.as_str() == CONTENT_TYPE_DEFAULT;
        self.edit().content_type = (!default).then_some(content_type);
        self
    }

    /// The same with these tags, in this order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a tag breaks the rules of a name, occurs twice, or if there
    /// are more than [`TAGS_MAX`].
    pub fn with_tags<I>(mut self, tags: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: TryInto<Tag>,
        Error: From<<I::Item as TryInto<Tag>>::Error>,
    {
        let mut distinct: Vec<Tag> = Vec::new();
        for tag in tags {
            let tag = tag.try_into()?;
            if distinct.contains(&tag) {
                return Err(Invalid::new("tags", "must be distinct", format!("{tag:?}")).into());
            }
            if distinct.len() == TAGS_MAX {
                return Err(
                    Invalid::over("tags", "tags per event", TAGS_MAX as u64, TAGS_MAX as u64 + 1).into()
                );
            }
            distinct.push(tag);
        }
        self.edit().tags = distinct;
        Ok(self)
    }

    /// An event whose parts have been checked already.
    pub(crate) fn from_parts(
        id: EventId,
        event_type: EventType,
        data: Bytes,
        metadata: Metadata,
        content_type: Option<ContentType>,
        tags: Vec<Tag>,
    ) -> Self {
        Self(Arc::new(Content { id, event_type, data, metadata, content_type, tags }))
    }

    fn edit(&mut self) -> &mut Content {
        Arc::make_mut(&mut self.0)
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.0.id
    }

    /// The type.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.0.event_type
    }

    /// The data, byte for byte.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        &self.0.data
    }

    /// The metadata, as it was written.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// The media type of the data.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.0.content_type.as_ref().map_or(CONTENT_TYPE_DEFAULT, ContentType::as_str)
    }

    /// The tags, in the order given.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.0.tags
    }

    /// The size of the event as every limit counts it: type, data, metadata and tags, in bytes, uncompressed.
    #[must_use]
    pub fn size(&self) -> usize {
        let tags: usize = self.0.tags.iter().map(|tag| tag.as_str().len()).sum();
        self.0.event_type.as_str().len() + self.0.data.len() + self.0.metadata.len() + tags
    }

    /// Whether another event says the same: type, data and tags. Metadata is not compared, because a retry carries a
    /// fresh `traceparent` (I3); neither is the id.
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.event_type == other.0.event_type
                && self.0.data == other.0.data
                && self.0.tags == other.0.tags)
    }
}

impl fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEvent")
            .field("id", &self.0.id)
            .field("event_type", &self.0.event_type)
            .field("data", &format_args!("{} bytes", self.0.data.len()))
            .field("metadata", &self.0.metadata)
            .field("tags", &self.0.tags.len())
            .finish()
    }
}

/// An event as the log holds it: identical on every path by which it is read. It clones in O(1).
///
/// ```
/// use annalist_core::{Append, EventStore, ExpectedVersion, NewEvent, Read, StreamId, Version};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let order = StreamId::new("Order-7")?;
/// let placed = NewEvent::new("OrderPlaced", "{}")?;
/// store.append(Append::to(&order, ExpectedVersion::NoStream, [placed.clone()])).await?;
///
/// let page = store.read(Read::stream(&order)).await?;
/// assert_eq!(page.events[0].version(), Version::FIRST);
/// assert_eq!(page.events[0].event(), &placed);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    event: NewEvent,
    stream: StreamId,
    version: Version,
    position: Position,
    recorded_at: SystemTime,
}

impl RecordedEvent {
    pub(crate) fn from_parts(
        event: NewEvent,
        stream: StreamId,
        version: Version,
        position: Position,
        recorded_at: SystemTime,
    ) -> Self {
        Self { event, stream, version, position, recorded_at }
    }

    /// The event as it was appended.
    #[must_use]
    pub fn event(&self) -> &NewEvent {
        &self.event
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.event.id()
    }

    /// The type.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        self.event.event_type()
    }

    /// The data, byte for byte as it was appended.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        self.event.data()
    }

    /// The metadata, as it was written.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.event.metadata()
    }

    /// The media type of the data.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.event.content_type()
    }

    /// The tags, in the order given.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        self.event.tags()
    }

    /// The stream that the event is in.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// The place in the stream.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The place in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// When the event was recorded, by the server's clock where there is one, else by the writer's. Never used for order.
    #[must_use]
    pub fn recorded_at(&self) -> SystemTime {
        self.recorded_at
    }
}

impl fmt::Debug for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedEvent")
            .field("stream", &self.stream)
            .field("version", &self.version)
            .field("position", &self.position)
            .field("event", &self.event)
            .finish()
    }
}
