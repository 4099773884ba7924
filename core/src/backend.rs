//! What only backends need: making the values that applications merely receive.
//!
//! Applications have no use for this module. It is public because backends live in packages of their own, ours and others'.

use std::ops::Bound;
use std::time::SystemTime;

use bytes::Bytes;

use crate::read::{Cursor, Place};
use crate::{
    Checkpoint, CheckpointName, Claim, ContentType, Error, ErrorKind, EventId, EventType, LogId, Metadata,
    NewEvent, Owner, Page, Position, Read, Receipt, RecordedEvent, Source, StreamId, Tag, Version, Written,
};

/// The position of a log with these two numbers; a backend that needs one number leaves `minor` at 0.
///
/// No event may stand at `(0, 0)`: these are the numbers of [`Position::START`], after which every event stands.
///
/// ```
/// use annalist_core::{LogId, Position, backend};
///
/// let log = LogId::new();
/// let (a, b) = (backend::position(log, 1, 7), backend::position(log, 2, 0));
/// assert!(Position::START < a && a < b);
/// assert_eq!(backend::numbers(b), (2, 0));
/// ```
#[must_use]
pub const fn position(log: LogId, major: u64, minor: u32) -> Position {
    debug_assert!(major > 0 || minor > 0, "(0, 0) is before every event");
    Position::from_parts(log.tag(), major, minor)
}

/// The two numbers of a position. [`Position::START`] has zeros.
///
/// ```
/// use annalist_core::{Position, backend};
///
/// assert_eq!(backend::numbers(Position::START), (0, 0));
/// ```
#[must_use]
pub const fn numbers(position: Position) -> (u64, u32) {
    let (_, major, minor) = position.parts();
    (major, minor)
}

/// Whether a position can be one of this log: it carries the log's tag, or is [`Position::START`].
///
/// ```
/// use annalist_core::{LogId, Position, backend};
///
/// let (mine, other) = (LogId::new(), LogId::new());
/// assert!(backend::is_of(Position::START, mine));
/// assert!(!backend::is_of(backend::position(other, 1, 0), mine));
/// ```
#[must_use]
pub fn is_of(position: Position, log: LogId) -> bool {
    position == Position::START || position.parts().0 == log.tag()
}

/// Refuses a position of another log or past the head (G5).
///
/// # Errors
///
/// [`ErrorKind::WrongHistory`].
///
/// ```
/// use annalist_core::{ErrorKind, LogId, Position, backend};
///
/// let log = LogId::new();
/// let head = backend::position(log, 5, 0);
/// assert!(backend::check_position(head, log, head).is_ok());
/// let refused = backend::check_position(backend::position(log, 6, 0), log, head).expect_err("past the head");
/// assert!(matches!(refused.kind(), ErrorKind::WrongHistory(_)));
/// ```
pub fn check_position(position: Position, log: LogId, head: Position) -> Result<(), Error> {
    if !is_of(position, log) {
        let message = format!("the position is of another log position={position} log={log}");
        return Err(ErrorKind::WrongHistory(message).into());
    }
    if position > head {
        let message = format!("the position is past the head position={position} head={head}");
        return Err(ErrorKind::WrongHistory(message).into());
    }
    Ok(())
}

/// Refuses a read that names a position of another log or past the head: in its bounds, or as the head that its first page
/// fixed (G5).
///
/// # Errors
///
/// [`ErrorKind::WrongHistory`].
///
/// ```
/// use annalist_core::{LogId, Query, Read, backend};
///
/// let (log, other) = (LogId::new(), LogId::new());
/// let head = backend::position(log, 5, 0);
/// assert!(backend::check_read(&Read::log(Query::all()).after(head), log, head).is_ok());
/// assert!(backend::check_read(&Read::log(Query::all()).after(backend::position(other, 1, 0)), log, head).is_err());
/// ```
pub fn check_read(read: &Read, log: LogId, head: Position) -> Result<(), Error> {
    let (after, upper) = read.positions();
    let upper = match upper {
        Bound::Included(position) | Bound::Excluded(position) => Some(position),
        Bound::Unbounded => None,
    };
    let named = [Some(after), upper, read.fixed_head()];
    named.into_iter().flatten().try_for_each(|position| check_position(position, log, head))
}

/// An event as a caller once made it, from its stored parts; `None` is the default content type.
///
/// ```
/// use annalist_core::{EventId, EventType, Metadata, backend};
///
/// let id = EventId::new();
/// let event = backend::event(id, EventType::new("Ticked")?, "{}".into(), Metadata::NONE, None, Vec::new());
/// assert_eq!(event.id(), id);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[must_use]
pub fn event(
    id: EventId,
    event_type: EventType,
    data: Bytes,
    metadata: Metadata,
    content_type: Option<ContentType>,
    tags: Vec<Tag>,
) -> NewEvent {
    NewEvent::from_parts(id, event_type, data, metadata, content_type, tags)
}

/// An event as the log holds it.
///
/// ```
/// use std::time::SystemTime;
/// use annalist_core::{LogId, NewEvent, StreamId, Version, backend};
///
/// let (event, stream) = (NewEvent::new("Ticked", "{}")?, StreamId::new("Clock-1")?);
/// let position = backend::position(LogId::new(), 1, 0);
/// let recorded = backend::recorded(event, stream, Version::FIRST, position, SystemTime::UNIX_EPOCH);
/// assert_eq!(recorded.position(), position);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[must_use]
pub fn recorded(
    event: NewEvent,
    stream: StreamId,
    version: Version,
    position: Position,
    recorded_at: SystemTime,
) -> RecordedEvent {
    RecordedEvent::from_parts(event, stream, version, position, recorded_at)
}

/// A receipt for these streams, in the order of the request's writes.
///
/// ```
/// use annalist_core::{LogId, StreamId, Version, backend};
///
/// let position = backend::position(LogId::new(), 9, 0);
/// let written = backend::written(StreamId::new("Order-7")?, Version::new(3), vec![position]);
/// let receipt = backend::receipt(false, vec![written]);
/// assert_eq!(receipt.position(), Some(position));
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[must_use]
pub fn receipt(already_committed: bool, written: Vec<Written>) -> Receipt {
    Receipt::from_parts(already_committed, written)
}

/// What an append did to one stream. There must be at least one position.
///
/// ```
/// use annalist_core::{LogId, StreamId, Version, backend};
///
/// let positions = vec![backend::position(LogId::new(), 9, 0), backend::position(LogId::new(), 9, 1)];
/// let written = backend::written(StreamId::new("Order-7")?, Version::new(3), positions);
/// assert_eq!(written.last_version(), Version::new(4));
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[must_use]
pub fn written(stream: StreamId, first_version: Version, positions: Vec<Position>) -> Written {
    debug_assert!(!positions.is_empty(), "a write without events is a check and is not written");
    Written { stream, first_version, positions }
}

/// The right to move a checkpoint, under the number of its claim.
///
/// ```
/// use annalist_core::{CheckpointName, backend};
///
/// assert_eq!(backend::owner(CheckpointName::new("mailer")?, 4).epoch(), 4);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[must_use]
pub fn owner(name: CheckpointName, epoch: u64) -> Owner {
    Owner { name, epoch }
}

/// A stored place in a log.
///
/// ```
/// use annalist_core::{LogId, Position, backend};
///
/// let log = LogId::new();
/// assert_eq!(backend::checkpoint(Position::START, log, None).log, log);
/// ```
#[must_use]
pub fn checkpoint(position: Position, log: LogId, event: Option<EventId>) -> Checkpoint {
    Checkpoint::from_parts(position, log, event)
}

/// What a claim gives.
///
/// ```
/// use annalist_core::{CheckpointName, backend};
///
/// let owner = backend::owner(CheckpointName::new("mailer")?, 1);
/// assert_eq!(backend::claim(owner, None).checkpoint, None);
/// # Ok::<(), annalist_core::Error>(())
/// ```
#[must_use]
pub fn claim(owner: Owner, checkpoint: Option<Checkpoint>) -> Claim {
    Claim::from_parts(owner, checkpoint)
}

/// Verifies a stored checkpoint against the log as it is now (S5). `found` is the event now at or before its position.
///
/// # Errors
///
/// [`ErrorKind::WrongHistory`] if the log is another one, does not reach that far, or holds another event there.
///
/// ```
/// use annalist_core::{EventId, LogId, backend};
///
/// let log = LogId::new();
/// let (place, event) = (backend::position(log, 3, 0), EventId::new());
/// let stored = backend::checkpoint(place, log, Some(event));
/// assert!(backend::check_checkpoint(&stored, log, place, Some(event)).is_ok());
/// assert!(backend::check_checkpoint(&stored, log, place, Some(EventId::new())).is_err());
/// ```
pub fn check_checkpoint(
    stored: &Checkpoint,
    log: LogId,
    head: Position,
    found: Option<EventId>,
) -> Result<(), Error> {
    if stored.log != log {
        let message = format!("the checkpoint is of another log stored={} log={log}", stored.log);
        return Err(ErrorKind::WrongHistory(message).into());
    }
    check_position(stored.position, log, head)?;
    if stored.event != found {
        let message = format!("the log holds another event at the checkpoint position={}", stored.position);
        return Err(ErrorKind::WrongHistory(message).into());
    }
    Ok(())
}

/// How far a page looked, for [`page`].
///
/// ```
/// use annalist_core::{Version, backend::Looked};
///
/// let looked = Looked::UpTo(Version::new(40));
/// assert_ne!(looked, Looked::All);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Looked {
    /// At all that the read is about: there is no next page.
    All,
    /// In a stream, at this version last.
    UpTo(Version),
    /// In the log, at this position last.
    Past(Position),
}

/// A page of a read, with the cursor to the next one.
///
/// `head`, and for a stream its `version`, are those that the first page saw: [`Read::fixed_head`] and
/// [`Read::fixed_version`] once they are set.
///
/// ```
/// use annalist_core::{Position, Query, Read, Version, backend};
///
/// let read = Read::log(Query::all());
/// let page = backend::page(&read, Vec::new(), backend::Looked::All, Position::START, Version::NONE);
/// assert_eq!(page.next, None);
/// ```
#[must_use]
pub fn page(
    read: &Read,
    events: Vec<RecordedEvent>,
    looked: Looked,
    head: Position,
    version: Version,
) -> Page {
    let of_stream = matches!(read.source(), Source::Stream(_));
    let cursor = Cursor { head, version: of_stream.then_some(version) };
    let spent = read.limit_left().is_some_and(|limit| limit <= events.len() as u64);
    let next = match looked {
        Looked::All => None,
        _ if spent => None,
        Looked::UpTo(version) => Some(read.advanced(Place::Version(version), events.len(), cursor)),
        Looked::Past(position) => Some(read.advanced(Place::Position(position), events.len(), cursor)),
    };
    Page::from_parts(events, next, head, version)
}
