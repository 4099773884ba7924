//! A group commit whose writer hands each batch to the test and waits for the test's reply.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annalist_core::{
    Append, Conflict, Error, ErrorKind, ExpectedVersion, LogId, NewEvent, Position, Receipt, StreamId,
    Version, backend,
};
use annalist_engine::group_commit::{BatchError, BatchWriter, Config, GroupCommit, Mates};
use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub(crate) type Answer = Result<Receipt, Error>;
type Reply = Result<Vec<Answer>, BatchError>;

/// Longer than anything here may take: a test that would wait for ever fails.
const FOR_EVER: Duration = Duration::from_secs(86_400);

/// One batch in flight, waiting for the test's reply. Dropped without a reply it panics in the writer.
pub(crate) struct Call {
    pub(crate) batch: Vec<Append>,
    reply: oneshot::Sender<Reply>,
}

struct Scripted(mpsc::UnboundedSender<Call>);

#[async_trait]
impl BatchWriter for Scripted {
    async fn write(&self, batch: &[Append]) -> Reply {
        let (reply, answer) = oneshot::channel();
        let call = Call { batch: batch.to_vec(), reply };
        self.0.send(call).map_err(|_| BatchError::NotSent(unavailable()))?;
        answer.await.expect("the test wanted the writer to panic")
    }
}

pub(crate) struct Bench {
    pub(crate) commits: Arc<GroupCommit>,
    calls: mpsc::UnboundedReceiver<Call>,
}

pub(crate) fn config(mates: Mates) -> Config {
    let mut config = Config::default();
    config.mates = mates;
    config
}

impl Bench {
    pub(crate) fn new(config: Config) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        Self { commits: Arc::new(GroupCommit::new(Arc::new(Scripted(sender)), config)), calls }
    }

    /// Appends that touch one another go apart.
    pub(crate) fn apart() -> Self {
        Self::new(config(Mates::Apart))
    }

    pub(crate) fn in_order() -> Self {
        Self::new(config(Mates::InOrder))
    }

    /// Starts an append, and lets it get as far as it can.
    pub(crate) async fn start(&self, append: &Append) -> JoinHandle<Answer> {
        let (commits, append) = (Arc::clone(&self.commits), append.clone());
        let task = tokio::spawn(async move { commits.append(append).await });
        settle().await;
        task
    }

    /// The next batch, whatever time it takes to come; time that stands still jumps there.
    pub(crate) async fn call(&mut self) -> Call {
        let call = tokio::time::timeout(FOR_EVER, self.calls.recv()).await;
        call.expect("a batch is sent").expect("the writer lives")
    }

    pub(crate) async fn close(&self) {
        tokio::time::timeout(FOR_EVER, self.commits.close()).await.expect("it ends");
    }

    /// That no batch comes while time stands still.
    pub(crate) async fn quiet(&mut self) {
        settle().await;
        assert!(self.calls.is_empty(), "a batch was sent");
    }

    /// Brings a first append in flight, so that what comes next gathers in the queue.
    pub(crate) async fn busy(&mut self) -> Call {
        drop(self.start(&write("Busy").timeout(Duration::from_secs(3_600))).await);
        self.call().await
    }
}

impl Call {
    /// The streams of the batch's appends, each by its first.
    pub(crate) fn streams(&self) -> Vec<String> {
        let first = |append: &Append| {
            let written = append.writes().first().map(|write| &write.stream);
            written.or(append.checks().first().map(|check| &check.stream)).map(ToString::to_string)
        };
        self.batch.iter().map(|append| first(append).unwrap_or_default()).collect()
    }

    pub(crate) fn has(&self, append: &Append) -> bool {
        self.batch.iter().any(|mate| mate.same_request(append))
    }

    pub(crate) fn reply(self, reply: Reply) {
        // The group commit may have given up waiting.
        drop(self.reply.send(reply));
    }

    pub(crate) fn commit(self) {
        let answers = self.batch.iter().map(|append| Ok(receipt(append))).collect();
        self.reply(Ok(answers));
    }

    /// Every append gets this answer.
    pub(crate) fn refuse(self, error: &Error) {
        let answers = self.batch.iter().map(|_| Err(error.clone())).collect();
        self.reply(Ok(answers));
    }

    pub(crate) fn not_sent(self) {
        self.reply(Err(BatchError::NotSent(unavailable())));
    }

    pub(crate) fn lose_reply(self) {
        self.reply(Err(BatchError::Unknown(ErrorKind::Indeterminate("connection reset".into()).into())));
    }

    pub(crate) fn bad_data(self) {
        self.reply(Err(BatchError::BadData(bad_data())));
    }

    pub(crate) fn panic(self) {
        drop(self.reply);
    }

    /// Never replies; gives what keeps it from being a panic.
    pub(crate) fn hang(self) -> oneshot::Sender<Reply> {
        self.reply
    }
}

/// Lets all tasks run until none can go on, while time stands still.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn advance(millis: u64) {
    settle().await;
    tokio::time::advance(Duration::from_millis(millis)).await;
    settle().await;
}

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("a name")
}

pub(crate) fn event() -> NewEvent {
    NewEvent::new("Ticked", "secret payload").expect("a type")
}

/// One event for a stream, whatever its version.
pub(crate) fn write(name: &str) -> Append {
    write_at(name, ExpectedVersion::Any)
}

pub(crate) fn write_at(name: &str, expected: impl Into<ExpectedVersion>) -> Append {
    Append::to(&stream(name), expected, [event()])
}

/// A receipt at positions that no other append has.
pub(crate) fn receipt(append: &Append) -> Receipt {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let log = LogId::from_uuid(
        append.events().next().map_or_else(Default::default, |(_, event)| event.id().as_uuid()),
    );
    let next = |_: &NewEvent| backend::position(log, NEXT.fetch_add(1, Ordering::Relaxed), 0);
    let writes = append.writes().iter().filter(|write| !write.events.is_empty());
    let written = writes.map(|write| {
        let positions: Vec<Position> = write.events.iter().map(next).collect();
        backend::written(write.stream.clone(), Version::FIRST, positions)
    });
    backend::receipt(false, written.collect())
}

pub(crate) fn unavailable() -> Error {
    ErrorKind::Unavailable("connection refused".into()).into()
}

pub(crate) fn bad_data() -> Error {
    annalist_core::Invalid::new("event", "must hold no zero byte", "7").into()
}

/// A refusal of an expectation at an actual version.
pub(crate) fn conflict(expected: impl Into<ExpectedVersion>, actual: u64) -> Error {
    let (expected, actual) = (expected.into(), Version::new(actual));
    Conflict::Version { stream: stream("S"), expected, actual }.into()
}

pub(crate) async fn answer(task: JoinHandle<Answer>) -> Answer {
    task.await.expect("no panic in a caller")
}

/// What kind of error a caller got.
pub(crate) async fn refusal(task: JoinHandle<Answer>) -> Error {
    answer(task).await.expect_err("a refusal")
}

pub(crate) fn is_unavailable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable(_))
}

pub(crate) fn is_indeterminate(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Indeterminate(_))
}

/// A caller that drops its future.
pub(crate) async fn cancel(task: JoinHandle<Answer>) {
    task.abort();
    assert!(task.await.expect_err("aborted").is_cancelled());
    settle().await;
}
