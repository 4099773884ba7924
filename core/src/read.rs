//! Reading a stream or the log, page by page, at one head.

use std::ops::Bound;
use std::time::Duration;

use crate::{Position, Query, RecordedEvent, StreamId, Version};

/// In which order a read gives its events.
///
/// ```
/// use annalist_core::{Direction, Query, Read};
///
/// assert_eq!(Read::log(Query::all()).backward().direction(), Direction::Backward);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Direction {
    /// Oldest first.
    #[default]
    Forward,
    /// Newest first.
    Backward,
}

/// How fresh a read must be.
///
/// ```
/// use annalist_core::{Consistency, Query, Read};
///
/// assert_eq!(Read::log(Query::all()).consistency(), Consistency::Linearizable);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Consistency {
    /// Everything that was acknowledged to anyone before the read began is in it (R3).
    #[default]
    Linearizable,
    /// What this process has; it can be behind. Only with [`Capability::LocalReads`](crate::Capability::LocalReads).
    ///
    /// Such a read is first brought up to every position that it names, its bounds and its cursor's head: reading after the
    /// position of a receipt sees that append. Only a linearizable look may answer `WrongHistory`.
    Local,
}

/// What is read: a stream, or the log through a query.
///
/// ```
/// use annalist_core::{Query, Read, Source};
///
/// assert_eq!(Read::log(Query::all()).source(), &Source::Log(Query::all()));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Source {
    /// The events of one stream.
    Stream(StreamId),
    /// The events of the log that match a query.
    Log(Query),
}

/// A read, and also the cursor to its next page.
///
/// Bounds say which events are meant, whatever the direction; the direction says in which order they come.
///
/// ```
/// use annalist_core::{Query, Read, StreamId, Version};
///
/// let order = StreamId::new("Order-7")?;
/// let last_ten = Read::stream(&order).backward().limit(10);
/// let from_third = Read::stream(&order).from(Version::new(3));
/// let placed = Read::log(Query::types(["OrderPlaced"])).page_size(500);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Read {
    source: Source,
    direction: Direction,
    consistency: Consistency,
    from: Version,
    to: Version,
    after: Position,
    upper: Bound<Position>,
    limit: Option<u64>,
    page_size: usize,
    timeout: Option<Duration>,
    cursor: Option<Cursor>,
}

/// What the first page fixed for all that follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cursor {
    pub(crate) head: Position,
    pub(crate) version: Option<Version>,
}

/// The number of events in a page where the read does not say.
pub const PAGE_SIZE_DEFAULT: usize = 1_000;

impl Read {
    fn new(source: Source) -> Self {
        Self {
            source,
            direction: Direction::Forward,
            consistency: Consistency::Linearizable,
            from: Version::FIRST,
            to: Version::MAX,
            after: Position::START,
            upper: Bound::Unbounded,
            limit: None,
            page_size: PAGE_SIZE_DEFAULT,
            timeout: None,
            cursor: None,
        }
    }

    /// The events of a stream.
    #[must_use]
    pub fn stream(stream: &StreamId) -> Self {
        Self::new(Source::Stream(stream.clone()))
    }

    /// The events of the log that match a query.
    #[must_use]
    pub fn log(query: impl Into<Query>) -> Self {
        Self::new(Source::Log(query.into()))
    }

    /// Newest first.
    #[must_use]
    pub fn backward(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }

    /// Of a stream read: no event below this version.
    #[must_use]
    pub fn from(mut self, version: Version) -> Self {
        self.from = version;
        self
    }

    /// Of a stream read: no event above this version.
    #[must_use]
    pub fn to(mut self, version: Version) -> Self {
        self.to = version;
        self
    }

    /// Of a log read: only events above this position; exclusive.
    #[must_use]
    pub fn after(mut self, position: Position) -> Self {
        self.after = position;
        self
    }

    /// Of a log read: only events at or below this position.
    #[must_use]
    pub fn until(mut self, position: Position) -> Self {
        self.upper = Bound::Included(position);
        self
    }

    /// At most this many events over all pages; 0 gives none, and still the head.
    #[must_use]
    pub fn limit(mut self, events: u64) -> Self {
        self.limit = Some(events);
        self
    }

    /// At most this many events in a page; 0 counts as 1. A store may give fewer and still have more.
    #[must_use]
    pub fn page_size(mut self, events: usize) -> Self {
        self.page_size = events.max(1);
        self
    }

    /// Content with what this process has, see [`Consistency::Local`].
    #[must_use]
    pub fn local(mut self) -> Self {
        self.consistency = Consistency::Local;
        self
    }

    /// Answers within this time, instead of the store's own.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// What is read.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// In which order.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// How fresh.
    #[must_use]
    pub fn consistency(&self) -> Consistency {
        self.consistency
    }

    /// The lowest and the highest version meant, both inclusive; of stream reads.
    #[must_use]
    pub fn versions(&self) -> (Version, Version) {
        (self.from, self.to)
    }

    /// The positions meant: above an exclusive lower bound, and up to an upper one; unbounded means the head.
    #[must_use]
    pub fn positions(&self) -> (Position, Bound<Position>) {
        (self.after, self.upper)
    }

    /// How many events are still wanted; `None` means all.
    #[must_use]
    pub fn limit_left(&self) -> Option<u64> {
        self.limit
    }

    /// How many events the next page may have: the page size, or what is left of the limit.
    #[must_use]
    pub fn page_events_max(&self) -> usize {
        let left = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        self.page_size.min(left)
    }

    /// The time within which an answer is wanted, where one was set.
    #[must_use]
    pub fn timeout_after(&self) -> Option<Duration> {
        self.timeout
    }

    /// The head that the first page fixed; `None` before it.
    #[must_use]
    pub fn fixed_head(&self) -> Option<Position> {
        self.cursor.map(|cursor| cursor.head)
    }

    /// The stream's version at that head; `None` before the first page and for reads of the log.
    #[must_use]
    pub fn fixed_version(&self) -> Option<Version> {
        self.cursor.and_then(|cursor| cursor.version)
    }

    /// The cursor after `taken` events, the last thing seen of the log or stream being `last`.
    pub(crate) fn advanced(&self, place: Place, taken: usize, cursor: Cursor) -> Self {
        let mut next = self.clone();
        next.cursor = Some(cursor);
        next.limit = self.limit.map(|limit| limit.saturating_sub(taken as u64));
        match (place, self.direction) {
            (Place::Version(version), Direction::Forward) => next.from = version.next(),
            (Place::Version(version), Direction::Backward) => {
                next.to = Version::new(version.get().saturating_sub(1))
            }
            (Place::Position(position), Direction::Forward) => next.after = position,
            (Place::Position(position), Direction::Backward) => next.upper = Bound::Excluded(position),
        }
        next
    }
}

/// A whole stream.
impl From<&StreamId> for Read {
    fn from(stream: &StreamId) -> Self {
        Self::stream(stream)
    }
}

/// All that matches.
impl From<Query> for Read {
    fn from(query: Query) -> Self {
        Self::log(query)
    }
}

/// How far a page came: where the next one goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In a stream: the version that was looked at last.
    Version(Version),
    /// In the log: the position that was looked at last.
    Position(Position),
}

/// A part of a read's events and what goes with them (R4, R5).
///
/// ```
/// use annalist_core::{Append, EventStore, ExpectedVersion, NewEvent, Query, Read, StreamId};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let order = StreamId::new("Order-7")?;
/// for _ in 0..3 {
///     store.append(Append::to(&order, ExpectedVersion::Any, [NewEvent::new("Ticked", "{}")?])).await?;
/// }
///
/// let mut read = Some(Read::log(Query::all()).page_size(2));
/// let mut events = Vec::new();
/// while let Some(page) = read.take() {
///     events.extend(store.read(page).await.map(|page| {
///         read = page.next;
///         page.events
///     })?);
/// }
/// assert_eq!(events.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The events, in the read's direction. Can be empty although there is a next page.
    pub events: Vec<RecordedEvent>,
    /// The read that gives the next page; `None` once the read is exhausted.
    pub next: Option<Read>,
    /// The head of the log in the state that the first page saw, the same on every page. Once the read is exhausted,
    /// fit as the `after` of a condition.
    pub head: Position,
    /// For a read of a stream: its version in that state, fit as an `Exact`. [`Version::NONE`] for a read of the log.
    pub version: Version,
}

impl Page {
    pub(crate) fn from_parts(
        events: Vec<RecordedEvent>,
        next: Option<Read>,
        head: Position,
        version: Version,
    ) -> Self {
        Self { events, next, head, version }
    }
}
