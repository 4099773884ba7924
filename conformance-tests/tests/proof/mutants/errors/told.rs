//! Errors that tell too much.

use annalist_conformance::{BoxError, Opened};
use annalist_core::{Append, Error, ErrorKind, EventStore, Receipt, Snapshot, SnapshotStore};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "cause_told_twice",
        guarantee: "E2",
        twin: "`#[error(\"storage: {0}\")]` beside `#[source]`",
        expected: &["errors.shape"],
        make: || {
            each_handle(|| {
                Tells(|_, error| match error.kind() {
                    ErrorKind::Conflict(_) => {
                        let cause = BoxError::from("duplicate key value");
                        let message = format!("the database says: {cause}");
                        Error::from(ErrorKind::Internal(message)).with_source(cause)
                    }
                    _ => error,
                })
            })
        },
    },
    Mutant {
        name: "row_quoted",
        guarantee: "E2",
        twin: "PostgreSQL's \"Failing row contains (…)\" kept as the cause",
        expected: &["errors.no_payload"],
        make: || {
            each_handle(|| {
                Tells(|append, error| {
                    let data =
                        append.events().map(|(_, event)| String::from_utf8_lossy(event.data()).into_owned());
                    let row = format!("failing row contains ({})", data.collect::<Vec<_>>().join(", "));
                    error.with_source(BoxError::from(row))
                })
            })
        },
    },
    Mutant {
        name: "tags_quoted",
        guarantee: "E2",
        twin: "\"Key (tag)=(email:ada@example.org) already exists\"",
        expected: &["errors.no_payload"],
        make: || {
            each_handle(|| {
                Tells(|append, error| {
                    let tags = append.events().flat_map(|(_, event)| event.tags()).map(ToString::to_string);
                    match error.kind() {
                        ErrorKind::Conflict(_) => {
                            ErrorKind::Internal(format!("key {:?} exists", tags.collect::<Vec<_>>())).into()
                        }
                        _ => error,
                    }
                })
            })
        },
    },
    Mutant {
        name: "snapshot_quoted",
        guarantee: "E2",
        twin: "a parameter of a statement printed when it fails",
        expected: &["errors.no_payload"],
        make: || each_handle(|| SnapshotQuoted),
    },
    Mutant {
        name: "debug_of_a_cache",
        guarantee: "E2",
        twin: "a derived `Debug` over a cache",
        expected: &["errors.no_payload_in_debug"],
        make: || std::sync::Arc::new(DebugOfACache),
    },
];

/// Answers a refused append with an error made of the append and the honest error.
struct Tells(fn(&Append, Error) -> Error);

#[async_trait]
impl Bug for Tells {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        honest.append(append.clone()).await.map_err(|error| (self.0)(&append, error))
    }
}

struct SnapshotQuoted;

#[async_trait]
impl Bug for SnapshotQuoted {
    async fn save_snapshot(&self, honest: &MemoryStore, snapshot: Snapshot) -> Result<(), Error> {
        let shown = String::from_utf8_lossy(&snapshot.data).into_owned();
        honest.save_snapshot(snapshot).await.map_err(|error| error.with_source(BoxError::from(shown)))
    }
}

/// A world whose stores keep what they loaded last, and print it.
struct DebugOfACache;

#[async_trait]
impl crate::world::World for DebugOfACache {
    fn bug(&self, _: &str) -> std::sync::Arc<dyn Bug> {
        std::sync::Arc::new(Tells(|_, error| error))
    }

    async fn open(&self, _: &str, honest: MemoryStore) -> Result<Opened, BoxError> {
        let events = std::sync::Arc::new(Cache { honest: honest.clone(), last: std::sync::Mutex::default() });
        let honest = std::sync::Arc::new(honest);
        Ok(Opened::of(events, honest.clone(), honest))
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "`Debug` reads it")]
struct Cached(String);

#[derive(Debug)]
struct Cache {
    honest: MemoryStore,
    last: std::sync::Mutex<Option<Cached>>,
}

#[async_trait]
impl EventStore for Cache {
    async fn append(&self, append: Append) -> Result<Receipt, Error> {
        if let Some((_, event)) = append.events().next() {
            let data = String::from_utf8_lossy(event.data()).into_owned();
            *self.last.lock().expect("nothing panics under this lock") = Some(Cached(data));
        }
        self.honest.append(append).await
    }

    async fn read(&self, read: annalist_core::Read) -> Result<annalist_core::Page, Error> {
        self.honest.read(read).await
    }

    async fn subscribe(
        &self,
        subscribe: annalist_core::Subscribe,
    ) -> Result<Box<dyn annalist_core::Subscription>, Error> {
        self.honest.subscribe(subscribe).await
    }

    async fn wait_for_more(&self, after: annalist_core::Position) -> Result<(), Error> {
        self.honest.wait_for_more(after).await
    }

    fn capabilities(&self) -> &annalist_core::Capabilities {
        self.honest.capabilities()
    }

    async fn close(&self) -> Result<(), Error> {
        self.honest.close().await
    }
}
