//! What is measured: a log that can be appended to, read and followed, be it Annalist or the raw technology.

use std::error::Error;
use std::path::PathBuf;

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

    /// Appends an event to a stream that others write, too: reads the version, appends there, and begins again on a conflict; making the request
    /// is part of it here.
    fn append_next(&self, stream: &str, number: u64) -> impl Future<Output = Result<()>> + Send {
        async move {
            loop {
                let version = self.version(stream).await?;
                let append = self.prepare(stream, Expected::Version(version), number, 1)?;
                if self.append(append).await? == Verdict::Written {
                    return Ok(());
                }
                tokio::task::yield_now().await;
            }
        }
    }

    fn version(&self, stream: &str) -> impl Future<Output = Result<u64>> + Send;

    /// Reads a whole stream, and says how many events it had.
    fn read_stream(&self, stream: &str) -> impl Future<Output = Result<u64>> + Send;

    /// Reads the whole log, and says how many events it had.
    fn read_log(&self) -> impl Future<Output = Result<u64>> + Send;

    /// Follows the log from its beginning.
    fn follow(&self) -> impl Future<Output = Result<Self::Follower>> + Send;

    /// Ends it, with nothing on its way any more.
    fn close(&self) -> impl Future<Output = Result<()>> + Send;
}

pub(crate) trait Follow: Send + 'static {
    /// Waits for the next event and gives its number.
    fn next(&mut self) -> impl Future<Output = Result<u64>> + Send;
}

/// Who works on a log at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Crowd {
    pub(crate) processes: u64,
    /// In each process.
    pub(crate) tasks: u64,
}

/// One side of a backend: how its logs come about.
pub(crate) trait Side: Sync {
    type Subject: Subject;

    /// Makes a new and empty log, and gives the name under which any process can open it.
    fn create(&self) -> impl Future<Output = Result<String>> + Send;

    /// Opens a log for the tasks of one process.
    fn open(&self, log: &str, crowd: Crowd) -> impl Future<Output = Result<Self::Subject>> + Send;

    /// Removes a log that nobody has open any more.
    fn remove(&self, log: &str) -> impl Future<Output = Result<()>> + Send;
}

/// A backend: both sides.
pub(crate) trait Backend: Sized {
    const NAME: &'static str;
    /// Whether several processes can have one log open.
    const HAS_PROCESSES: bool;
    type Ours: Side<Subject = crate::annalist::Annalist>;
    type Raw: Side;

    /// Finds its server, where it needs one.
    fn find() -> Result<Self>;

    fn ours(&self) -> &Self::Ours;

    fn raw(&self) -> &Self::Raw;

    /// Product and version of the server, where there is one.
    fn server(&self) -> Result<Option<String>>;

    /// What both sides do so that nothing is lost.
    fn durability(&self) -> Result<Durability>;

    /// How much a round does; a slower technology does less.
    fn volume(&self) -> Volume;
}

/// What an acknowledgement means while it is measured.
#[derive(Clone, Debug)]
pub(crate) struct Durability {
    /// The settings, on both sides.
    pub(crate) settings: String,
    /// A folder on the disk that holds the data, where there is one on this machine.
    pub(crate) folder: Option<PathBuf>,
}

/// How many events a round handles, per kind of workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Volume {
    /// Events appended one by one by a single task.
    pub(crate) alone: u64,
    /// Events appended one by one by several.
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
    /// Events of the log that is read as a whole.
    pub(crate) log: u64,
}

impl Volume {
    /// A part of it. What bounds memory, not work, stays.
    pub(crate) fn scaled(self, percent: u64) -> Self {
        let part = |events: u64| (events * percent / 100).max(1);
        Self {
            alone: part(self.alone),
            singles: part(self.singles),
            batched: part(self.batched),
            slice: self.slice,
            racing: part(self.racing),
            stream_reads: part(self.stream_reads),
            log: part(self.log),
        }
    }
}
