//! What is asked of the log in one atomic step, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use crate::{ExpectedVersion, NewEvent, Position, Query, StreamId, Version};

/// One atomic step: events for streams, expectations about streams, and conditions on the log.
///
/// An append clones in O(1) and keeps its event ids, so that sending a clone again is a retry (I1).
///
/// ```
/// use annalist_core::{Append, ExpectedVersion, NewEvent, Position, Query, StreamId};
///
/// let [from, to] = [StreamId::new("Account-1")?, StreamId::new("Account-2")?];
/// let transfer = Append::new()
///     .write(&from, ExpectedVersion::Exists, [NewEvent::new("Withdrawn", "{}")?])
///     .write(&to, ExpectedVersion::Any, [NewEvent::new("Deposited", "{}")?])
///     .condition(Query::tags(["transfer:99"]), Position::START);
/// assert_eq!(transfer.writes().len(), 2);
/// assert_eq!(transfer.event_count(), 2);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Append {
    request: Arc<Request>,
    timeout: Option<Duration>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Request {
    writes: Vec<Write>,
    checks: Vec<Check>,
    conditions: Vec<Condition>,
}

/// Events for one stream and what its version must be. Without events it is a check.
///
/// ```
/// use annalist_core::{ExpectedVersion, NewEvent, StreamId, Write};
///
/// let write = Write::new(&StreamId::new("Order-7")?, ExpectedVersion::Any, [NewEvent::new("OrderPlaced", "{}")?]);
/// assert_eq!(write.events.len(), 1);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Write {
    /// The stream that is written.
    pub stream: StreamId,
    /// What its version must be in the state in which the append commits.
    pub expected: ExpectedVersion,
    /// The events, in the order in which they take their versions.
    pub events: Vec<NewEvent>,
}

impl Write {
    /// Events for a stream, under an expectation.
    #[must_use]
    pub fn new(
        stream: &StreamId,
        expected: impl Into<ExpectedVersion>,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Self {
        Self { stream: stream.clone(), expected: expected.into(), events: events.into_iter().collect() }
    }
}

/// What the version of a stream must be that the append does not write.
///
/// ```
/// use annalist_core::{Append, ExpectedVersion, StreamId};
///
/// let append = Append::new().check(&StreamId::new("Customer-7")?, ExpectedVersion::Exists);
/// assert_eq!(append.checks()[0].expected, ExpectedVersion::Exists);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// The stream that is looked at.
    pub stream: StreamId,
    /// What its version must be in the state in which the append commits.
    pub expected: ExpectedVersion,
}

/// That no event matching a query stands after a position, in the state in which the append commits.
///
/// ```
/// use annalist_core::{Append, Position, Query};
///
/// let append = Append::new().condition(Query::tags(["email:ada@example.org"]), Position::START);
/// assert_eq!(append.conditions()[0].after, Position::START);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Condition {
    /// The events that must not be there.
    pub query: Query,
    /// Where to begin looking; exclusive. The head of the page on which the decision rests, or [`Position::START`].
    pub after: Position,
}

impl Append {
    /// An append that asks for nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The everyday case: events for one stream, under one expectation.
    #[must_use]
    pub fn to(
        stream: &StreamId,
        expected: impl Into<ExpectedVersion>,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Self {
        Self::new().write(stream, expected, events)
    }

    /// Adds events for a stream.
    #[must_use]
    pub fn write(
        mut self,
        stream: &StreamId,
        expected: impl Into<ExpectedVersion>,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Self {
        Arc::make_mut(&mut self.request).writes.push(Write::new(stream, expected, events));
        self
    }

    /// Adds an expectation about a stream that is not written.
    #[must_use]
    pub fn check(mut self, stream: &StreamId, expected: impl Into<ExpectedVersion>) -> Self {
        let check = Check { stream: stream.clone(), expected: expected.into() };
        Arc::make_mut(&mut self.request).checks.push(check);
        self
    }

    /// Adds the condition that no event matching the query stands after the position.
    #[must_use]
    pub fn condition(mut self, query: impl Into<Query>, after: Position) -> Self {
        let condition = Condition { query: query.into(), after };
        Arc::make_mut(&mut self.request).conditions.push(condition);
        self
    }

    /// Answers within this time, instead of the store's own.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// What is written, in request order.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.request.writes
    }

    /// What is only looked at, in request order.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.request.checks
    }

    /// The conditions, in request order.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.request.conditions
    }

    /// The time within which an answer is wanted, where one was set.
    #[must_use]
    pub fn timeout_after(&self) -> Option<Duration> {
        self.timeout
    }

    /// The streams and events that it would write, in log order.
    pub fn events(&self) -> impl Iterator<Item = (&StreamId, &NewEvent)> {
        self.writes().iter().flat_map(|write| write.events.iter().map(|event| (&write.stream, event)))
    }

    /// How many events it would write.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.writes().iter().map(|write| write.events.len()).sum()
    }

    /// The size of its events, as [`NewEvent::size`] counts.
    #[must_use]
    pub fn size(&self) -> usize {
        self.events().map(|(_, event)| event.size()).sum()
    }

    /// Whether another append asks for exactly the same. Timeouts are not compared.
    #[must_use]
    pub fn same_request(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.request, &other.request) || self.request == other.request
    }
}

/// What an append did: the versions and positions under which its events can be read back (A4).
///
/// ```
/// use annalist_core::{Append, EventStore, ExpectedVersion, NewEvent, StreamId, Version};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let order = StreamId::new("Order-7")?;
/// let append = Append::to(&order, ExpectedVersion::NoStream, [NewEvent::new("OrderPlaced", "{}")?]);
///
/// let receipt = store.append(append.clone()).await?;
/// assert_eq!(receipt.version_of(&order), Some(Version::FIRST));
///
/// let again = store.append(append).await?;
/// assert!(again.already_committed());
/// assert_eq!(again.position(), receipt.position());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    already_committed: bool,
    written: Vec<Written>,
}

/// What an append did to one stream.
///
/// ```
/// use annalist_core::{Append, EventStore, ExpectedVersion, NewEvent, StreamId, Version};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let order = StreamId::new("Order-7")?;
/// let events = [NewEvent::new("OrderPlaced", "{}")?, NewEvent::new("OrderPaid", "{}")?];
/// let receipt = store.append(Append::to(&order, ExpectedVersion::NoStream, events)).await?;
/// let written = &receipt.written()[0];
/// assert_eq!((written.first_version(), written.last_version()), (Version::new(1), Version::new(2)));
/// assert_eq!(written.positions().len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub(crate) stream: StreamId,
    pub(crate) first_version: Version,
    pub(crate) positions: Vec<Position>,
}

impl Receipt {
    pub(crate) fn from_parts(already_committed: bool, written: Vec<Written>) -> Self {
        Self { already_committed, written }
    }

    /// Whether the append had been committed before this request, so that this one wrote nothing.
    #[must_use]
    pub fn already_committed(&self) -> bool {
        self.already_committed
    }

    /// What was done to each stream, in the order of the request's writes. Writes without events are not in it.
    #[must_use]
    pub fn written(&self) -> &[Written] {
        &self.written
    }

    /// The version of a stream after the append; `None` where the append wrote nothing to it.
    #[must_use]
    pub fn version_of(&self, stream: &StreamId) -> Option<Version> {
        self.written.iter().find(|written| written.stream == *stream).map(Written::last_version)
    }

    /// The position of the append's last event in the log; `None` where it wrote none.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.written.iter().flat_map(|written| written.positions.last()).max().copied()
    }
}

impl Written {
    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// The version of the first event written.
    #[must_use]
    pub fn first_version(&self) -> Version {
        self.first_version
    }

    /// The version of the last event written, which is the stream's own then.
    #[must_use]
    pub fn last_version(&self) -> Version {
        Version::new(self.first_version.get() + self.positions.len() as u64 - 1)
    }

    /// The positions of the events, in their order; never empty.
    #[must_use]
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }
}
