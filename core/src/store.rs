//! The event store itself.

use std::fmt;

use async_trait::async_trait;

use crate::{Append, Capabilities, Error, Page, Position, Read, Receipt, Subscribe, Subscription};

/// One log of events, opened: appends, reads and subscriptions.
///
/// An opened store is one namespace: one log with its own order, id and locks. Two namespaces of one database must never
/// see, order or delay one another. Handles are cheap to share; all methods may be called at once from anywhere.
///
/// # Contract: append
///
/// - **A1 atomic.** All of an append must become visible at once or none of it ever, to every reader and after every crash.
/// - **A2 contiguous.** Its events must take consecutive versions in each stream, in the order given, and be neighbours in
///   the global order.
/// - **A3 checked.** Every expected version, check and condition must hold in the very state in which the append commits;
///   conditions see everything before it and none of its own events. Of concurrent appends with the same `Exact`, or with
///   conditions that exclude one another, at most one may commit, from any number of processes. Linearizable per log.
/// - **A4 honest receipt.** The receipt must give the versions and positions under which the events can be read back.
/// - **A5 a refusal** must leave nothing readable and use up no version and no id. It must name the first failed check in
///   request order (writes, checks, conditions) with the expected and the actual version, or the position of the first
///   matching event. A conflict must never be reported for a check that held; contention inside the store is retried
///   inside the store.
/// - **A6** [`ExpectedVersion::Any`](crate::ExpectedVersion::Any) must never conflict.
/// - **A7** An append without events must verify its checks and conditions against a linearizable state and write nothing.
/// - **A8 durable.** What an acknowledgement survives is declared in [`Capabilities::durability`](crate::Capabilities::durability).
///
/// # Contract: idempotency
///
/// The order of verdicts is: `Invalid`; already committed or `IdReused`; then, in request order, `Conflict` or `WrongHistory`.
///
/// - **I1 retry is safe.** Sending the same append again must return the original versions and positions, with
///   [`Receipt::already_committed`](crate::Receipt::already_committed), whatever its expectations and conditions say by now, from any
///   process, after any restart, without a window of time or count. *The same append* means: exactly the streams of one
///   stored append, with exactly its ids in its order for each; the order among streams is free.
/// - **I2 scope.** An event id must be stored at most once per stream; the same id in two streams is two events.
/// - **I3 never partly.** Known ids mixed with unknown ones, a part, an extension or a union of stored appends, another
///   order, or the same id with other content must be refused as `IdReused`, and nothing written. Content is type, data and tags.
/// - **I4 concurrent twins.** All callers that send one append at once must get the same versions and positions; one copy exists.
///
/// # Contract: outcomes
///
/// - **E1** A fault once the commit may have been sent is `Indeterminate`, before that `Unavailable`; never success, never
///   conflict. Retries inside the store must never downgrade: once any attempt may have left, the answer is `Ok`,
///   `Indeterminate`, or a refusal that can never become untrue.
/// - **E2** No error, log line or debug output may contain a password, key, token or payload.
/// - **E3** No operation may panic, on any input or any server answer. A missing schema, table or topic is an error, never an
///   empty store.
/// - **E4** A read that cannot finish must end with an error, never with a shorter result.
///
/// # Contract: reads
///
/// - **R1** A stream read must give exactly its events, in version order, forward or backward, from any version, with any
///   limit; 0 gives nothing.
/// - **R2** A missing stream is empty, not an error.
/// - **R3** Reads must be linearizable: what was acknowledged to anyone before the read began is in it, through any handle.
///   Weaker modes are opt-in, per read, and declared.
/// - **R4** Pages joined together must equal the log at the head that the first page fixed, for every page size and both
///   directions, while others append.
/// - **R5** Every page must tell that head, and a stream read the stream's version in it.
/// - **R6** A query must give the same as filtering afterwards; `%`, `_`, `*` and `\` are ordinary characters.
///
/// # Contract: global order
///
/// - **G1 total.** Positions must strictly increase in reading order and never change.
/// - **G2 no late arrivals.** Once any reader has seen position p, no event below p may ever appear. No clock, timeout or
///   guess may take part in that, and no unrelated transaction, namespace or idle session may stall it.
/// - **G3 embeds stream order.** Within a stream, position order must be version order.
/// - **G4 real time.** If append A was acknowledged before append B was sent, A's positions must be below B's.
/// - **G5** Reading after p, for every p at or below the head (also one that holds no event), must give exactly the rest. A
///   position past the head, or of another log, must be `WrongHistory` in reads, subscriptions and conditions alike.
///
/// # Contract: limits and cancellation
///
/// - **L1** Every limit is declared in [`Limits`](crate::Limits), must be enforced at exactly that value and before anything is sent.
/// - **C1** Dropping any future at any await point must corrupt nothing. An append not yet in a batch is withdrawn and
///   certainly absent; one in flight may become visible later; every later acknowledged append on that handle is real.
/// - **C2** Pools, queues, tasks and caches must be bounded by named settings. Every operation must answer by its deadline:
///   withdrawn is `Unavailable`, in flight is `Indeterminate`. Closing flushes, then releases.
/// - **C3** No append may harm another: whatever one waits for, breaks or is refused for, the others get their own true answers.
/// - **C4** Versions N and N−1 of a backend working on one store at once must keep every guarantee.
///
/// ```
/// use annalist_core::{Append, EventStore, ErrorKind, ExpectedVersion, NewEvent, Read, StreamId};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let order = StreamId::new("Order-7")?;
/// store.append(Append::to(&order, ExpectedVersion::NoStream, [NewEvent::new("OrderPlaced", "{}")?])).await?;
///
/// let page = store.read(Read::stream(&order)).await?;
/// store.append(Append::to(&order, page.version, [NewEvent::new("OrderPaid", "{}")?])).await?;
///
/// let stale = Append::to(&order, page.version, [NewEvent::new("OrderCancelled", "{}")?]);
/// let refused = store.append(stale).await.expect_err("the order has been paid");
/// assert!(matches!(refused.kind(), ErrorKind::Conflict(_)));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait EventStore: Send + Sync + fmt::Debug + 'static {
    /// Commits one append, or refuses it.
    ///
    /// # Errors
    ///
    /// Every kind of [`ErrorKind`](crate::ErrorKind) but `Fenced`. After
    /// [`Indeterminate`](crate::ErrorKind::Indeterminate) only sending the same append again settles what happened.
    async fn append(&self, append: Append) -> Result<Receipt, Error>;

    /// Gives one page of a read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), [`WrongHistory`](crate::ErrorKind::WrongHistory),
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a consistency that is declared absent, and all that a connection
    /// can cause. A missing stream is empty.
    async fn read(&self, read: Read) -> Result<Page, Error>;

    /// Begins to follow the log; from when it returns, nothing that matches is missed.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn Subscription>, Error>;

    /// Waits until the log may hold something above a position: a hint, which can come without reason and must come, where
    /// there is a reason, within [`Capabilities::wake_up_max`](crate::Capabilities::wake_up_max). Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed), and all that a connection can cause.
    async fn wait_for_more(&self, after: Position) -> Result<(), Error>;

    /// What this store promises, and within which limits. Never changes while the store is open.
    fn capabilities(&self) -> &Capabilities;

    /// Finishes what is in flight and releases everything; from then on every operation of this store, also through its
    /// clones and of its snapshots and checkpoints, answers [`ErrorKind::Closed`](crate::ErrorKind::Closed). A second time
    /// does nothing.
    ///
    /// # Errors
    ///
    /// What went wrong in finishing; the store is closed nevertheless.
    async fn close(&self) -> Result<(), Error>;
}
