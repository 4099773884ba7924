//! Annalist as a subject: what applications hold.

use std::time::Duration;

use annalist::{
    Append, CheckpointStore, ErrorKind, EventStore, ExpectedVersion, NewEvent, Past, Query, Read, Retry,
    Signal, SnapshotStore, Store, StreamId, Subscribe, Subscription, Version,
};

use crate::payload::{number, payload};
use crate::subject::{Expected, Follow, Result, Subject, Verdict};

/// Longer than any round.
const AS_LONG_AS_IT_TAKES: Duration = Duration::from_secs(3_600);

pub(crate) struct Annalist(Store);

impl Annalist {
    pub(crate) fn new<B: EventStore + SnapshotStore + CheckpointStore>(backend: B) -> Self {
        Self(Store::new(backend))
    }

    async fn read(&self, read: Read) -> Result<u64> {
        let (mut next, mut events) = (Some(read), 0);
        while let Some(read) = next.take() {
            let page = self.0.event_store().read(read).await?;
            events += page.events.len() as u64;
            next = page.next;
        }
        Ok(events)
    }
}

impl Subject for Annalist {
    const NAME: &'static str = "annalist";
    type Append = Append;
    type Follower = Box<dyn Subscription>;

    fn prepare(&self, stream: &str, expected: Expected, first: u64, events: u64) -> Result<Append> {
        let expected = match expected {
            Expected::Any => ExpectedVersion::Any,
            Expected::Version(version) => Version::new(version).into(),
        };
        let events = (first..first + events).map(|n| NewEvent::new("BenchmarkTicked", payload(n)));
        let events = events.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Append::to(&StreamId::new(stream)?, expected, events))
    }

    async fn append(&self, append: Append) -> Result<Verdict> {
        match self.0.event_store().append(append).await {
            Ok(_) => Ok(Verdict::Written),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict(_)) => Ok(Verdict::Conflict),
            Err(error) => Err(error.into()),
        }
    }

    async fn append_next(&self, stream: &str, number: u64) -> Result<()> {
        let stream = StreamId::new(stream)?;
        // The version is all that is looked at, as on the raw side.
        let version = Read::stream(&stream).limit(0);
        let retry = Retry::default().attempts_max(u32::MAX).elapsed_max(AS_LONG_AS_IT_TAKES);
        let next =
            |past: Past| self.prepare(stream.as_str(), Expected::Version(past.version.get()), number, 1);
        self.0.transact(version, retry, next).await?.map(drop).ok_or_else(|| "nothing was written".into())
    }

    async fn version(&self, stream: &str) -> Result<u64> {
        let read = Read::stream(&StreamId::new(stream)?).limit(0);
        Ok(self.0.event_store().read(read).await?.version.get())
    }

    async fn read_stream(&self, stream: &str) -> Result<u64> {
        self.read(Read::stream(&StreamId::new(stream)?)).await
    }

    async fn read_log(&self) -> Result<u64> {
        self.read(Read::log(Query::all())).await
    }

    async fn follow(&self) -> Result<Box<dyn Subscription>> {
        Ok(self.0.event_store().subscribe(Subscribe::to(Query::all())).await?)
    }

    async fn close(&self) -> Result<()> {
        Ok(self.0.close().await?)
    }
}

impl Follow for Box<dyn Subscription> {
    async fn next(&mut self) -> Result<u64> {
        loop {
            match Subscription::next(&mut **self).await.ok_or("the subscription ended")?? {
                Signal::Event(event) => return Ok(number(event.data()).ok_or("an event without a number")?),
                _ => continue,
            }
        }
    }
}
