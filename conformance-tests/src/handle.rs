//! One handle on a namespace, with what checks do with it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use annalist_core::{
    Append, CheckpointStore, Error, EventStore, ExpectedVersion, NewEvent, Page, Position, Query, Read,
    Receipt, RecordedEvent, SnapshotStore, StreamId, Subscribe, Version,
};

use crate::{Failure, Opened, Tail, Verdict, ensure, event, events, stream, tagged};

/// One handle on a namespace. Clones are the same handle; [`Cx::fresh`](crate::Cx::fresh) makes another one.
///
/// ```
/// use annalist_conformance::{Handle, Verdict, ensure_eq, stream};
///
/// async fn reads_back(handle: &Handle) -> Verdict {
///     handle.append_any("Order-1", 3).await?;
///     ensure_eq!(handle.read_stream(&stream("Order-1")).await?.len(), 3, "the events of the stream");
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Handle {
    events: Arc<dyn EventStore>,
    snapshots: Arc<dyn SnapshotStore>,
    checkpoints: Arc<dyn CheckpointStore>,
    guard: Arc<dyn Any + Send + Sync>,
    /// Shared by the clones, to count them.
    clones: Arc<()>,
    patience: Duration,
}

/// All events of a read, page after page, and what its pages told.
///
/// ```
/// use annalist_conformance::{Handle, Verdict, ensure_eq};
/// use annalist_core::{Query, Read};
///
/// async fn empty(handle: &Handle) -> Verdict {
///     let drained = handle.drain(Read::log(Query::all()).backward().page_size(7)).await?;
///     ensure_eq!(drained.events.len(), 0, "events of an empty log");
///     Ok(())
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Drained {
    /// The events, in the order in which they came.
    pub events: Vec<RecordedEvent>,
    /// The head that every page told.
    pub head: Position,
    /// The version that every page told.
    pub version: Version,
    /// How many pages there were.
    pub pages: usize,
}

impl Handle {
    pub(crate) fn new(opened: Opened, patience: Duration) -> Self {
        let Opened { events, snapshots, checkpoints, guard } = opened;
        Self { events, snapshots, checkpoints, guard: guard.into(), clones: Arc::default(), patience }
    }

    /// Whether there are other clones.
    pub(crate) fn is_held_elsewhere(&self) -> bool {
        Arc::strong_count(&self.clones) > 1
    }

    /// How long to wait for what must come.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    pub(crate) fn into_guard(self) -> Arc<dyn Any + Send + Sync> {
        self.guard
    }

    /// The event store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.events
    }

    /// The snapshot store.
    #[must_use]
    pub fn snapshots(&self) -> &Arc<dyn SnapshotStore> {
        &self.snapshots
    }

    /// The checkpoint store.
    #[must_use]
    pub fn checkpoints(&self) -> &Arc<dyn CheckpointStore> {
        &self.checkpoints
    }

    /// Appends; the answer as it is, for whoever expects an error.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn append(&self, append: Append) -> Result<Receipt, Error> {
        self.events.append(append).await
    }

    /// Appends events to one stream; the answer as it is.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn append_to(
        &self,
        stream: &StreamId,
        expected: impl Into<ExpectedVersion>,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Result<Receipt, Error> {
        self.append(Append::to(stream, expected, events)).await
    }

    /// Appends `n` new events to the stream of this name, whatever its version.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn append_any(&self, name: &str, n: usize) -> Result<Receipt, Error> {
        self.append_to(&stream(name), ExpectedVersion::Any, events(n)).await
    }

    /// Appends `n` events one by one, over five streams of the categories `Order` and `Cart`, of the types `Placed`, `Paid` and
    /// `Shipped`, tagged `even` and `third` where their number is, so that every query has something to find and to leave.
    /// Gives the log afterwards.
    ///
    /// # Errors
    ///
    /// A violation if anything of it fails.
    pub async fn append_medley(&self, n: usize) -> Verdict<Vec<RecordedEvent>> {
        const STREAMS: [&str; 5] = ["Order-1", "Order-10", "Cart-1", "Cart-2", "Order"];
        const TYPES: [&str; 3] = ["Placed", "Paid", "Shipped"];
        for i in 1..=n {
            let tags: Vec<&str> =
                [("even", 2), ("third", 3)].iter().filter(|(_, k)| i % k == 0).map(|(tag, _)| *tag).collect();
            // The strides are coprime, so that every type and tag comes to every stream.
            let made = tagged(TYPES[(i / 2) % 3], &tags);
            self.append_to(&stream(STREAMS[i % 5]), ExpectedVersion::Any, [made]).await?;
        }
        self.read_log().await
    }

    /// One page; the answer as it is.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn read(&self, read: Read) -> Result<Page, Error> {
        self.events.read(read).await
    }

    /// Reads page after page to the end, and sees to it that every page tells the same head and version, keeps to the page size, and
    /// that the pages come to an end.
    ///
    /// # Errors
    ///
    /// A violation if a page fails or breaks one of these rules.
    pub async fn drain(&self, read: Read) -> Verdict<Drained> {
        Ok(self.try_drain(read).await??)
    }

    /// The same; what the store answers where a page fails.
    pub(crate) async fn try_drain(&self, read: Read) -> Verdict<Result<Drained, Error>> {
        let page_size = read.page_events_max().max(1);
        let page = match self.events.read(read).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        let mut drained = Drained { events: page.events, head: page.head, version: page.version, pages: 1 };
        ensure!(
            drained.events.len() <= page_size,
            "a page of {page_size} has {} events",
            drained.events.len()
        );
        let (mut next, mut empty_in_a_row) = (page.next, 0);
        while let Some(read) = next {
            let page = match self.events.read(read.clone()).await {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            drained.pages += 1;
            let told = (page.head, page.version);
            ensure!(
                told == (drained.head, drained.version),
                "page {} tells head and version {told:?}, the first {:?} and {:?}",
                drained.pages,
                drained.head,
                drained.version,
            );
            ensure!(page.events.len() <= page_size, "a page of {page_size} has {} events", page.events.len());
            ensure!(page.next.as_ref() != Some(&read), "page {} leads to itself: {read:?}", drained.pages);
            empty_in_a_row = if page.events.is_empty() { empty_in_a_row + 1 } else { 0 };
            ensure!(empty_in_a_row < 100_000, "{empty_in_a_row} empty pages in a row");
            drained.events.extend(page.events);
            next = page.next;
        }
        Ok(Ok(drained))
    }

    /// All events of a stream, oldest first.
    ///
    /// # Errors
    ///
    /// As [`drain`](Self::drain).
    pub async fn read_stream(&self, stream: &StreamId) -> Verdict<Vec<RecordedEvent>> {
        Ok(self.drain(Read::stream(stream)).await?.events)
    }

    /// All events of the log, oldest first.
    ///
    /// # Errors
    ///
    /// As [`drain`](Self::drain).
    pub async fn read_log(&self) -> Verdict<Vec<RecordedEvent>> {
        Ok(self.drain(Read::log(Query::all())).await?.events)
    }

    /// The head of the log.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn head(&self) -> Result<Position, Error> {
        Ok(self.events.read(Read::log(Query::all()).limit(0)).await?.head)
    }

    /// The version of a stream.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn version(&self, stream: &StreamId) -> Result<Version, Error> {
        Ok(self.events.read(Read::stream(stream).limit(0)).await?.version)
    }

    /// Follows the log, with patience.
    ///
    /// # Errors
    ///
    /// A violation if the store refuses.
    pub async fn tail(&self, subscribe: Subscribe) -> Verdict<Tail> {
        Ok(Tail::new(self.events.subscribe(subscribe).await?, self.patience))
    }

    /// Sees to it that the handle still works: appends an event to a stream and reads it back. The event is given.
    ///
    /// # Errors
    ///
    /// A violation if it does not.
    pub async fn works(&self, name: &str) -> Verdict<NewEvent> {
        let (stream, proof) = (stream(name), event("StillWorks", "{}"));
        self.append_to(&stream, ExpectedVersion::Any, [proof.clone()]).await?;
        let found = self.read_stream(&stream).await?;
        ensure!(
            found.iter().any(|event| event.id() == proof.id()),
            "an acknowledged event is not in {stream:?}"
        );
        Ok(proof)
    }

    /// Closes the handle.
    ///
    /// # Errors
    ///
    /// What the store answers.
    pub async fn close(&self) -> Result<(), Error> {
        self.events.close().await
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("store", &self.events).finish_non_exhaustive()
    }
}

/// Sees to it that two lists of recorded events are equal in every field, and tells the first difference.
///
/// # Errors
///
/// A violation where they differ.
///
/// ```
/// assert!(annalist_conformance::same_events(&[], &[], "nothing and nothing").is_ok());
/// ```
pub fn same_events(found: &[RecordedEvent], expected: &[RecordedEvent], what: &str) -> Verdict {
    let differ = found.iter().zip(expected).position(|(found, expected)| found != expected);
    if let Some(i) = differ {
        let (found, expected) = (&found[i], &expected[i]);
        let told = format!("{what}: event {i} is {}, not {}", told(found), told(expected));
        return Err(Failure::violation(told));
    }
    ensure!(
        found.len() == expected.len(),
        "{what}: {} events instead of {}, the first {} are as expected; {}",
        found.len(),
        expected.len(),
        found.len().min(expected.len()),
        match (found.get(expected.len()), expected.get(found.len())) {
            (Some(more), _) => format!("then comes {}", told(more)),
            (_, Some(less)) => format!("then {} is missing", told(less)),
            _ => String::new(),
        }
    );
    Ok(())
}

/// Sees to it that recorded events are these appended ones, in this order and in every field of theirs.
///
/// # Errors
///
/// A violation where they differ.
///
/// ```
/// assert!(annalist_conformance::same_as_appended(&[], &[], "nothing and nothing").is_ok());
/// ```
pub fn same_as_appended(found: &[RecordedEvent], appended: &[NewEvent], what: &str) -> Verdict {
    ensure!(found.len() == appended.len(), "{what}: {} events instead of {}", found.len(), appended.len());
    for (i, (found, appended)) in found.iter().zip(appended).enumerate() {
        ensure!(found.event() == appended, "{what}: event {i} is {}, not {appended:?}", told(found));
    }
    Ok(())
}

/// An event in one line.
fn told(event: &RecordedEvent) -> String {
    let (stream, version, position) = (event.stream(), event.version(), event.position());
    format!("{stream:?} version {version} at {position} ({:?})", event.event())
}
