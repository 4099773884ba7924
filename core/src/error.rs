//! The one error type, whose kind says what the caller should do.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::{CheckpointName, EventId, ExpectedVersion, Position, StreamId, Version};

/// What went wrong, what to do about it, and what caused it.
///
/// The message never contains a password, key, token or payload (E2). The cause is told by
/// [`source`](std::error::Error::source) alone. It clones in order to answer several callers whose requests failed as one.
///
/// ```
/// use annalist_core::{Error, ErrorKind, Remedy, StreamId};
///
/// let error = StreamId::new("").expect_err("an empty name");
/// assert!(matches!(error.kind(), ErrorKind::Invalid(_)));
/// assert_eq!(error.remedy(), Remedy::FixRequest);
/// assert_eq!(error.to_string(), "invalid stream id: must not be empty value=\"\"");
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: Option<&'static str>,
    stream: Option<StreamId>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What kind of error it is, told apart by what the caller should do.
///
/// ```
/// use annalist_core::{ErrorKind, Remedy};
///
/// assert_eq!(ErrorKind::Closed.remedy(), Remedy::Stop);
/// assert_eq!(ErrorKind::Indeterminate("reply lost".into()).remedy(), Remedy::SendAgain);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A check or condition did not hold.
    Conflict(Conflict),
    /// Event ids were used before for something else.
    IdReused(IdReused),
    /// The request breaks a rule or a declared limit.
    Invalid(Invalid),
    /// The set-up is wrong: a password, a missing schema, a read-only server, settings that would lose data.
    Misconfigured(String),
    /// Certainly not written, and never will be.
    Unavailable(String),
    /// May have been written, or may yet be.
    Indeterminate(String),
    /// A position or checkpoint of another log, past the head, or of a history that was since restored or truncated.
    WrongHistory(String),
    /// Another owner has claimed this checkpoint.
    Fenced(Fenced),
    /// The store was closed.
    Closed,
    /// Declared as not done by this backend.
    Unsupported(String),
    /// Stored data cannot be understood.
    Corrupt(String),
    /// None of the above.
    Internal(String),
}

/// What the caller should do about an error.
///
/// ```
/// use annalist_core::{ErrorKind, Remedy};
///
/// assert_eq!(ErrorKind::Unavailable("connection refused".into()).remedy(), Remedy::SendLater);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Remedy {
    /// Read again and decide again.
    DecideAgain,
    /// Fix the bug in the caller that used an id twice.
    FixCaller,
    /// Fix the request.
    FixRequest,
    /// Fix the set-up; retrying does not help.
    FixSetup,
    /// Send it again later.
    SendLater,
    /// Send the same append again, which is safe.
    SendAgain,
    /// Stop and look.
    StopAndLook,
    /// Stop: someone else goes on, or the store was closed.
    Stop,
    /// Choose another way, which this backend has.
    ChooseAnotherWay,
    /// Report it.
    Report,
}

/// Which check did not hold, and what was found instead (A5).
///
/// ```
/// use annalist_core::{Append, Conflict, ErrorKind, EventStore, ExpectedVersion, NewEvent, StreamId, Version};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let order = StreamId::new("Order-7")?;
/// let append = Append::to(&order, Version::new(3), [NewEvent::new("OrderPaid", "{}")?]);
/// let refused = store.append(append).await.expect_err("there is no such order");
/// let expected = ExpectedVersion::Exact(Version::new(3));
/// let conflict = Conflict::Version { stream: order, expected, actual: Version::NONE };
/// assert_eq!(refused.kind(), &ErrorKind::Conflict(conflict));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Conflict {
    /// The expected version of a stream that is written or checked.
    Version {
        /// The stream.
        stream: StreamId,
        /// What was expected of it.
        expected: ExpectedVersion,
        /// The version that it had instead.
        actual: Version,
    },
    /// A condition: an event matches its query.
    Condition {
        /// The place of the condition among the append's conditions, from 0.
        index: usize,
        /// The first matching event after the condition's position.
        matched: Position,
    },
}

/// Which event id was used before, and where it stands.
///
/// ```
/// use annalist_core::{Append, ErrorKind, EventStore, ExpectedVersion, NewEvent, StreamId, Version};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let order = StreamId::new("Order-7")?;
/// let placed = NewEvent::new("OrderPlaced", "{}")?;
/// store.append(Append::to(&order, ExpectedVersion::Any, [placed.clone()])).await?;
///
/// let other = NewEvent::new("OrderPaid", "{}")?.with_id(placed.id());
/// let refused = store.append(Append::to(&order, ExpectedVersion::Any, [other])).await.expect_err("the id is used");
/// let ErrorKind::IdReused(reused) = refused.kind() else { panic!("{refused}") };
/// assert_eq!((reused.id, reused.version), (placed.id(), Version::FIRST));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct IdReused {
    /// The first id of the request, in its order, that stands in the log with other content; where none does, the first
    /// that stands there at all.
    pub id: EventId,
    /// The stream that it stands in.
    pub stream: StreamId,
    /// Its version there.
    pub version: Version,
}

/// Which rule or limit a request breaks, and with what value.
///
/// ```
/// use annalist_core::{ErrorKind, StreamId};
///
/// let error = StreamId::new("x".repeat(256)).expect_err("a long name");
/// let ErrorKind::Invalid(invalid) = error.kind() else { panic!("{error}") };
/// assert_eq!(invalid.limit, Some(255));
/// assert_eq!(invalid.value, "256");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Invalid {
    /// What is wrong: `stream id`, `event`, `append`.
    pub what: &'static str,
    /// The rule, or the name of the limit with its unit: `bytes per event`.
    pub rule: &'static str,
    /// The limit's value, where it is one.
    pub limit: Option<u64>,
    /// The value that breaks it; for payloads their size.
    pub value: String,
}

/// Which checkpoint was lost to another owner.
///
/// ```
/// use annalist_core::{CheckpointName, ErrorKind, CheckpointStore, Position};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let name = CheckpointName::new("mailer")?;
/// let old = store.claim_checkpoint(&name).await?.owner;
/// store.claim_checkpoint(&name).await?;
/// let refused = store.save_checkpoint(&old, Position::START).await.expect_err("fenced");
/// let ErrorKind::Fenced(fenced) = refused.kind() else { panic!("{refused}") };
/// assert!(fenced.current > fenced.epoch);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Fenced {
    /// The checkpoint.
    pub name: CheckpointName,
    /// The caller's claim.
    pub epoch: u64,
    /// The claim that holds now.
    pub current: u64,
}

impl Invalid {
    /// A broken rule.
    #[must_use]
    pub fn new(what: &'static str, rule: &'static str, value: impl Into<String>) -> Self {
        Self { what, rule, limit: None, value: value.into() }
    }

    /// A limit that is passed.
    #[must_use]
    pub fn over(what: &'static str, limit: &'static str, max: u64, value: u64) -> Self {
        Self { what, rule: limit, limit: Some(max), value: value.to_string() }
    }
}

impl IdReused {
    /// An id of the request that stands in the log.
    #[must_use]
    pub fn new(id: EventId, stream: StreamId, version: Version) -> Self {
        Self { id, stream, version }
    }
}

impl Fenced {
    /// A claim that a later one has replaced.
    #[must_use]
    pub fn new(name: CheckpointName, epoch: u64, current: u64) -> Self {
        Self { name, epoch, current }
    }
}

impl ErrorKind {
    /// What the caller should do.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Conflict(_) => Remedy::DecideAgain,
            Self::IdReused(_) => Remedy::FixCaller,
            Self::Invalid(_) => Remedy::FixRequest,
            Self::Misconfigured(_) => Remedy::FixSetup,
            Self::Unavailable(_) => Remedy::SendLater,
            Self::Indeterminate(_) => Remedy::SendAgain,
            Self::WrongHistory(_) | Self::Corrupt(_) => Remedy::StopAndLook,
            Self::Fenced(_) | Self::Closed => Remedy::Stop,
            Self::Unsupported(_) => Remedy::ChooseAnotherWay,
            Self::Internal(_) => Remedy::Report,
        }
    }

    /// The name of the kind, for logs and metrics: `conflict`, `id_reused`, …
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "conflict",
            Self::IdReused(_) => "id_reused",
            Self::Invalid(_) => "invalid",
            Self::Misconfigured(_) => "misconfigured",
            Self::Unavailable(_) => "unavailable",
            Self::Indeterminate(_) => "indeterminate",
            Self::WrongHistory(_) => "wrong_history",
            Self::Fenced(_) => "fenced",
            Self::Closed => "closed",
            Self::Unsupported(_) => "unsupported",
            Self::Corrupt(_) => "corrupt",
            Self::Internal(_) => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(Conflict::Version { stream, expected, actual }) => {
                write!(f, "conflict: expected {expected} stream={stream:?} actual={actual}")
            }
            Self::Conflict(Conflict::Condition { index, matched }) => {
                write!(f, "conflict: an event matches the condition index={index} matched={matched}")
            }
            Self::IdReused(IdReused { id, stream, version }) => {
                write!(f, "event id was used before id={id} stream={stream:?} version={version}")
            }
            Self::Invalid(Invalid { what, rule, limit: None, value }) => {
                write!(f, "invalid {what}: {rule} value={value}")
            }
            Self::Invalid(Invalid { what, rule, limit: Some(limit), value }) => {
                write!(f, "invalid {what}: over the limit of {rule} limit={limit} value={value}")
            }
            Self::Misconfigured(message) => write!(f, "misconfigured: {message}"),
            Self::Unavailable(message) => write!(f, "unavailable, nothing was written: {message}"),
            Self::Indeterminate(message) => write!(f, "indeterminate, may have been written: {message}"),
            Self::WrongHistory(message) => write!(f, "wrong history: {message}"),
            Self::Fenced(Fenced { name, epoch, current }) => {
                write!(
                    f,
                    "fenced: another owner has claimed the checkpoint name={name:?} epoch={epoch} current={current}"
                )
            }
            Self::Closed => f.write_str("the store was closed"),
            Self::Unsupported(message) => write!(f, "unsupported: {message}"),
            Self::Corrupt(message) => write!(f, "corrupt: {message}"),
            Self::Internal(message) => write!(f, "internal: {message}"),
        }
    }
}

impl Error {
    /// An error of this kind, without a cause.
    #[must_use]
    pub fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, operation: None, stream: None, source: None }))
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// The same with the operation in which it happened; the innermost stays.
    #[must_use]
    pub fn in_operation(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// The same with the stream that the operation was about.
    #[must_use]
    pub fn for_stream(mut self, stream: &StreamId) -> Self {
        self.0.stream.get_or_insert_with(|| stream.clone());
        self
    }

    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// What the caller should do.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        self.0.kind.remedy()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.kind.fmt(f)?;
        if let Some(operation) = self.0.operation {
            write!(f, " operation={operation}")?;
        }
        match (&self.0.kind, &self.0.stream) {
            // These kinds tell their stream themselves.
            (ErrorKind::Conflict(_) | ErrorKind::IdReused(_), _) | (_, None) => Ok(()),
            (_, Some(stream)) => write!(f, " stream={stream:?}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        let mut cause = self.source();
        while let Some(source) = cause {
            write!(f, ": {source}")?;
            cause = source.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::new(ErrorKind::Invalid(invalid))
    }
}

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        Self::new(ErrorKind::Conflict(conflict))
    }
}

impl From<IdReused> for Error {
    fn from(reused: IdReused) -> Self {
        Self::new(ErrorKind::IdReused(reused))
    }
}

impl From<Fenced> for Error {
    fn from(fenced: Fenced) -> Self {
        Self::new(ErrorKind::Fenced(fenced))
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
