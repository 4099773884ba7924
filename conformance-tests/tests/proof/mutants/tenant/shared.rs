//! What all namespaces share that each should have for itself: ids, versions, conditions, snapshots, checkpoints.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use annalist_core::{
    Append, CheckpointName, CheckpointStore, Claim, Conflict, Error, EventStore, ExpectedVersion, Fenced,
    IdReused, Owner, Position, Query, Read, Receipt, Snapshot, SnapshotSchema, SnapshotStore, StreamId,
    Version, backend,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::super::Mutant;
use crate::bug::Bug;
use crate::edit_read::drained;
use crate::world::{World, everywhere};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "ids_unique_in_the_database",
        guarantee: "I2",
        twin: "UNIQUE (event_id) without the namespace",
        expected: &["tenant.ids"],
        make: || AllNamespaces::world(What::Ids),
    },
    Mutant {
        name: "versions_unique_in_the_database",
        guarantee: "A3",
        twin: "UNIQUE (stream, version) without the namespace",
        expected: &["tenant.versions", "tenant.prefix_names"],
        make: || AllNamespaces::world(What::Versions),
    },
    Mutant {
        name: "conditions_on_the_database",
        guarantee: "A3",
        twin: "NOT EXISTS without the predicate for the namespace",
        expected: &["tenant.conditions"],
        make: || AllNamespaces::world(What::Conditions),
    },
    Mutant {
        name: "snapshots_of_the_database",
        guarantee: "N1",
        twin: "a table of snapshots without the namespace in its key",
        expected: &["tenant.snapshots"],
        make: || everywhere(SharedSnapshots(MemoryStore::new())),
    },
    Mutant {
        name: "checkpoints_of_the_database",
        guarantee: "S5",
        twin: "a table of epochs without the namespace in its key",
        expected: &["tenant.checkpoints"],
        make: || everywhere(SharedEpochs::default()),
    },
];

#[derive(Clone, Copy)]
enum What {
    Ids,
    Versions,
    Conditions,
}

/// Looks at all namespaces where it should look at one.
struct AllNamespaces {
    what: What,
    stores: Arc<Mutex<HashMap<String, MemoryStore>>>,
}

impl AllNamespaces {
    fn world(what: What) -> Arc<dyn World> {
        Arc::new(Self { what, stores: Arc::default() })
    }
}

impl World for AllNamespaces {
    fn bug(&self, namespace: &str) -> Arc<dyn Bug> {
        Arc::new(LooksAtAll { what: self.what, namespace: namespace.to_owned(), stores: self.stores.clone() })
    }
}

struct LooksAtAll {
    what: What,
    namespace: String,
    stores: Arc<Mutex<HashMap<String, MemoryStore>>>,
}

impl LooksAtAll {
    /// The stores of the other namespaces that were written.
    fn others(&self, honest: &MemoryStore) -> Vec<MemoryStore> {
        let mut stores = self.stores.lock().expect("nothing panics here");
        stores.entry(self.namespace.clone()).or_insert_with(|| honest.clone());
        stores.iter().filter(|(name, _)| **name != self.namespace).map(|(_, store)| store.clone()).collect()
    }

    async fn refusal(&self, other: &MemoryStore, append: &Append) -> Result<Option<Error>, Error> {
        let (log, _, _) = drained(other, Read::log(Query::all())).await?;
        Ok(match self.what {
            What::Ids => append.events().find_map(|(stream, event)| {
                let known = log.iter().find(|stored| stored.id() == event.id())?;
                Some(IdReused::new(event.id(), stream.clone(), known.version()).into())
            }),
            What::Versions => append.writes().iter().find_map(|write| {
                let versions = log.iter().filter(|stored| *stored.stream() == write.stream);
                let actual =
                    versions.map(annalist_core::RecordedEvent::version).max().unwrap_or(Version::NONE);
                let (stream, expected) = (write.stream.clone(), write.expected);
                let taken = matches!(expected, ExpectedVersion::NoStream) && actual > Version::NONE;
                taken.then(|| Conflict::Version { stream, expected, actual }.into())
            }),
            What::Conditions => append.conditions().iter().enumerate().find_map(|(index, condition)| {
                let matching = log.iter().find(|stored| condition.query.matches_recorded(stored))?;
                Some(Conflict::Condition { index, matched: matching.position() }.into())
            }),
        })
    }
}

#[async_trait]
impl Bug for LooksAtAll {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        for other in self.others(honest) {
            if let Some(refusal) = self.refusal(&other, &append).await? {
                return Err(refusal);
            }
        }
        honest.append(append).await
    }
}

/// Keeps the snapshots of all namespaces in one place.
struct SharedSnapshots(MemoryStore);

#[async_trait]
impl Bug for SharedSnapshots {
    async fn save_snapshot(&self, _: &MemoryStore, snapshot: Snapshot) -> Result<(), Error> {
        self.0.save_snapshot(snapshot).await
    }

    async fn load_snapshot(
        &self,
        _: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        at_most: Version,
    ) -> Result<Option<Snapshot>, Error> {
        self.0.load_snapshot(stream, schema, at_most).await
    }

    async fn prune_snapshots(
        &self,
        _: &MemoryStore,
        stream: &StreamId,
        schema: &SnapshotSchema,
        keep: usize,
    ) -> Result<(), Error> {
        self.0.prune_snapshots(stream, schema, keep).await
    }
}

/// Counts the claims of all namespaces together, so that one fences the other.
#[derive(Default)]
struct SharedEpochs(Mutex<HashMap<CheckpointName, u64>>);

impl SharedEpochs {
    fn epochs(&self) -> MutexGuard<'_, HashMap<CheckpointName, u64>> {
        self.0.lock().expect("nothing panics here")
    }
}

#[async_trait]
impl Bug for SharedEpochs {
    async fn claim_checkpoint(&self, honest: &MemoryStore, name: &CheckpointName) -> Result<Claim, Error> {
        let checkpoint = honest.load_checkpoint(name).await?;
        let mut epochs = self.epochs();
        let epoch = epochs.entry(name.clone()).or_default();
        *epoch += 1;
        Ok(backend::claim(backend::owner(name.clone(), *epoch), checkpoint))
    }

    async fn save_checkpoint(
        &self,
        honest: &MemoryStore,
        owner: &Owner,
        position: Position,
    ) -> Result<(), Error> {
        let current = self.epochs().get(owner.name()).copied().unwrap_or(0);
        if owner.epoch() != current {
            return Err(Fenced::new(owner.name().clone(), owner.epoch(), current).into());
        }
        let honest_owner = honest.claim_checkpoint(owner.name()).await?.owner;
        honest.save_checkpoint(&honest_owner, position).await
    }
}
