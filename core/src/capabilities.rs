//! What a store promises, and within which limits.

use std::fmt;
use std::ops::Bound;
use std::time::Duration;

use crate::{Append, Error, ErrorKind, Invalid, Position, Query, Read, Snapshot, Source, Version};

/// What an acknowledged append survives (A8), from weakest to strongest.
///
/// ```
/// use annalist_core::Survives;
///
/// assert!(Survives::PowerLoss > Survives::ProcessKill);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Survives {
    /// Nothing: it is gone with the process.
    Nothing,
    /// That the writer or the server is killed.
    ProcessKill,
    /// That the machine loses its power.
    PowerLoss,
    /// That the machine is lost.
    NodeLoss,
}

/// Something that a store can be unable to do. Everything that is not named here is promised by every store.
///
/// ```
/// use annalist_core::{Capabilities, Capability, Limits};
///
/// let capabilities = Capabilities::full(Limits::FLOOR).without(Capability::LocalReads, "every read is linearizable");
/// assert!(!capabilities.has(Capability::LocalReads));
/// assert!(capabilities.has(Capability::Processes));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Capability {
    /// An acknowledged append outlives the process (A8).
    Durability,
    /// Several processes can work on one log at once.
    Processes,
    /// Reads that are content with what this process has ([`Consistency::Local`](crate::Consistency::Local)).
    LocalReads,
    /// A process that is stopped in the middle of its work, and neither goes on nor ends, keeps no other waiting.
    StoppedProcesses,
    /// The events that a read gives come from the server when it is read, so that a connection can be lost in the middle of them. Without it a
    /// replica has them already.
    RemoteReads,
}

impl Capability {
    /// Every capability there is, in declaration order.
    pub const ALL: [Self; 5] =
        [Self::Durability, Self::Processes, Self::LocalReads, Self::StoppedProcesses, Self::RemoteReads];
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Durability => "durability",
            Self::Processes => "several processes",
            Self::LocalReads => "local reads",
            Self::StoppedProcesses => "stopped processes",
            Self::RemoteReads => "remote reads",
        })
    }
}

/// The most that a store takes; each is enforced at exactly its value (L1).
///
/// ```
/// use annalist_core::Limits;
///
/// let limits = Limits { events_per_append: 5_000, ..Limits::FLOOR };
/// assert_eq!(limits.bytes_per_append, 1024 * 1024);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a new limit must be answered by every backend")]
pub struct Limits {
    /// Events in one append, over all its streams.
    pub events_per_append: usize,
    /// Bytes of all events of one append, as [`NewEvent::size`](crate::NewEvent::size) counts.
    pub bytes_per_append: usize,
    /// Streams that one append writes.
    pub streams_per_append: usize,
    /// Streams that one append checks without writing them.
    pub checks_per_append: usize,
    /// Conditions of one append.
    pub conditions_per_append: usize,
    /// Items of one query, wherever it is used.
    pub items_per_query: usize,
    /// Streams, prefixes, categories, types and tags that one item of a query names, together.
    pub names_per_item: usize,
    /// Bytes of one event.
    pub bytes_per_event: usize,
    /// Bytes of one snapshot, as [`Snapshot::size`](crate::Snapshot::size) counts.
    pub bytes_per_snapshot: usize,
}

impl Limits {
    /// The least that every store must take (L2).
    pub const FLOOR: Self = Self {
        events_per_append: 1_000,
        bytes_per_append: 1024 * 1024,
        streams_per_append: 64,
        checks_per_append: 16,
        conditions_per_append: 4,
        items_per_query: 16,
        names_per_item: 64,
        bytes_per_event: 256 * 1024,
        bytes_per_snapshot: 256 * 1024,
    };

    /// Each limit with its name, in declaration order: for tables and for comparing two declarations.
    #[must_use]
    pub fn each(&self) -> [(&'static str, usize); 9] {
        [
            ("events per append", self.events_per_append),
            ("bytes per append", self.bytes_per_append),
            ("streams per append", self.streams_per_append),
            ("checks per append", self.checks_per_append),
            ("conditions per append", self.conditions_per_append),
            ("items per query", self.items_per_query),
            ("names per item", self.names_per_item),
            ("bytes per event", self.bytes_per_event),
            ("bytes per snapshot", self.bytes_per_snapshot),
        ]
    }

    /// Checks all the rules of an append that need no look at the log: the limits, that no stream occurs twice, no id twice
    /// in one stream, and that every query is one. Every store calls this first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) names the limit or rule and the value.
    pub fn check_append(&self, append: &Append) -> Result<(), Error> {
        let written = append.writes();
        within("append", "streams per append", self.streams_per_append, written.len())?;
        within("append", "checks per append", self.checks_per_append, append.checks().len())?;
        within("append", "conditions per append", self.conditions_per_append, append.conditions().len())?;
        within("append", "events per append", self.events_per_append, append.event_count())?;
        let mut bytes = 0;
        for (_, event) in append.events() {
            let size = event.size();
            within("event", "bytes per event", self.bytes_per_event, size)?;
            bytes += size;
        }
        within("append", "bytes per append", self.bytes_per_append, bytes)?;
        distinct_streams(append)?;
        written.iter().try_for_each(|write| distinct_ids(&write.events))?;
        append.conditions().iter().try_for_each(|condition| self.check_query(&condition.query))
    }

    /// Checks the rules of a query. Every store calls this for reads and subscriptions.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) names the limit or rule and the value.
    pub fn check_query(&self, query: &Query) -> Result<(), Error> {
        within("query", "items per query", self.items_per_query, query.items().len())?;
        for item in query.items() {
            within("query item", "names per item", self.names_per_item, item.name_count())?;
        }
        query.check()
    }

    /// Checks the rules of a read: those of its query, and that it has no bounds of the other kind of source.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) names the limit or rule and the value.
    pub fn check_read(&self, read: &Read) -> Result<(), Error> {
        let by_version = read.versions() != (Version::FIRST, Version::MAX);
        let by_position = read.positions() != (Position::START, Bound::Unbounded);
        match read.source() {
            Source::Stream(_) if by_position => {
                Err(Invalid::new("read", "of a stream must not be bounded by positions", "a position").into())
            }
            Source::Stream(_) => Ok(()),
            Source::Log(_) if by_version => {
                Err(Invalid::new("read", "of the log must not be bounded by versions", "a version").into())
            }
            Source::Log(query) => self.check_query(query),
        }
    }

    /// Checks the rules of a snapshot. Every store calls this before saving.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) names the limit and the value.
    pub fn check_snapshot(&self, snapshot: &Snapshot) -> Result<(), Error> {
        // Stores keep versions as signed 64-bit numbers; a snapshot is the only place where a caller names one to be kept.
        if snapshot.version.get() > i64::MAX as u64 {
            let value = snapshot.version.get();
            return Err(Invalid::over("snapshot", "version", i64::MAX as u64, value).into());
        }
        within("snapshot", "bytes per snapshot", self.bytes_per_snapshot, snapshot.size())
    }
}

fn within(what: &'static str, limit: &'static str, max: usize, value: usize) -> Result<(), Error> {
    if value > max { Err(Invalid::over(what, limit, max as u64, value as u64).into()) } else { Ok(()) }
}

fn distinct_streams(append: &Append) -> Result<(), Error> {
    if append.writes().len() + append.checks().len() < 2 {
        return Ok(());
    }
    let written = append.writes().iter().map(|write| &write.stream);
    let mut streams: Vec<_> = written.chain(append.checks().iter().map(|check| &check.stream)).collect();
    match first_twice(&mut streams) {
        Some(stream) => {
            Err(Invalid::new("append", "must name a stream only once", format!("{stream:?}")).into())
        }
        None => Ok(()),
    }
}

fn distinct_ids(events: &[crate::NewEvent]) -> Result<(), Error> {
    if events.len() < 2 {
        return Ok(());
    }
    let mut ids: Vec<_> = events.iter().map(crate::NewEvent::id).collect();
    match first_twice(&mut ids) {
        Some(id) => {
            let rule = "must have an event id only once in a stream";
            Err(Invalid::new("append", rule, id.to_string()).into())
        }
        None => Ok(()),
    }
}

/// A value that occurs twice.
fn first_twice<T: Ord + Copy>(values: &mut [T]) -> Option<T> {
    values.sort_unstable();
    values.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// What a store promises: everything, but for what it takes back.
///
/// ```
/// use annalist_core::{Capabilities, Capability, Limits, Survives};
///
/// let capabilities = Capabilities::full(Limits::FLOOR)
///     .durability(Survives::Nothing, "keeps everything in memory")
///     .without(Capability::Durability, "keeps everything in memory");
/// assert_eq!(capabilities.survives(), Survives::Nothing);
/// assert_eq!(capabilities.reason_against(Capability::Durability), Some("keeps everything in memory"));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capabilities {
    limits: Limits,
    survives: Survives,
    durability_settings: &'static str,
    wake_up_max: Duration,
    recorded_at_resolution: Duration,
    indexed_queries: bool,
    absent: Vec<(Capability, &'static str)>,
}

/// How late a wake-up may be where a store does not say.
const WAKE_UP_MAX_DEFAULT: Duration = Duration::from_secs(1);

impl Capabilities {
    /// Promises everything within these limits. A capability that is new in a later version is thereby promised until it is
    /// taken back.
    #[must_use]
    pub fn full(limits: Limits) -> Self {
        Self {
            limits,
            survives: Survives::ProcessKill,
            durability_settings: "default settings",
            wake_up_max: WAKE_UP_MAX_DEFAULT,
            recorded_at_resolution: Duration::from_millis(1),
            indexed_queries: true,
            absent: Vec::new(),
        }
    }

    /// Takes one capability back, and says why.
    #[must_use]
    pub fn without(mut self, capability: Capability, reason: &'static str) -> Self {
        self.absent.retain(|(absent, _)| *absent != capability);
        self.absent.push((capability, reason));
        self
    }

    /// Declares what an acknowledgement survives, and under which settings.
    #[must_use]
    pub fn durability(mut self, survives: Survives, settings: &'static str) -> Self {
        (self.survives, self.durability_settings) = (survives, settings);
        self
    }

    /// Declares how late a wake-up may be (S2).
    #[must_use]
    pub fn wake_up_within(mut self, bound: Duration) -> Self {
        self.wake_up_max = bound;
        self
    }

    /// Declares the resolution of `recorded_at`.
    #[must_use]
    pub fn recorded_at_resolution(mut self, resolution: Duration) -> Self {
        self.recorded_at_resolution = resolution;
        self
    }

    /// Declares that a query is answered by looking through the log, not by an index (R6).
    #[must_use]
    pub fn queries_scan(mut self) -> Self {
        self.indexed_queries = false;
        self
    }

    /// Whether a capability is promised.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.reason_against(capability).is_none()
    }

    /// Why a capability is absent; `None` where it is promised.
    #[must_use]
    pub fn reason_against(&self, capability: Capability) -> Option<&'static str> {
        self.absent.iter().find(|(absent, _)| *absent == capability).map(|(_, reason)| *reason)
    }

    /// Refuses what needs a capability that is absent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) with the declared reason.
    pub fn require(&self, capability: Capability) -> Result<(), Error> {
        match self.reason_against(capability) {
            Some(reason) => Err(ErrorKind::Unsupported(format!("{capability}: {reason}")).into()),
            None => Ok(()),
        }
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What an acknowledgement survives.
    #[must_use]
    pub fn survives(&self) -> Survives {
        self.survives
    }

    /// Under which settings it does.
    #[must_use]
    pub fn durability_settings(&self) -> &'static str {
        self.durability_settings
    }

    /// How late a wake-up may be.
    #[must_use]
    pub fn wake_up_max(&self) -> Duration {
        self.wake_up_max
    }

    /// The resolution of `recorded_at`.
    #[must_use]
    pub fn recorded_at_precision(&self) -> Duration {
        self.recorded_at_resolution
    }

    /// Whether queries are answered by an index.
    #[must_use]
    pub fn queries_indexed(&self) -> bool {
        self.indexed_queries
    }
}
