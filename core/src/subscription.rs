//! Following the log.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Consistency, Error, Position, Query, RecordedEvent};

/// Where a subscription begins.
///
/// ```
/// use annalist_core::{Position, Query, Start, Subscribe};
///
/// assert_eq!(Subscribe::to(Query::all()).start(), Start::After(Position::START));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Start {
    /// With the first event above this position; exclusive (S3). [`Position::START`] means the whole log.
    After(Position),
    /// With the first event above the head at the moment in which `subscribe` returns (S3).
    Now,
}

impl Start {
    /// With the first event of the log.
    pub const BEGINNING: Self = Self::After(Position::START);
}

/// What to follow, and how.
///
/// ```
/// use annalist_core::{Query, Start, Subscribe};
///
/// let orders = Subscribe::to(Query::category("Order")).from_now().page_size(200);
/// assert_eq!(orders.start(), Start::Now);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscribe {
    query: Query,
    start: Start,
    page_size: usize,
    consistency: Consistency,
    outage_max: Option<Duration>,
}

impl Subscribe {
    /// Every event that matches the query, from the beginning of the log.
    #[must_use]
    pub fn to(query: impl Into<Query>) -> Self {
        Self {
            query: query.into(),
            start: Start::After(Position::START),
            page_size: crate::PAGE_SIZE_DEFAULT,
            consistency: Consistency::Linearizable,
            outage_max: None,
        }
    }

    /// Begins with the first event above this position.
    #[must_use]
    pub fn after(mut self, position: Position) -> Self {
        self.start = Start::After(position);
        self
    }

    /// Begins with what is appended from now on.
    #[must_use]
    pub fn from_now(mut self) -> Self {
        self.start = Start::Now;
        self
    }

    /// Holds at most this many events in memory; 0 counts as 1.
    #[must_use]
    pub fn page_size(mut self, events: usize) -> Self {
        self.page_size = events.max(1);
        self
    }

    /// Content with what this process has at the beginning, see [`Consistency::Local`]; later reads of a subscription
    /// may be local in any case, because a wake-up may be late anyway (S2).
    #[must_use]
    pub fn local(mut self) -> Self {
        self.consistency = Consistency::Local;
        self
    }

    /// Bridges a loss of the connection of up to this length (S7), instead of the store's own setting.
    #[must_use]
    pub fn outage_max(mut self, outage: Duration) -> Self {
        self.outage_max = Some(outage);
        self
    }

    /// Which events.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// From where.
    #[must_use]
    pub fn start(&self) -> Start {
        self.start
    }

    /// How many events may be held in memory.
    #[must_use]
    pub fn page_events_max(&self) -> usize {
        self.page_size
    }

    /// How fresh its beginning must be: the head, "from now", and whether a position is past the head.
    #[must_use]
    pub fn consistency(&self) -> Consistency {
        self.consistency
    }

    /// How long an outage is bridged, where it was set.
    #[must_use]
    pub fn outage_after(&self) -> Option<Duration> {
        self.outage_max
    }
}

/// What a subscription tells.
///
/// ```
/// use annalist_core::{EventStore, Query, Signal, Subscribe};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let mut events = store.subscribe(Subscribe::to(Query::all())).await?;
/// assert!(matches!(events.next().await, Some(Ok(Signal::CaughtUp(_)))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Signal {
    /// An event that matches.
    Event(RecordedEvent),
    /// Every matching event up to this position has been given, and it is at or above the head at subscription; sent
    /// again after each time the subscription fell more than a page behind (S4).
    CaughtUp(Position),
    /// No event matches between the last signal and this position: a checkpoint can move there (S4).
    Progress(Position),
}

/// A running subscription.
///
/// # Contract
///
/// - **S1 complete, once, in order.** From its start it must give every matching event exactly once, in global order,
///   through catch-up, hand-over and live, under load.
/// - **S2 pushed.** An event appended through any handle of the store in this process must arrive by a wake-up, one from another
///   process by a wake-up or within [`Capabilities::wake_up_max`](crate::Capabilities::wake_up_max). A lost wake-up must cost at most that bound.
/// - **S3** "From now" must be fixed when `subscribe` returns; "after a position" is exclusive.
/// - **S4 signals.** [`Signal::CaughtUp`] must be given once everything up to the head at subscription has been given, and
///   again after each fall-behind. [`Signal::Progress`] must only be given after all matches at or below its position.
/// - **S6 back-pressure.** A slow consumer must lose nothing, hold no more than a page, and slow nobody else.
/// - **S7** A loss of the connection must be bridged without loss or repetition up to the configured outage; then exactly
///   one error must end the subscription, never silence.
/// - **S8** Stop and drop must release everything; nothing must be given after stop returned.
///
/// A subscription shares the store that it came from and keeps it open; closing the store ends it with
/// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
///
/// ```
/// use annalist_core::{Append, EventStore, ExpectedVersion, NewEvent, Query, Signal, StreamId, Subscribe};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = annalist_memory::MemoryStore::new();
/// let mut events = store.subscribe(Subscribe::to(Query::all()).from_now()).await?;
/// let order = StreamId::new("Order-7")?;
/// store.append(Append::to(&order, ExpectedVersion::Any, [NewEvent::new("OrderPlaced", "{}")?])).await?;
///
/// while let Some(signal) = events.next().await {
///     if let Signal::Event(event) = signal? {
///         assert_eq!(event.stream(), &order);
///         events.stop().await;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next signal. `None` after [`stop`](Self::stop), and after the one error that ends the subscription.
    ///
    /// Cancel-safe: a future dropped at any point takes no signal with it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) once an outage lasted too long,
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) once the store was closed,
    /// [`ErrorKind::WrongHistory`](crate::ErrorKind::WrongHistory) if the log is no longer the one that was followed.
    async fn next(&mut self) -> Option<Result<Signal, Error>>;

    /// Ends it and releases all that it holds; a second time does nothing.
    async fn stop(&mut self);
}
