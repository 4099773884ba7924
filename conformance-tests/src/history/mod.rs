//! What clients did and were told, in the order of real time, and whether a linearizable log can explain it.
//!
//! A [`Recorder`] notes each operation with the moments of its call and its return. After the traffic, [`History::check`]
//! holds it against the log as it was read in the end: positions order the appends, so that a single pass decides. For short
//! histories [`History::search`] decides the same by trying out orders (Wing and Gong, as Porcupine does), trusting
//! nothing but the answers: the two must agree.
//!
//! What subscriptions gave, and the answers about snapshots and checkpoints, are held against the same log and the same moments.

mod check;
mod checkpoints;
mod file;
mod follow;
mod log;
pub(crate) mod merge;
mod record;
mod search;
mod snapshots;

use annalist_core::{
    Append, CheckpointName, ContentType, Error, EventId, ExpectedVersion, NewEvent, Position, Query,
    QueryItem, Read, SnapshotSchema, StreamId, Version,
};
use serde::{Deserialize, Serialize};

pub(crate) use file::{Line, read_lines};
pub(crate) use follow::Heard;
pub use follow::{FollowCall, Followed};
pub use record::{Recorder, Session};
pub(crate) use record::{logged, refused};

/// All operations of a period, and the log that was read after it.
///
/// ```
/// use annalist_conformance::history::History;
///
/// let history = History::default();
/// assert!(history.check().is_ok());
/// ```
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "these three are what a history is")]
pub struct History {
    /// The operations, in any order.
    pub operations: Vec<Operation>,
    /// Every event of the log after the last operation, oldest first.
    pub log: Vec<LogEvent>,
    /// What each subscription gave.
    pub followed: Vec<Followed>,
}

/// One call and its answer.
///
/// ```
/// use annalist_conformance::history::{Answer, Call, Operation};
///
/// let dropped = Operation { session: 0, invoked: 1, returned: None, call: Call::Append(Default::default()), answer: Answer::Unknown };
/// assert!(dropped.returned.is_none());
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by recorders and by tests of checkers")]
pub struct Operation {
    /// Who did it; the operations of one session follow one another.
    pub session: u32,
    /// The moment of the call. Moments are numbers that no two calls or returns share.
    pub invoked: u64,
    /// The moment of the return; `None` if it was dropped.
    pub returned: Option<u64>,
    /// What was asked.
    pub call: Call,
    /// What was answered.
    pub answer: Answer,
}

/// What was asked.
///
/// ```
/// use annalist_conformance::history::{AppendCall, Call};
///
/// assert_ne!(Call::Append(AppendCall::default()), Call::Other("close".into()));
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Call {
    /// An append.
    Append(AppendCall),
    /// A read, over all its pages.
    Read(ReadCall),
    /// The beginning of a subscription.
    Follow(FollowCall),
    /// Saving a snapshot.
    SaveSnapshot {
        /// Of which stream.
        stream: StreamId,
        /// Under which schema.
        schema: SnapshotSchema,
        /// At which version.
        version: Version,
        /// What is in it.
        content: String,
    },
    /// Loading the newest snapshot up to a version.
    LoadSnapshot {
        /// Of which stream.
        stream: StreamId,
        /// Under which schema.
        schema: SnapshotSchema,
        /// Up to which version.
        at_most: Version,
    },
    /// Removing all but the newest snapshots.
    PruneSnapshots {
        /// Of which stream.
        stream: StreamId,
        /// Under which schema.
        schema: SnapshotSchema,
        /// How many stay.
        keep: u64,
    },
    /// Claiming a checkpoint.
    Claim(CheckpointName),
    /// Saving a checkpoint.
    SaveCheckpoint {
        /// Which.
        name: CheckpointName,
        /// The epoch of the owner who saves.
        epoch: u64,
        /// Where it is.
        position: Position,
    },
    /// Loading a checkpoint.
    LoadCheckpoint(CheckpointName),
    /// Something that neither changes nor tells the log.
    Other(String),
}

/// An append, in a form that can be saved.
///
/// ```
/// use annalist_conformance::{events, exact, history::AppendCall, stream};
/// use annalist_core::Append;
///
/// let append = Append::to(&stream("Order-1"), exact(0), events(1));
/// assert!(AppendCall::of(&append).append()?.same_request(&append));
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AppendCall {
    writes: Vec<(StreamId, ExpectedVersion, Vec<EventText>)>,
    checks: Vec<(StreamId, ExpectedVersion)>,
    conditions: Vec<(QueryText, Position)>,
}

/// A read, in a form that can be saved.
///
/// ```
/// use annalist_conformance::history::ReadCall;
/// use annalist_core::{Query, Read};
///
/// let read = Read::log(Query::types(["Placed"])).backward().limit(3);
/// assert_eq!(ReadCall::of(&read).read(), read);
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReadCall {
    stream: Option<StreamId>,
    query: QueryText,
    backward: bool,
    from: Version,
    to: Version,
    after: Position,
    until: Option<Position>,
    limit: Option<u64>,
}

/// What was answered.
///
/// ```
/// use annalist_conformance::history::Answer;
///
/// assert_ne!(Answer::Unknown, Answer::Refused("invalid".into()));
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answer {
    /// It is committed: by whom first, and the first version and the positions in each stream.
    Committed {
        /// Whether it had been before.
        already: bool,
        /// Stream, first version, positions.
        written: Vec<(StreamId, Version, Vec<Position>)>,
    },
    /// A stream was not at the version expected.
    Version {
        /// The stream.
        stream: StreamId,
        /// What was expected.
        expected: ExpectedVersion,
        /// What was there.
        actual: Version,
    },
    /// An event matched a condition.
    Condition {
        /// Which condition.
        index: usize,
        /// The event's position.
        matched: Position,
    },
    /// An id had been used before.
    IdReused {
        /// The id.
        id: EventId,
        /// The stream.
        stream: StreamId,
        /// Its version.
        version: Version,
    },
    /// Refused for a reason that does not lie in the log, by the name of the error's kind: certainly not written.
    Refused(String),
    /// Not known: it may have been done, or may yet be.
    Unknown,
    /// What a read gave.
    Events {
        /// Stream, version, id and position of each event.
        events: Vec<(StreamId, Version, EventId, Position)>,
        /// The head that the pages told.
        head: Position,
        /// The version that the pages told.
        version: Version,
    },
    /// It is done.
    Done,
    /// The version of a snapshot, and what is in it.
    Snapshot(Option<(Version, String)>),
    /// A checkpoint is claimed: the owner's epoch, and where to resume.
    Claimed {
        /// The epoch.
        epoch: u64,
        /// Where the checkpoint is.
        position: Option<Position>,
    },
    /// Where a checkpoint is.
    Checkpoint(Option<Position>),
}

/// An event of the log, in a form that can be saved.
///
/// ```
/// use annalist_conformance::history::LogEvent;
///
/// fn told(event: &LogEvent) -> String {
///     format!("{} {}", event.stream, event.version)
/// }
/// # let _ = told;
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by recorders and by tests of checkers")]
pub struct LogEvent {
    /// The stream.
    pub stream: StreamId,
    /// Its version.
    pub version: Version,
    /// Its position.
    pub position: Position,
    /// Its content.
    pub event: EventText,
}

/// The content of an event, in a form that can be saved. Metadata is left out: no rule of a history is about it.
///
/// ```
/// use annalist_conformance::{event, history::EventText};
///
/// let placed = event("Placed", "{}");
/// assert!(EventText::of(&placed).event()?.same_content(&placed));
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventText {
    id: EventId,
    event_type: String,
    data: Vec<u8>,
    content_type: String,
    tags: Vec<String>,
}

/// A query, in a form that can be saved; `None` is all.
pub(crate) type QueryText = Option<Vec<ItemText>>;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ItemText {
    streams: Vec<String>,
    prefixes: Vec<String>,
    categories: Vec<String>,
    types: Vec<String>,
    tags: Vec<String>,
}

fn query_text(query: &Query) -> QueryText {
    let item = |item: &QueryItem| ItemText {
        streams: item.stream_part().to_vec(),
        prefixes: item.prefix_part().to_vec(),
        categories: item.category_part().to_vec(),
        types: item.type_part().to_vec(),
        tags: item.tag_part().to_vec(),
    };
    (!query.is_all()).then(|| query.items().iter().map(item).collect())
}

fn query(text: &QueryText) -> Query {
    let item = |text: &ItemText| {
        let item = QueryItem::new().streams(&text.streams).types(&text.types).tags(&text.tags);
        let item = text.prefixes.iter().fold(item, |item, prefix| item.stream_prefix(prefix));
        text.categories.iter().fold(item, QueryItem::category)
    };
    text.as_ref().map_or(Query::all(), |items| Query::any_of(items.iter().map(item)))
}

impl EventText {
    /// The content of an event.
    #[must_use]
    pub fn of(event: &NewEvent) -> Self {
        let tags = event.tags().iter().map(|tag| tag.as_str().to_owned()).collect();
        let (event_type, content_type) =
            (event.event_type().as_str().to_owned(), event.content_type().to_owned());
        Self { id: event.id(), event_type, data: event.data().to_vec(), content_type, tags }
    }

    /// The event.
    ///
    /// # Errors
    ///
    /// If what was saved is no event.
    pub fn event(&self) -> Result<NewEvent, Error> {
        let event = NewEvent::new(self.event_type.as_str(), self.data.clone())?.with_id(self.id);
        let content_type = ContentType::new(self.content_type.as_str())?;
        event.with_content_type(content_type).with_tags(self.tags.iter().map(String::as_str))
    }
}

impl AppendCall {
    /// The append.
    #[must_use]
    pub fn of(append: &Append) -> Self {
        let writes = append.writes().iter().map(|write| {
            (write.stream.clone(), write.expected, write.events.iter().map(EventText::of).collect())
        });
        let checks = append.checks().iter().map(|check| (check.stream.clone(), check.expected));
        let conditions =
            append.conditions().iter().map(|condition| (query_text(&condition.query), condition.after));
        Self { writes: writes.collect(), checks: checks.collect(), conditions: conditions.collect() }
    }

    /// The append again.
    ///
    /// # Errors
    ///
    /// If what was saved is no append.
    pub fn append(&self) -> Result<Append, Error> {
        let mut append = Append::new();
        for (stream, expected, events) in &self.writes {
            let events = events.iter().map(EventText::event).collect::<Result<Vec<_>, _>>()?;
            append = append.write(stream, *expected, events);
        }
        for (stream, expected) in &self.checks {
            append = append.check(stream, *expected);
        }
        for (text, after) in &self.conditions {
            append = append.condition(query(text), *after);
        }
        Ok(append)
    }
}

impl ReadCall {
    /// The read, as it was before its first page.
    #[must_use]
    pub fn of(read: &Read) -> Self {
        use annalist_core::{Direction, Source};
        let (stream, query) = match read.source() {
            Source::Stream(stream) => (Some(stream.clone()), None),
            Source::Log(query) => (None, query_text(query)),
            _ => (None, None),
        };
        let ((from, to), (after, upper)) = (read.versions(), read.positions());
        let until = if let std::ops::Bound::Included(until) = upper { Some(until) } else { None };
        let backward = read.direction() == Direction::Backward;
        Self { stream, query, backward, from, to, after, until, limit: read.limit_left() }
    }

    /// The read again.
    #[must_use]
    pub fn read(&self) -> Read {
        let read = match &self.stream {
            Some(stream) => Read::stream(stream).from(self.from).to(self.to),
            None => Read::log(query(&self.query)).after(self.after),
        };
        let read = self.until.into_iter().fold(read, Read::until);
        let read = self.limit.into_iter().fold(read, Read::limit);
        if self.backward { read.backward() } else { read }
    }
}
