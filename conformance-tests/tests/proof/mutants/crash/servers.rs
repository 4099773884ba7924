//! Servers that lose, tear or forget when they are killed.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use annalist_core::{
    Append, Checkpoint, CheckpointName, CheckpointStore, Error, ErrorKind, EventId, EventStore,
    ExpectedVersion, Owner, Position, Receipt, RecordedEvent, Snapshot, SnapshotSchema, SnapshotStore,
    StreamId, Version,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::{Broken, Bug};
use crate::edit::edit_writes;
use crate::look::log_of;
use crate::mutants::Mutant;
use crate::remote::Base;
use crate::served::{Fate, with_fate};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "acknowledged_before_durable",
        guarantee: "A8",
        twin: "`synchronous_commit = off`, `acks=1`, an fsync every second",
        expected: &["crash.server_kill_durable", "crash.server_kill_intact"],
        make: || with_fate(|| Arc::new(LosesTheLast)),
    },
    Mutant {
        name: "half_of_an_append_survives",
        guarantee: "A1",
        twin: "a batch as several records of a log, replayed up to where it ends",
        expected: &["crash.server_kill_intact"],
        make: || with_fate(|| Arc::new(Tears)),
    },
    Mutant {
        name: "positions_counted_anew_by_each_start",
        guarantee: "G1",
        twin: "a log that is put together from the streams when the server starts",
        expected: &["crash.server_kill_intact", "crash.server_kill_subscription"],
        make: || with_fate(|| Arc::new(Renumbers)),
    },
    Mutant {
        name: "ids_remembered_in_memory",
        guarantee: "I1",
        twin: "a window of recent ids, as of an idempotent producer, in a server that is killed",
        expected: &["crash.server_kill_retry"],
        make: || with_fate(|| Forgetful::of(Memory::Ids)),
    },
    Mutant {
        name: "snapshots_lost_with_the_server",
        guarantee: "N4",
        twin: "snapshots in an unlogged table, or in a cache",
        expected: &["crash.server_kill_snapshots"],
        make: || with_fate(|| Forgetful::of(Memory::Snapshots)),
    },
    Mutant {
        name: "fences_lost_with_the_server",
        guarantee: "S5",
        twin: "owners in the memory of a coordinator",
        expected: &["crash.server_kill_checkpoints"],
        make: || with_fate(|| Forgetful::of(Memory::Fences)),
    },
    Mutant {
        name: "acknowledged_before_flushed",
        guarantee: "A8",
        twin: "`synchronous = NORMAL` in WAL mode, `fsync = off`, a flush every other minute",
        expected: &["crash.power_loss"],
        make: || with_fate(|| Arc::new(Unflushed)),
    },
    Mutant {
        name: "snapshots_never_flushed",
        guarantee: "N4",
        twin: "snapshots in files that are written and renamed",
        expected: &["crash.power_loss"],
        make: || with_fate(|| Arc::new(Powerless(Forgetful::new(Memory::Snapshots)))),
    },
    Mutant {
        name: "checkpoints_never_flushed",
        guarantee: "S5",
        twin: "places in a cache that is written out now and then",
        expected: &["crash.power_loss"],
        make: || with_fate(|| Arc::new(Powerless(Forgetful::new(Memory::Places)))),
    },
    Mutant {
        name: "server_that_nobody_kills",
        guarantee: "A8",
        twin: "a harness whose kill does nothing: another container, another process of the same name",
        expected: &[
            "crash.server_kill_durable",
            "crash.server_kill_intact",
            "crash.server_kill_subscription",
            "crash.server_kill_retry",
            "crash.server_kill_snapshots",
            "crash.server_kill_checkpoints",
            "crash.server_pause",
        ],
        make: || with_fate(|| Arc::new(Immortal)),
    },
];

/// What a kill leaves of the log, restored without its last `lost` events.
async fn lose(honest: &MemoryStore, lost: usize) {
    let log = log_of(honest).await.expect("the log can be read");
    let kept = log.len().checked_sub(lost + 1).map_or(Position::START, |last| log[last].position());
    honest.restore_to(kept).expect("the log holds its own position");
}

struct LosesTheLast;

#[async_trait]
impl Fate for LosesTheLast {
    async fn killed(&self, honest: &MemoryStore) {
        lose(honest, 3).await;
    }
}

/// The same, where a kill loses nothing: only the power.
struct Unflushed;

#[async_trait]
impl Fate for Unflushed {
    async fn cut(&self, honest: &MemoryStore) {
        lose(honest, 3).await;
    }
}

/// Forgets at a power cut what another forgets when it is killed.
struct Powerless(Forgetful);

#[async_trait]
impl Fate for Powerless {
    fn base(&self, honest: MemoryStore) -> Base {
        self.0.base(honest)
    }

    async fn cut(&self, honest: &MemoryStore) {
        self.0.killed(honest).await;
    }
}

/// Loses the last event of an append of several.
struct Tears;

#[async_trait]
impl Fate for Tears {
    async fn killed(&self, honest: &MemoryStore) {
        lose(honest, 1).await;
    }
}

/// Puts the log together again, stream by stream.
struct Renumbers;

#[async_trait]
impl Fate for Renumbers {
    async fn killed(&self, honest: &MemoryStore) {
        let mut streams = BTreeMap::<StreamId, Vec<RecordedEvent>>::new();
        for event in log_of(honest).await.expect("the log can be read") {
            streams.entry(event.stream().clone()).or_default().push(event);
        }
        honest.restore_to(Position::START).expect("the beginning is in every log");
        for (stream, events) in streams {
            for event in events {
                let again = Append::to(&stream, ExpectedVersion::Any, [event.event().clone()]);
                honest.append(again).await.expect("what was appended once can be appended again");
            }
        }
    }
}

struct Immortal;

impl Fate for Immortal {
    fn is_mortal(&self) -> bool {
        false
    }
}

/// What a server has in its memory only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    Ids,
    Snapshots,
    Fences,
    Places,
}

struct Forgetful {
    what: Memory,
    known: Arc<Known>,
}

/// What the server knows since it was started.
#[derive(Default)]
struct Known {
    ids: Mutex<HashSet<EventId>>,
    snapshots: Mutex<HashSet<Version>>,
    killed: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Forgetful {
    fn new(what: Memory) -> Self {
        Self { what, known: Arc::default() }
    }

    fn of(what: Memory) -> Arc<dyn Fate> {
        Arc::new(Self::new(what))
    }
}

#[async_trait]
impl Fate for Forgetful {
    fn base(&self, honest: MemoryStore) -> Base {
        let known = self.known.clone();
        Base::of(match self.what {
            Memory::Ids => Broken::new(honest, Arc::new(RemembersIds(known))),
            Memory::Snapshots => Broken::new(honest, Arc::new(RemembersSnapshots(known))),
            Memory::Fences => Broken::new(honest, Arc::new(RemembersFences(known))),
            Memory::Places => Broken::new(honest, Arc::new(RemembersPlaces(known))),
        })
    }

    async fn killed(&self, _: &MemoryStore) {
        lock(&self.known.ids).clear();
        lock(&self.known.snapshots).clear();
        self.known.killed.store(true, Ordering::SeqCst);
    }
}

struct RemembersIds(Arc<Known>);

#[async_trait]
impl Bug for RemembersIds {
    /// What is not remembered is taken for new.
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let known = append.events().any(|(_, event)| lock(&self.0.ids).contains(&event.id()));
        lock(&self.0.ids).extend(append.events().map(|(_, event)| event.id()));
        if known || !self.0.killed.load(Ordering::SeqCst) {
            return honest.append(append).await;
        }
        let renamed = edit_writes(&append, |write| {
            write.events = write.events.iter().map(|event| event.clone().with_id(EventId::new())).collect();
        });
        honest.append(renamed).await
    }
}

struct RemembersSnapshots(Arc<Known>);

#[async_trait]
impl Bug for RemembersSnapshots {
    async fn save_snapshot(&self, honest: &MemoryStore, snapshot: Snapshot) -> Result<(), Error> {
        lock(&self.0.snapshots).insert(snapshot.version);
        honest.save_snapshot(snapshot).await
    }

    async fn load_snapshot(
        &self,
        honest: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        let found = honest.load_snapshot(stream, schema, at_most).await?;
        Ok(found.filter(|snapshot| lock(&self.0.snapshots).contains(&snapshot.version)))
    }
}

struct RemembersFences(Arc<Known>);

#[async_trait]
impl Bug for RemembersFences {
    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        let answer = honest.save_checkpoint(owner, position).await;
        let fenced = |error: &Error| matches!(error.kind(), ErrorKind::Fenced(_));
        if self.0.killed.load(Ordering::SeqCst) && answer.as_ref().is_err_and(fenced) {
            Ok(())
        } else {
            answer
        }
    }
}

struct RemembersPlaces(Arc<Known>);

#[async_trait]
impl Bug for RemembersPlaces {
    async fn load_checkpoint(
        &self,
        honest: &MemoryStore,
        name: &CheckpointName,
    ) -> Result<Option<Checkpoint>, Error> {
        if self.0.killed.load(Ordering::SeqCst) { Ok(None) } else { honest.load_checkpoint(name).await }
    }
}
