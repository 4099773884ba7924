//! For an application's own tests: faults, a clock that is set, ids that come out the same every time.
//!
//! To wait for a consumer, [`ConsumerHandle::wait_until`](crate::ConsumerHandle::wait_until) takes a position, as a receipt tells it:
//! no test needs to sleep.
//!
//! ```
//! use annalist::testing::{Fault, MemoryFixture, Operation};
//! use annalist::{Append, ExpectedVersion, Retry, StreamId};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> annalist::Result<()> {
//! let fixture = MemoryFixture::new();
//! // The append arrives and its answer does not: the application must not do it twice.
//! fixture.faults.next(Operation::Append, Fault::ReplyLost);
//!
//! let order = StreamId::new("Order-7")?;
//! let append = Append::to(&order, ExpectedVersion::NoStream, [fixture.event("OrderPlaced", "{}")?]);
//! fixture.store.append_retrying(&append, Retry::default()).await?;
//! assert_eq!(fixture.store.read_stream("Order-7").await?.events.len(), 1);
//! # Ok(())
//! # }
//! ```

pub use annalist_engine::fault::{Fault, Faults, FaultyStore, Operation};

#[cfg(feature = "memory")]
pub use fixture::{ManualClock, MemoryFixture};

#[cfg(feature = "memory")]
mod fixture {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::{Duration, SystemTime};

    use annalist_core::{Error, EventId, LogId, NewEvent};
    use annalist_memory::{Config, MemoryStore};

    use super::{Faults, FaultyStore};
    use crate::Store;

    /// A clock that stands still until it is moved.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use annalist::testing::ManualClock;
    ///
    /// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(60));
    /// ```
    #[derive(Clone, Debug)]
    pub struct ManualClock(Arc<Mutex<SystemTime>>);

    impl ManualClock {
        /// A clock that shows this time.
        #[must_use]
        pub fn at(time: SystemTime) -> Self {
            Self(Arc::new(Mutex::new(time)))
        }

        /// The time that it shows.
        #[must_use]
        pub fn now(&self) -> SystemTime {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// Moves it forward. A time past the end of the system's clock leaves it where it is.
        pub fn advance(&self, time: Duration) {
            let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *now = now.checked_add(time).unwrap_or(*now);
        }
    }

    /// A memory store for a test: faults and the clock are in the test's hand, and two runs give the same ids, positions and times.
    ///
    /// ```
    /// use annalist::ExpectedVersion;
    /// use annalist::testing::MemoryFixture;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> annalist::Result<()> {
    /// let (once, again) = (MemoryFixture::new(), MemoryFixture::new());
    /// for fixture in [&once, &again] {
    ///     let placed = fixture.event("OrderPlaced", "{}")?;
    ///     fixture.store.append("Order-7", ExpectedVersion::NoStream, [placed]).await?;
    /// }
    /// assert_eq!(once.store.read_stream("Order-7").await?, again.store.read_stream("Order-7").await?);
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct MemoryFixture {
        /// The store under the application.
        pub store: Store,
        /// What goes wrong in it.
        pub faults: Faults,
        /// The clock by which events are recorded; begins at the UNIX epoch.
        pub clock: ManualClock,
        /// The backend itself, beneath the faults.
        pub backend: MemoryStore,
        events_made: AtomicU32,
    }

    /// The idempotency key, as it were, of everything that a fixture makes.
    const KEY: &str = "annalist fixture";

    /// The log of every fixture, which makes positions come out the same.
    fn log() -> LogId {
        LogId::from_uuid(EventId::derived(KEY, u32::MAX).as_uuid())
    }

    impl MemoryFixture {
        /// An empty store without faults.
        #[must_use]
        pub fn new() -> Self {
            let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
            let shown = clock.clone();
            let mut config = Config::default().with_clock(move || shown.now());
            config.log = log();
            let backend = MemoryStore::with(config);
            let faulty = FaultyStore::new(backend.clone());
            let faults = faulty.faults();
            Self { store: Store::new(faulty), faults, clock, backend, events_made: AtomicU32::new(0) }
        }

        /// An event whose id is the next in this fixture's row.
        ///
        /// # Errors
        ///
        /// As [`NewEvent::new`].
        pub fn event(&self, event_type: &str, data: &str) -> Result<NewEvent, Error> {
            let event = NewEvent::new(event_type, data.to_owned())?;
            Ok(event.with_id(self.next_id()))
        }

        /// The next id in this fixture's row, for [`NewEvent::with_id`].
        pub fn next_id(&self) -> EventId {
            EventId::derived(KEY, self.events_made.fetch_add(1, Ordering::Relaxed))
        }
    }

    impl Default for MemoryFixture {
        fn default() -> Self {
            Self::new()
        }
    }
}
