//! What is measured: a log that can be appended to, read and followed, be it Annalist or the raw technology.

use std::error::Error;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What a writer demands of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    Any,
    Version(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Written,
    Conflict,
}

/// One side of a comparison. Every workload is written once, over this trait.
pub(crate) trait Subject: Send + Sync + 'static {
    const NAME: &'static str;
    /// A request that is ready to be sent: making it is not timed, on neither side.
    type Append: Send + 'static;
    type Follower: Follow;

    /// Events with the numbers `first..first + events` for one stream.
    fn prepare(&self, stream: &str, expected: Expected, first: u64, events: u64) -> Result<Self::Append>;

    fn append(&self, append: Self::Append) -> impl Future<Output = Result<Verdict>> + Send;

    fn version(&self, stream: &str) -> impl Future<Output = Result<u64>> + Send;

    /// Reads a whole stream, and says how many events it had.
    fn read_stream(&self, stream: &str) -> impl Future<Output = Result<u64>> + Send;

    /// Reads the whole log, and says how many events it had.
    fn read_log(&self) -> impl Future<Output = Result<u64>> + Send;

    /// Follows the log from its beginning.
    fn follow(&self) -> impl Future<Output = Result<Self::Follower>> + Send;
}

pub(crate) trait Follow: Send + 'static {
    /// Waits for the next event and gives its number.
    fn next(&mut self) -> impl Future<Output = Result<u64>> + Send;
}

/// A backend: both sides, each time with a new and empty log.
pub(crate) trait Backend {
    const NAME: &'static str;
    type Raw: Subject;

    fn annalist(&self) -> impl Future<Output = Result<crate::annalist::Annalist>> + Send;

    fn raw(&self) -> impl Future<Output = Result<Self::Raw>> + Send;

    /// How much a round does; a slower technology does less.
    fn volume(&self) -> Volume;
}

/// How many events a round handles, per kind of workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Volume {
    /// Events appended one by one.
    pub(crate) singles: u64,
    /// Events appended in batches.
    pub(crate) batched: u64,
    /// Events whose appends are made beforehand at a time: few enough to be still at hand when they are sent, as they are
    /// where an application has just made them.
    pub(crate) slice: u64,
    /// Appends that race for one stream.
    pub(crate) racing: u64,
    /// Events of which a stream read gives all; the stream is read again until they are reached.
    pub(crate) stream_reads: u64,
}
