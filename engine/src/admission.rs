//! The verdict on an append, from facts about the log.
//!
//! [`admit`] is the contract's chapters on checks and idempotency (A3, A5 to A7, I1 to I3) as one pure function. A backend
//! that holds its log in memory gives it [`Facts`] at once; one that must ask elsewhere collects what [`needs`] names into
//! [`Gathered`] first. Facts and commit must belong to one state of the log: that is the backend's part.
//!
//! ```
//! use annalist_core::{Append, ExpectedVersion, NewEvent, StreamId, Version};
//! use annalist_engine::admission::{Gathered, Verdict, admit, needs};
//!
//! let order = StreamId::new("Order-7")?;
//! let append = Append::to(&order, ExpectedVersion::NoStream, [NewEvent::new("OrderPlaced", "{}")?]);
//!
//! let mut facts = Gathered::new();
//! for stream in needs(&append).streams {
//!     facts.add_version(stream, Version::NONE);
//! }
//! for (stream, event) in needs(&append).events {
//!     facts.add_event(stream, event.id(), None);
//! }
//! assert!(matches!(admit(&append, &facts)?, Verdict::Accepted));
//! # Ok::<(), annalist_core::Error>(())
//! ```

use std::collections::HashMap;

use annalist_core::{
    Append, Condition, Conflict, Error, ErrorKind, EventId, ExpectedVersion, IdReused, NewEvent, Position,
    Query, Receipt, StreamId, Version, Write, backend,
};

/// What is known of an event that stands in the log under a given stream and id.
///
/// ```
/// use annalist_core::{Position, Version};
/// use annalist_engine::admission::Stored;
///
/// let stored = Stored {
///     version: Version::FIRST,
///     position: Position::START,
///     append_first: Position::START,
///     append_events: 1,
///     same_content: true,
/// };
/// assert_eq!(stored.append_events, 1);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a new fact must be given by every backend")]
pub struct Stored {
    /// Its place in the stream.
    pub version: Version,
    /// Its place in the log.
    pub position: Position,
    /// The place of the first event of the append that it came with: what tells two appends apart.
    pub append_first: Position,
    /// How many events that append had, over all streams.
    pub append_events: usize,
    /// Whether it says the same as the event asked about, see [`NewEvent::same_content`].
    pub same_content: bool,
}

/// The state of a log, as far as an append asks about it.
///
/// ```
/// use annalist_core::{Error, NewEvent, Position, Query, StreamId, Version};
/// use annalist_engine::admission::{Facts, Stored};
///
/// struct EmptyLog;
///
/// impl Facts for EmptyLog {
///     fn version(&self, _: &StreamId) -> Result<Version, Error> {
///         Ok(Version::NONE)
///     }
///     fn stored(&self, _: &StreamId, _: &NewEvent) -> Result<Option<Stored>, Error> {
///         Ok(None)
///     }
///     fn first_match(&self, _: &Query, _: Position) -> Result<Option<Position>, Error> {
///         Ok(None)
///     }
/// }
/// assert_eq!(EmptyLog.version(&StreamId::new("Order-7")?)?, Version::NONE);
/// # Ok::<(), Error>(())
/// ```
pub trait Facts {
    /// The version of a stream.
    ///
    /// # Errors
    ///
    /// What keeps the fact from being known.
    fn version(&self, stream: &StreamId) -> Result<Version, Error>;

    /// What stands in the stream under the event's id.
    ///
    /// # Errors
    ///
    /// What keeps the fact from being known.
    fn stored(&self, stream: &StreamId, event: &NewEvent) -> Result<Option<Stored>, Error>;

    /// The first event after a position that matches a query.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongHistory`] if the position is past the head or of another log, which refuses the append; else what
    /// keeps the fact from being known.
    fn first_match(&self, query: &Query, after: Position) -> Result<Option<Position>, Error>;
}

/// What becomes of an append.
///
/// ```
/// use annalist_core::{Append, ExpectedVersion, StreamId, Version};
/// use annalist_engine::admission::{Gathered, Verdict, admit};
///
/// let order = StreamId::new("Order-7")?;
/// let mut facts = Gathered::new();
/// facts.add_version(&order, Version::new(3));
/// let check = Append::new().check(&order, ExpectedVersion::NoStream);
/// assert!(matches!(admit(&check, &facts)?, Verdict::Refused(_)));
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "the contract knows these three and no other")]
pub enum Verdict {
    /// It may commit in this state of the log.
    Accepted,
    /// It has been committed before; this is its receipt.
    AlreadyCommitted(Receipt),
    /// It must not commit: a conflict, a reused id or a position of a wrong history.
    Refused(Error),
}

/// Decides on an append that has passed [`Limits::check_append`](annalist_core::Limits::check_append).
///
/// # Errors
///
/// Only when a fact could not be known. A refusal is a verdict.
///
/// ```
/// use annalist_core::{Append, ExpectedVersion, StreamId, Version};
/// use annalist_engine::admission::{Gathered, Verdict, admit};
///
/// let order = StreamId::new("Order-7")?;
/// let mut facts = Gathered::new();
/// facts.add_version(&order, Version::new(3));
/// let check = Append::new().check(&order, ExpectedVersion::Exists);
/// assert!(matches!(admit(&check, &facts)?, Verdict::Accepted));
/// # Ok::<(), annalist_core::Error>(())
/// ```
pub fn admit(append: &Append, facts: &impl Facts) -> Result<Verdict, Error> {
    if let Some(verdict) = known(append, facts)? {
        return Ok(verdict);
    }
    let written = append.writes().iter().map(|write| (&write.stream, write.expected));
    let checked = append.checks().iter().map(|check| (&check.stream, check.expected));
    for (stream, expected) in written.chain(checked) {
        if let Some(refusal) = unexpected(stream, expected, facts)? {
            return Ok(Verdict::Refused(refusal));
        }
    }
    for (index, condition) in append.conditions().iter().enumerate() {
        if let Some(refusal) = matched(index, condition, facts)? {
            return Ok(Verdict::Refused(refusal));
        }
    }
    Ok(Verdict::Accepted)
}

fn unexpected(
    stream: &StreamId,
    expected: ExpectedVersion,
    facts: &impl Facts,
) -> Result<Option<Error>, Error> {
    if expected == ExpectedVersion::Any {
        return Ok(None);
    }
    let actual = facts.version(stream)?;
    let conflict = || Conflict::Version { stream: stream.clone(), expected, actual }.into();
    Ok((!expected.holds(actual)).then(conflict))
}

fn matched(index: usize, condition: &Condition, facts: &impl Facts) -> Result<Option<Error>, Error> {
    match facts.first_match(&condition.query, condition.after) {
        Ok(found) => Ok(found.map(|matched| Conflict::Condition { index, matched }.into())),
        Err(error) if matches!(error.kind(), ErrorKind::WrongHistory(_)) => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

/// The verdict on an append some of whose ids stand in the log; `None` where none does.
fn known(append: &Append, facts: &impl Facts) -> Result<Option<Verdict>, Error> {
    let mut first_known = None;
    for (stream, event) in append.events() {
        if let Some(stored) = facts.stored(stream, event)? {
            first_known = Some((stream, event, stored));
            break;
        }
    }
    let Some((stream, event, stored)) = first_known else { return Ok(None) };
    match original(append, stored, facts)? {
        Ok(receipt) => Ok(Some(Verdict::AlreadyCommitted(receipt))),
        Err(contradiction) => {
            let reused = contradiction.unwrap_or_else(|| reused(stream, event, stored));
            Ok(Some(Verdict::Refused(reused.into())))
        }
    }
}

fn reused(stream: &StreamId, event: &NewEvent, stored: Stored) -> IdReused {
    IdReused::new(event.id(), stream.clone(), stored.version)
}

/// The receipt of the one stored append that this is a retry of; else the event whose content contradicts, where one does.
fn original(
    append: &Append,
    first: Stored,
    facts: &impl Facts,
) -> Result<Result<Receipt, Option<IdReused>>, Error> {
    // As many events as the stored append had, all of them among its own: then the two sets are the same.
    if append.event_count() != first.append_events {
        return contradiction(append, facts).map(Err);
    }
    let mut written = Vec::with_capacity(append.writes().len());
    for write in append.writes().iter().filter(|write| !write.events.is_empty()) {
        match original_write(write, first.append_first, facts)? {
            Some((version, positions)) => {
                written.push(backend::written(write.stream.clone(), version, positions));
            }
            None => return contradiction(append, facts).map(Err),
        }
    }
    Ok(Ok(backend::receipt(true, written)))
}

/// Where the events of a write stand, if they are consecutive, in this order, unchanged and of the append that begins there.
fn original_write(
    write: &Write,
    append_first: Position,
    facts: &impl Facts,
) -> Result<Option<(Version, Vec<Position>)>, Error> {
    let mut positions = Vec::with_capacity(write.events.len());
    let mut first_version = Version::NONE;
    let mut expected = None;
    for event in &write.events {
        let Some(stored) = facts.stored(&write.stream, event)? else { return Ok(None) };
        let in_order = expected.is_none_or(|version| version == stored.version);
        if stored.append_first != append_first || !stored.same_content || !in_order {
            return Ok(None);
        }
        if positions.is_empty() {
            first_version = stored.version;
        }
        expected = Some(stored.version.next());
        positions.push(stored.position);
    }
    Ok(Some((first_version, positions)))
}

/// The first event of the request that stands in the log with other content.
fn contradiction(append: &Append, facts: &impl Facts) -> Result<Option<IdReused>, Error> {
    for (stream, event) in append.events() {
        if let Some(stored) = facts.stored(stream, event)?
            && !stored.same_content
        {
            return Ok(Some(reused(stream, event, stored)));
        }
    }
    Ok(None)
}

/// What must be known of the log to decide on an append.
///
/// ```
/// use annalist_core::{Append, ExpectedVersion, NewEvent, StreamId};
/// use annalist_engine::admission::needs;
///
/// let [order, customer] = [StreamId::new("Order-7")?, StreamId::new("Customer-1")?];
/// let append = Append::to(&order, ExpectedVersion::Any, [NewEvent::new("OrderPlaced", "{}")?])
///     .check(&customer, ExpectedVersion::Exists);
/// let needs = needs(&append);
/// // `Any` needs no version of the order.
/// assert_eq!(needs.streams, [&customer]);
/// assert_eq!(needs.events.len(), 1);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Needs<'a> {
    /// The streams whose version is needed, see [`Facts::version`].
    pub streams: Vec<&'a StreamId>,
    /// The events that may stand in the log already, see [`Facts::stored`].
    pub events: Vec<(&'a StreamId, &'a NewEvent)>,
    /// The conditions whose first match is needed, see [`Facts::first_match`].
    pub conditions: &'a [Condition],
}

/// Names what must be known of the log to decide on an append.
///
/// ```
/// use annalist_core::{Append, Position, Query};
/// use annalist_engine::admission::needs;
///
/// let append = Append::new().condition(Query::tags(["email:ada@example.org"]), Position::START);
/// assert_eq!(needs(&append).conditions.len(), 1);
/// ```
#[must_use]
pub fn needs(append: &Append) -> Needs<'_> {
    let written = append.writes().iter().map(|write| (&write.stream, write.expected));
    let checked = append.checks().iter().map(|check| (&check.stream, check.expected));
    let versioned = written.chain(checked).filter(|(_, expected)| *expected != ExpectedVersion::Any);
    Needs {
        streams: versioned.map(|(stream, _)| stream).collect(),
        events: append.events().collect(),
        conditions: append.conditions(),
    }
}

/// Facts that were fetched before the decision.
///
/// A fact that was not added is an [`ErrorKind::Internal`] when it is asked for, never a silent "absent".
///
/// ```
/// use annalist_core::{StreamId, Version};
/// use annalist_engine::admission::{Facts, Gathered};
///
/// let order = StreamId::new("Order-7")?;
/// let mut facts = Gathered::new();
/// assert!(facts.version(&order).is_err());
/// facts.add_version(&order, Version::NONE);
/// assert_eq!(facts.version(&order)?, Version::NONE);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Gathered {
    versions: HashMap<StreamId, Version>,
    events: HashMap<StreamId, HashMap<EventId, Option<Stored>>>,
    matches: Vec<(Condition, Option<Position>)>,
}

impl Gathered {
    /// No facts yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The version of a stream.
    pub fn add_version(&mut self, stream: &StreamId, version: Version) {
        self.versions.insert(stream.clone(), version);
    }

    /// What stands in a stream under an id.
    pub fn add_event(&mut self, stream: &StreamId, id: EventId, stored: Option<Stored>) {
        self.events.entry(stream.clone()).or_default().insert(id, stored);
    }

    /// The first match of a condition.
    pub fn add_match(&mut self, condition: &Condition, first: Option<Position>) {
        self.matches.push((condition.clone(), first));
    }
}

fn missing(fact: String) -> Error {
    ErrorKind::Internal(format!("a fact was not gathered: {fact}")).into()
}

impl Facts for Gathered {
    fn version(&self, stream: &StreamId) -> Result<Version, Error> {
        self.versions.get(stream).copied().ok_or_else(|| missing(format!("version of {stream:?}")))
    }

    fn stored(&self, stream: &StreamId, event: &NewEvent) -> Result<Option<Stored>, Error> {
        let fact = self.events.get(stream).and_then(|events| events.get(&event.id()));
        fact.copied().ok_or_else(|| missing(format!("event {} of {stream:?}", event.id())))
    }

    fn first_match(&self, query: &Query, after: Position) -> Result<Option<Position>, Error> {
        let fact = self.matches.iter().find(|(known, _)| known.query == *query && known.after == after);
        fact.map(|(_, first)| *first).ok_or_else(|| missing(format!("match after {after}")))
    }
}
