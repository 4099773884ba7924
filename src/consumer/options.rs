//! How a consumer is set up and begins.

use std::time::Duration;

use annalist_core::{CheckpointName, Error, PAGE_SIZE_DEFAULT, Query, Start, Subscribe};
use tokio::time::Instant;

use super::{Consumer, Place, Side};
use crate::Store;

/// How a consumer works, before it starts.
///
/// ```
/// use std::time::Duration;
/// use annalist::{Query, Start};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// # let store = annalist::connect("memory:").await?;
/// let consumer = store
///     .consumer("mailer", Query::category("Order"), Start::Now)
///     .save_every_events(50)
///     .save_every(Duration::from_secs(2))
///     .start()
///     .await?;
/// assert_eq!(consumer.name().as_str(), "mailer");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a consumer does nothing before it is started"]
pub struct ConsumerOptions {
    store: Store,
    name: Result<CheckpointName, Error>,
    query: Query,
    first: Start,
    save_every_events: u64,
    save_every: Duration,
    page_size: usize,
    outage_max: Duration,
}

/// After how many handled events the place is saved where nothing is said.
const SAVE_EVERY_EVENTS: u64 = 100;
/// After how long the place is saved where nothing is said.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// How long an outage is bridged where nothing is said.
const OUTAGE_MAX: Duration = Duration::from_secs(60);

impl Store {
    /// A consumer of the events that match a query, which keeps its place under a name. `first` says where it begins when
    /// nothing is stored under that name yet; afterwards it goes on from where it was.
    pub fn consumer(
        &self,
        name: impl TryInto<CheckpointName, Error: Into<Error>>,
        query: impl Into<Query>,
        first: Start,
    ) -> ConsumerOptions {
        ConsumerOptions {
            store: self.clone(),
            name: name.try_into().map_err(Into::into),
            query: query.into(),
            first,
            save_every_events: SAVE_EVERY_EVENTS,
            save_every: SAVE_EVERY,
            page_size: PAGE_SIZE_DEFAULT,
            outage_max: OUTAGE_MAX,
        }
    }
}

impl ConsumerOptions {
    /// Saves the place after this many handled events, 100 where nothing is said. After a crash, no more than these come again; 1
    /// saves after each, 0 counts as 1.
    pub fn save_every_events(mut self, events: u64) -> Self {
        self.save_every_events = events.max(1);
        self
    }

    /// Saves the place at the latest this long after an event was handled, 5 seconds where nothing is said.
    pub fn save_every(mut self, time: Duration) -> Self {
        self.save_every = time;
        self
    }

    /// Holds at most this many events in memory.
    pub fn page_size(mut self, events: usize) -> Self {
        self.page_size = events;
        self
    }

    /// Bridges an outage of up to this length, one minute where nothing is said, in reading and in saving alike.
    pub fn outage_max(mut self, outage: Duration) -> Self {
        self.outage_max = outage;
        self
    }

    /// Claims the checkpoint, which ends whoever had it, and begins.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a name that breaks the rules,
    /// [`WrongHistory`](crate::ErrorKind::WrongHistory) if the stored place is not in this log any more (look, then
    /// [`Store::reset_checkpoint`]), else as [`Store::claim_checkpoint`] and [`Store::subscribe`].
    pub async fn start(self) -> Result<Consumer, Error> {
        let claim = self.store.claim_checkpoint(self.name?).await?;
        let position = match (claim.checkpoint, self.first) {
            (Some(checkpoint), _) => checkpoint.position,
            (None, Start::After(position)) => position,
            (None, _) => {
                // Saved before anything is given: "from now" must not move when the consumer restarts before its first save.
                let head = self.store.head().await?;
                self.store.save_checkpoint(&claim.owner, head).await?;
                head
            }
        };
        let subscribe = Subscribe::to(self.query).after(position).page_size(self.page_size);
        let subscription = self.store.events.subscribe(subscribe.outage_max(self.outage_max)).await;
        Ok(Consumer {
            subscription: Some(subscription.map_err(|error| error.in_operation("consume"))?),
            owner: claim.owner,
            place: Place::at(position),
            save_every_events: self.save_every_events,
            save_every: self.save_every,
            outage_max: self.outage_max,
            save_due: Instant::now() + self.save_every,
            failed: false,
            failing_since: None,
            side: Side::new(position),
            store: self.store,
        })
    }
}
