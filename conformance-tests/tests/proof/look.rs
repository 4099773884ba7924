//! Looking at the honest store beneath, as a broken one does before it decides by itself.

use annalist_core::{
    Append, Conflict, Error, ErrorKind, EventStore, ExpectedVersion, Position, Query, Read, RecordedEvent,
    StreamId, Version,
};
use annalist_memory::MemoryStore;

/// Bugs without state that are wrong in `append` alone.
macro_rules! wrong_append {
    ($($(#[$doc:meta])* $name:ident: |$honest:ident, $append:ident| $body:block)*) => {$(
        $(#[$doc])*
        struct $name;

        #[async_trait]
        impl Bug for $name {
            async fn append(&self, $honest: &MemoryStore, $append: Append) -> Result<Receipt, Error> $body
        }
    )*};
}
pub(crate) use wrong_append;

/// All that a read gives, over all its pages.
pub async fn all_of(honest: &MemoryStore, read: Read) -> Result<Vec<RecordedEvent>, Error> {
    let mut events = Vec::new();
    let mut next = Some(read);
    while let Some(read) = next {
        let page = honest.read(read).await?;
        events.extend(page.events);
        next = page.next;
    }
    Ok(events)
}

/// All events of the log.
pub async fn log_of(honest: &MemoryStore) -> Result<Vec<RecordedEvent>, Error> {
    all_of(honest, Read::log(Query::all())).await
}

/// All events of a stream.
pub async fn stream_of(honest: &MemoryStore, stream: &StreamId) -> Result<Vec<RecordedEvent>, Error> {
    all_of(honest, Read::stream(stream)).await
}

/// The version of a stream.
pub async fn version_of(honest: &MemoryStore, stream: &StreamId) -> Result<Version, Error> {
    Ok(honest.read(Read::stream(stream).limit(0)).await?.version)
}

/// The head of the log.
pub async fn head_of(honest: &MemoryStore) -> Result<Position, Error> {
    Ok(honest.read(Read::log(Query::all()).limit(0)).await?.head)
}

/// What an append demands of the log, without what it writes.
pub fn demands(append: &Append) -> Append {
    let mut demands = Append::new();
    for write in append.writes() {
        demands = demands.check(&write.stream, write.expected);
    }
    for check in append.checks() {
        demands = demands.check(&check.stream, check.expected);
    }
    for condition in append.conditions() {
        demands = demands.condition(condition.query.clone(), condition.after);
    }
    demands
}

/// Whether an id of the append stands in its stream.
pub async fn knows(honest: &MemoryStore, append: &Append) -> Result<bool, Error> {
    for write in append.writes() {
        let stored = stream_of(honest, &write.stream).await?;
        if write.events.iter().any(|event| stored.iter().any(|stored| stored.id() == event.id())) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The conflict of a stream that is not at the version expected of it.
pub fn version_conflict(stream: &StreamId, expected: ExpectedVersion, actual: Version) -> Error {
    Conflict::Version { stream: stream.clone(), expected, actual }.into()
}

/// Whether an error is a conflict.
pub fn is_conflict(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict(_))
}
