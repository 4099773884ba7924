//! Broken stores for the area `limits`.

use std::sync::Arc;

use annalist_core::{
    Append, Capabilities, Error, EventStore, Invalid, Limits, NewEvent, Receipt, Snapshot, SnapshotStore,
};
use annalist_memory::{Config, MemoryStore};
use async_trait::async_trait;

use super::Mutant;
use crate::bug::Bug;
use crate::edit::{edit_writes, keep};
use crate::world::{World, each_handle};

pub const PARTS: &[&[Mutant]] = &[MUTANTS];

/// A mutant that enforces another value than it declares.
macro_rules! enforces {
    ($name:literal, $guarantee:literal, $twin:literal, $expected:expr, $field:ident $operator:tt $n:expr) => {
        Mutant {
            name: $name,
            guarantee: $guarantee,
            twin: $twin,
            expected: &[$expected],
            make: || enforcing(|limits| limits.$field $operator $n, NONE),
        }
    };
}

const MUTANTS: &[Mutant] = &[
    enforces!(
        "events_one_more",
        "L1",
        "`>` where `>=` was meant",
        "limits.events_per_append",
        events_per_append += 1
    ),
    enforces!(
        "events_half",
        "L1",
        "the declared limit is that of another edition",
        "limits.events_per_append",
        events_per_append /= 2
    ),
    enforces!(
        "streams_one_more",
        "L1",
        "`>` where `>=` was meant",
        "limits.streams_per_append",
        streams_per_append += 1
    ),
    enforces!(
        "streams_one_less",
        "L1",
        "a place kept for the log's own item",
        "limits.streams_per_append",
        streams_per_append -= 1
    ),
    enforces!(
        "checks_unlimited",
        "L1",
        "a limit that is declared and never looked at",
        "limits.checks_per_append",
        checks_per_append *= 8
    ),
    enforces!(
        "conditions_unlimited",
        "L1",
        "a limit that is declared and never looked at",
        "limits.conditions_per_append",
        conditions_per_append *= 8
    ),
    enforces!(
        "items_unlimited",
        "L1",
        "a limit that is declared and never looked at",
        "limits.items_per_query",
        items_per_query *= 8
    ),
    enforces!(
        "names_one_less",
        "L1",
        "a place kept for the namespace",
        "limits.names_per_item",
        names_per_item -= 1
    ),
    enforces!(
        "names_one_more",
        "L1",
        "`>` where `>=` was meant",
        "limits.names_per_item",
        names_per_item += 1
    ),
    enforces!(
        "event_bytes_one_less",
        "L1",
        "an envelope of one byte counted too",
        "limits.bytes_per_event",
        bytes_per_event -= 1
    ),
    enforces!(
        "append_bytes_one_more",
        "L1",
        "`>` where `>=` was meant",
        "limits.bytes_per_append",
        bytes_per_append += 1
    ),
    enforces!(
        "append_bytes_of_keys_too",
        "L1",
        "the size of the request as it travels",
        "limits.bytes_per_append",
        bytes_per_append -= 8_000
    ),
    enforces!(
        "snapshot_bytes_one_more",
        "L1",
        "`>` where `>=` was meant",
        "limits.bytes_per_snapshot",
        bytes_per_snapshot += 1
    ),
    enforces!(
        "snapshot_bytes_64_kib",
        "L1",
        "a column of another type than the limit",
        "limits.bytes_per_snapshot",
        bytes_per_snapshot /= 256
    ),
    Mutant {
        name: "floor_of_100_events",
        guarantee: "L2",
        twin: "DynamoDB: 100 items of a transaction",
        expected: &["limits.floors"],
        make: || each_handle(|| Declares(declaring(Limits { events_per_append: 100, ..Limits::FLOOR }))),
    },
    Mutant {
        name: "event_size_of_data_alone",
        guarantee: "L1",
        twin: "a limit on a column",
        expected: &["limits.bytes_per_event"],
        make: || {
            enforcing(
                |limits| limits.bytes_per_event += 10_000,
                Sizes { event: |event| event.data().len() + 160, ..NONE },
            )
        },
    },
    Mutant {
        name: "event_size_without_tags",
        guarantee: "L1",
        twin: "tags kept in another table",
        expected: &["limits.bytes_per_event"],
        make: || {
            enforcing(
                |limits| limits.bytes_per_event += 10_000,
                Sizes {
                    event: |event| {
                        event.size() - event.tags().iter().map(|tag| tag.as_str().len()).sum::<usize>()
                    },
                    ..NONE
                },
            )
        },
    },
    Mutant {
        name: "snapshot_size_of_data_alone",
        guarantee: "L1",
        twin: "a limit on a column",
        expected: &["limits.bytes_per_snapshot"],
        make: || {
            enforcing(
                |limits| limits.bytes_per_snapshot += 10_000,
                Sizes { snapshot: |snapshot| snapshot.data.len(), ..NONE },
            )
        },
    },
    Mutant {
        name: "first_chunk_written",
        guarantee: "L1",
        twin: "chunks of a request, of which the last is refused",
        expected: &["limits.events_per_append"],
        make: || each_handle(|| FirstChunkWritten),
    },
    Mutant {
        name: "first_check_alone",
        guarantee: "A3",
        twin: "a statement with a place for one check",
        expected: &["limits.checks_per_append"],
        make: || each_handle(|| FirstAlone),
    },
    Mutant {
        name: "first_condition_alone",
        guarantee: "A3",
        twin: "a statement with a place for one condition",
        expected: &["limits.conditions_per_append"],
        make: || each_handle(|| FirstAlone),
    },
    Mutant {
        name: "declaration_of_each_handle",
        guarantee: "L1",
        twin: "limits asked of the server that one happens to be connected to",
        expected: &["limits.declared_once"],
        make: || {
            let opened = std::sync::atomic::AtomicUsize::new(0);
            each_handle(move || {
                let n = opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Declares(declaring(Limits { events_per_append: 2_000 + n, ..Limits::FLOOR }))
            })
        },
    },
];

/// What a memory store with these limits declares.
fn declaring(limits: Limits) -> Capabilities {
    let mut config = Config::default();
    config.limits = limits;
    MemoryStore::with(config).capabilities().clone()
}

struct Declares(Capabilities);

impl Bug for Declares {
    fn capabilities<'a>(&'a self, _: &'a MemoryStore) -> &'a Capabilities {
        &self.0
    }
}

/// A world whose memory store has other limits than are declared.
fn enforcing(edit: fn(&mut Limits), sizes: Sizes) -> Arc<dyn World> {
    let declared = MemoryStore::new().capabilities().clone();
    Arc::new(Enforcing { edit, bug: Arc::new(Counts(declared, sizes)) })
}

struct Enforcing {
    edit: fn(&mut Limits),
    bug: Arc<Counts>,
}

impl World for Enforcing {
    fn bug(&self, _: &str) -> Arc<dyn Bug> {
        self.bug.clone()
    }

    fn store(&self) -> MemoryStore {
        let mut config = Config::default();
        (self.edit)(&mut config.limits);
        MemoryStore::with(config)
    }
}

/// How sizes are counted, before the memory store counts them rightly against its other limits.
#[derive(Clone, Copy)]
struct Sizes {
    event: fn(&NewEvent) -> usize,
    snapshot: fn(&Snapshot) -> usize,
}

/// Nothing is counted beforehand.
const NONE: Sizes = Sizes { event: |_| 0, snapshot: |_| 0 };

struct Counts(Capabilities, Sizes);

fn over(what: &'static str, limit: &'static str, max: usize, value: usize) -> Error {
    Invalid::over(what, limit, max as u64, value as u64).into()
}

#[async_trait]
impl Bug for Counts {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let max = self.0.limits().bytes_per_event;
        let sizes = append.events().map(|(_, event)| (self.1.event)(event));
        match sizes.filter(|size| *size > max).max() {
            Some(size) => Err(over("event", "bytes per event", max, size)),
            None => honest.append(append).await,
        }
    }

    async fn save_snapshot(&self, honest: &MemoryStore, snapshot: Snapshot) -> Result<(), Error> {
        let (max, size) = (self.0.limits().bytes_per_snapshot, (self.1.snapshot)(&snapshot));
        if size > max {
            return Err(over("snapshot", "bytes per snapshot", max, size));
        }
        honest.save_snapshot(snapshot).await
    }

    fn capabilities<'a>(&'a self, _: &'a MemoryStore) -> &'a Capabilities {
        &self.0
    }
}

struct FirstChunkWritten;

#[async_trait]
impl Bug for FirstChunkWritten {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let limit = honest.capabilities().limits().events_per_append;
        if append.event_count() > limit {
            let first = edit_writes(&append, |write| write.events.truncate(100));
            honest.append(first).await?;
        }
        honest.append(append).await
    }
}

/// Looks at the first of the checks and at the first of the conditions.
struct FirstAlone;

#[async_trait]
impl Bug for FirstAlone {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        honest.capabilities().limits().check_append(&append)?;
        let mut kept = keep(&append, false, false);
        if let Some(check) = append.checks().first() {
            kept = kept.check(&check.stream, check.expected);
        }
        if let Some(condition) = append.conditions().first() {
            kept = kept.condition(condition.query.clone(), condition.after);
        }
        honest.append(kept).await
    }
}
