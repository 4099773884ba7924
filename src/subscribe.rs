//! Following the log.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use annalist_core::{Error, Signal, Subscribe};
use futures::stream::{self, BoxStream, Stream, StreamExt};

use crate::Store;
use crate::trace::{self, Plain, observe};

/// A running subscription: a [`Stream`] of signals that ends after an error. Dropping it ends it.
///
/// ```
/// use annalist::{ExpectedVersion, NewEvent, Query, Signal, Subscribe};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// let store = annalist::connect("memory:").await?;
/// let mut signals = store.subscribe(Subscribe::to(Query::all()).from_now()).await?;
/// store.append("Order-7", ExpectedVersion::Any, [NewEvent::new("OrderPlaced", "{}")?]).await?;
///
/// while let Some(signal) = signals.next().await {
///     if let Signal::Event(event) = signal? {
///         assert_eq!(event.stream().as_str(), "Order-7");
///         break;
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Signals(BoxStream<'static, Result<Signal, Error>>);

impl Signals {
    /// Waits for the next signal; `None` after the one error that ends the subscription. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`Subscription::next`](crate::Subscription::next).
    pub async fn next(&mut self) -> Option<Result<Signal, Error>> {
        self.0.next().await
    }
}

impl Stream for Signals {
    type Item = Result<Signal, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

impl Store {
    /// Begins to follow the log; from when it returns, nothing that matches is missed.
    ///
    /// Whoever must not miss anything over a restart either uses a [`consumer`](Self::consumer).
    ///
    /// # Errors
    ///
    /// As [`EventStore::subscribe`](crate::EventStore::subscribe).
    pub async fn subscribe(&self, subscribe: Subscribe) -> Result<Signals, Error> {
        let begin = async { self.events.subscribe(subscribe).await.map(Plain) };
        let Plain(subscription) = observe(trace::subscribe(), "subscribe", None, begin).await?;
        let signals = stream::unfold(subscription, |mut subscription| async move {
            let signal = subscription.next().await?;
            let signal = signal.map_err(|error| error.in_operation("subscribe"));
            Some((signal, subscription))
        });
        Ok(Signals(signals.boxed()))
    }
}
