//! Reading pages, whole streams, and events one by one.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use annalist_core::{Error, Page, Position, Query, Read, RecordedEvent, Source, StreamId, Version};
use futures::stream::{self, BoxStream, Stream, StreamExt};
use serde::de::DeserializeOwned;

use crate::Store;
use crate::trace::{self, observe};

/// All that a read gave, pages joined: what a decision rests on.
///
/// ```
/// use annalist::{ExpectedVersion, NewEvent, Version};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// let store = annalist::connect("memory:").await?;
/// store.append("Order-7", ExpectedVersion::Any, [NewEvent::new("OrderPlaced", "{}")?]).await?;
/// let past = store.read_stream("Order-7").await?;
/// assert_eq!(past.version, Version::FIRST);
/// store.append("Order-7", past.version, [NewEvent::new("OrderPaid", "{}")?]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Past {
    /// The events, in the read's direction.
    pub events: Vec<RecordedEvent>,
    /// The head of the log that was read, fit as the `after` of a condition.
    pub head: Position,
    /// For a read of a stream: its version, fit as an `Exact`. [`Version::NONE`] for a read of the log.
    pub version: Version,
}

impl Past {
    /// The events as values, in their order; those of a type that `T` does not know are left out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if an event of a known type does not fit, see
    /// [`RecordedEvent::decode`].
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Vec<T>, Error> {
        self.events.iter().filter_map(|event| event.decode().transpose()).collect()
    }
}

/// The events of a read, one by one: its pages are fetched as they are needed. A [`Stream`] that ends after an error.
///
/// ```
/// use annalist::{ExpectedVersion, NewEvent, Query, Read};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> annalist::Result<()> {
/// let store = annalist::connect("memory:").await?;
/// store.append("Order-7", ExpectedVersion::Any, [NewEvent::new("OrderPlaced", "{}")?]).await?;
///
/// let mut events = store.events(Read::log(Query::all()).page_size(100));
/// while let Some(event) = events.next().await {
///     println!("{}", event?.event_type());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Events(BoxStream<'static, Result<RecordedEvent, Error>>);

impl Events {
    /// The next event; `None` after the last one and after an error. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`Store::read`].
    pub async fn next(&mut self) -> Option<Result<RecordedEvent, Error>> {
        self.0.next().await
    }
}

impl Stream for Events {
    type Item = Result<RecordedEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Store {
    /// Gives one page of a read; [`Page::next`] is the read that gives the next one.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read`](crate::EventStore::read).
    pub async fn read(&self, read: impl Into<Read>) -> Result<Page, Error> {
        let read = read.into();
        let span = trace::read(&read);
        let stream = match read.source() {
            Source::Stream(stream) => Some(stream.clone()),
            _ => None,
        };
        observe(span, "read", stream.as_ref(), self.events.read(read)).await
    }

    /// Reads to the end and holds it all in memory; [`Read::limit`] bounds it.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read`](crate::EventStore::read).
    pub async fn read_all(&self, read: impl Into<Read>) -> Result<Past, Error> {
        let Page { mut events, mut next, head, version, .. } = self.read(read).await?;
        while let Some(read) = next {
            let page = self.read(read).await?;
            events.extend(page.events);
            next = page.next;
        }
        Ok(Past { events, head, version })
    }

    /// Reads a whole stream, oldest event first; a missing one is empty.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read`](crate::EventStore::read).
    pub async fn read_stream(
        &self,
        stream: impl TryInto<StreamId, Error: Into<Error>>,
    ) -> Result<Past, Error> {
        let stream = stream.try_into().map_err(Into::into)?;
        self.read_all(&stream).await
    }

    /// The events of a read, one by one, whatever their number.
    #[must_use]
    pub fn events(&self, read: impl Into<Read>) -> Events {
        let pages = stream::try_unfold((self.clone(), Some(read.into())), |(store, read)| async move {
            let Some(read) = read else { return Ok(None) };
            let page = store.read(read).await?;
            Ok::<_, Error>(Some((page.events, (store, page.next))))
        });
        let events = pages.map(|page| match page {
            Ok(events) => stream::iter(events.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => stream::iter(vec![Err(error)]),
        });
        Events(events.flatten().boxed())
    }

    /// The newest position of the log.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read`](crate::EventStore::read).
    pub async fn head(&self) -> Result<Position, Error> {
        Ok(self.read(Read::log(Query::all()).limit(0)).await?.head)
    }
}
