//! A subscription over any store that can read pages and wait.

use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::later;
use annalist_core::{
    Capability, Consistency, Error, ErrorKind, EventStore, Page, Position, Query, Read, RecordedEvent,
    Signal, Start, Subscribe, Subscription,
};
use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::poll;
use tokio::task::JoinHandle;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::warn;

/// How long an outage is bridged where the subscription does not say.
const OUTAGE_MAX_DEFAULT: Duration = Duration::from_secs(60);
/// The pause after the first failed attempt of an outage; it doubles with each.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// The longest pause between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Begins a subscription that pulls pages from `store`: what a backend's `subscribe` returns in one line.
///
/// # Errors
///
/// As [`EventStore::read`].
///
/// ```
/// use std::sync::Arc;
/// use annalist_core::{Query, Signal, Subscribe};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = Arc::new(annalist_memory::MemoryStore::new());
/// let mut events = annalist_engine::subscribe(store, Subscribe::to(Query::all())).await?;
/// assert!(matches!(events.next().await, Some(Ok(Signal::CaughtUp(_)))));
/// # Ok(())
/// # }
/// ```
pub async fn subscribe(
    store: Arc<dyn EventStore>,
    subscribe: Subscribe,
) -> Result<Box<dyn Subscription>, Error> {
    Ok(Box::new(Follow::start(store, subscribe).await?))
}

/// A subscription that pulls: it reads a page after the last position seen, gives its events one by one, and waits for more.
///
/// It has no queue of its own: it holds one page, and a consumer that does not ask costs nothing (S6). A page that was asked for comes in a task
/// where it does not come at once, and outlives a dropped [`next`](Subscription::next): nothing is lost, a consumer that looks again and again for a
/// moment only gets on nevertheless, and one that stops looking keeps no connection busy.
///
/// ```
/// use std::sync::Arc;
/// use annalist_core::{Query, Subscribe, Subscription};
/// use annalist_engine::Follow;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), annalist_core::Error> {
/// let store = Arc::new(annalist_memory::MemoryStore::new());
/// let mut events = Follow::start(store, Subscribe::to(Query::all()).from_now()).await?;
/// events.stop().await;
/// assert!(events.next().await.is_none());
/// # Ok(())
/// # }
/// ```
pub struct Follow {
    /// `None` once it has ended; dropping the store is what releases it.
    store: Option<Arc<dyn EventStore>>,
    query: Query,
    /// Whether later reads may be local: a wake-up may be late anyway, and a barrier for every page would cost a write.
    local: bool,
    page_size: usize,
    outage_max: Duration,
    /// Everything that matches at or below it has been given.
    position: Position,
    /// The head to reach before the next `CaughtUp`; `None` while caught up.
    target: Option<Position>,
    events: std::vec::IntoIter<RecordedEvent>,
    /// How far the page looked beyond its events; given as progress once they are.
    looked_to: Position,
    /// The page that was asked for and is not there yet.
    asked: Option<Asked>,
    /// Since when there has been nothing to be read.
    nothing_since: Option<Instant>,
    outage: Option<Outage>,
}

/// A task that ends with its handle.
struct Asked(JoinHandle<Result<Page, Error>>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Asked {
    async fn answer(&mut self) -> Result<Page, Error> {
        match (&mut self.0).await {
            Ok(answer) => answer,
            Err(lost) if lost.is_panic() => std::panic::resume_unwind(lost.into_panic()),
            Err(lost) => Err(Error::new(ErrorKind::Internal("a read was lost".to_owned())).with_source(lost)),
        }
    }
}

/// A running series of failed attempts.
#[derive(Debug)]
struct Outage {
    /// When it has lasted too long.
    until: Instant,
    /// When to try again.
    again_at: Instant,
    pause: Duration,
}

impl Follow {
    /// Fixes where it begins; from then on nothing that matches is missed.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read`].
    pub async fn start(store: Arc<dyn EventStore>, subscribe: Subscribe) -> Result<Self, Error> {
        let first = page_after(&subscribe, start_bound(&subscribe)).limit(0);
        let head = store.read(first).await?.head;
        let local_reads = store.capabilities().has(Capability::LocalReads);
        let position = match subscribe.start() {
            Start::After(position) => position,
            _ => head,
        };
        Ok(Self {
            store: Some(store),
            query: subscribe.query().clone(),
            local: local_reads,
            page_size: subscribe.page_events_max(),
            outage_max: subscribe.outage_after().unwrap_or(OUTAGE_MAX_DEFAULT),
            position,
            target: Some(head),
            events: Vec::new().into_iter(),
            looked_to: position,
            asked: None,
            nothing_since: None,
            outage: None,
        })
    }

    /// The next signal that needs no look at the log.
    fn ready(&mut self) -> Option<Signal> {
        let coming = self.events.as_slice().first().map(RecordedEvent::position);
        let passed = coming.unwrap_or(Position::START);
        if let Some(target) = self.target
            && (self.position >= target || passed > target || (coming.is_none() && self.looked_to >= target))
        {
            self.target = None;
            self.position = self.position.max(if coming.is_some() { target } else { self.looked_to });
            return Some(Signal::CaughtUp(self.position));
        }
        if let Some(event) = self.events.next() {
            self.position = event.position();
            return Some(Signal::Event(event));
        }
        if self.looked_to > self.position {
            self.position = self.looked_to;
            return Some(Signal::Progress(self.position));
        }
        None
    }

    /// Takes in a page that begins after the current position.
    fn take(&mut self, page: Page) {
        self.looked_to = match &page.next {
            Some(next) => next.positions().0,
            None => page.head,
        };
        if page.next.is_some() && self.target.is_none() {
            // More than a page behind: it is caught up again once it has reached what is there now.
            self.target = Some(page.head);
        }
        self.events = page.events.into_iter();
    }

    fn read(&self, store: &Arc<dyn EventStore>) -> BoxFuture<'static, Result<Page, Error>> {
        let mut read = Read::log(self.query.clone()).after(self.position).page_size(self.page_size);
        if self.local {
            read = read.local();
        }
        let store = Arc::clone(store);
        Box::pin(async move { store.read(read).await })
    }

    /// The next page. Cancel-safe: what was asked for is not asked for again.
    async fn page(&mut self, store: &Arc<dyn EventStore>) -> Result<Page, Error> {
        if self.asked.is_none() {
            let mut read = self.read(store);
            match poll!(&mut read) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => self.asked = Some(Asked(tokio::spawn(read))),
            }
        }
        let asked = self.asked.as_mut().expect("it was asked for just now");
        let answer = match &self.outage {
            // An attempt may take no longer than is left of the outage.
            Some(outage) => {
                timeout_at(outage.until, asked.answer()).await.unwrap_or_else(|_| Err(too_long()))
            }
            None => asked.answer().await,
        };
        self.asked = None;
        answer
    }

    /// Waits for more where there was nothing, and reads on. Changes nothing but by its last step.
    async fn advance(&mut self, store: &Arc<dyn EventStore>) -> Result<(), Error> {
        if let Some(since) = self.nothing_since {
            // The bound makes a lost wake-up cost a delay and nothing else (S2).
            let until = later(since, store.capabilities().wake_up_max());
            let woken = timeout_at(until, store.wait_for_more(self.position)).await;
            // A store that wakes without reason must not keep its thread from everyone else.
            consume_budget().await;
            self.nothing_since = None;
            woken.unwrap_or(Ok(()))?;
            self.outage = None;
        }
        let page = self.page(store).await?;
        let nothing = page.events.is_empty() && page.next.is_none() && page.head <= self.position;
        // That a local read finds nothing says nothing of the connection: whoever waits for more will tell.
        if !(nothing && self.local) {
            self.outage = None;
        }
        if nothing {
            self.nothing_since = Some(Instant::now());
        } else {
            self.take(page);
        }
        Ok(())
    }

    /// Takes a failed attempt as part of an outage; gives the error back once that has lasted too long, or at once if it is none.
    fn bridge(&mut self, error: Error) -> Result<(), Error> {
        if !matches!(error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_)) {
            return Err(error);
        }
        let now = Instant::now();
        let outage = self.outage.get_or_insert_with(|| Outage {
            until: later(now, self.outage_max),
            again_at: now,
            pause: BACKOFF_MIN,
        });
        if now >= outage.until {
            return Err(error);
        }
        warn!(%error, after = %self.position, "subscription lost its store and tries again");
        outage.again_at = later(now, outage.pause).min(outage.until);
        outage.pause = (outage.pause * 2).min(BACKOFF_MAX);
        Ok(())
    }

    fn end(&mut self) {
        self.store = None;
        self.asked = None;
        self.events = Vec::new().into_iter();
    }
}

fn too_long() -> Error {
    ErrorKind::Unavailable("the store did not answer before the outage had lasted too long".to_owned()).into()
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow")
            .field("query", &self.query)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

fn start_bound(subscribe: &Subscribe) -> Position {
    match subscribe.start() {
        Start::After(position) => position,
        _ => Position::START,
    }
}

fn page_after(subscribe: &Subscribe, after: Position) -> Read {
    let read = Read::log(subscribe.query().clone()).after(after);
    if subscribe.consistency() == Consistency::Local { read.local() } else { read }
}

#[async_trait]
impl Subscription for Follow {
    async fn next(&mut self) -> Option<Result<Signal, Error>> {
        loop {
            let store = self.store.clone()?;
            if let Some(signal) = self.ready() {
                return Some(Ok(signal));
            }
            if let Some(outage) = &self.outage {
                sleep_until(outage.again_at).await;
            }
            if let Err(error) = self.advance(&store).await
                && let Err(error) = self.bridge(error)
            {
                self.end();
                return Some(Err(error));
            }
        }
    }

    async fn stop(&mut self) {
        self.end();
    }
}
