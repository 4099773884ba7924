//! Stores that take their time, or do one thing at a time.

use annalist_core::{
    Append, Checkpoint, CheckpointName, CheckpointStore, Claim, Error, EventStore, Owner, Page, Position,
    Read, Receipt, Snapshot, SnapshotSchema, SnapshotStore, StreamId, Version,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use rand::Rng;
use tokio::sync::Mutex;

use super::Oddball;
use crate::bug::Bug;
use crate::world::{each_database, each_handle};

pub const ODDBALLS: &[Oddball] = &[
    Oddball {
        name: "receipts_take_their_time",
        what: "answers to appends come after other tasks had their turn, once the events can be read",
        make: || each_handle(|| Paced(Pace::Receipts)),
    },
    Oddball {
        name: "everything_takes_its_time",
        what: "every operation lets other tasks have their turn, or waits a little, before and after it is done",
        make: || each_handle(|| Paced(Pace::All)),
    },
    Oddball {
        name: "one_thing_at_a_time",
        what: "all operations of a log, reads too, wait for one another",
        make: || each_database(|| OneAtATime(Mutex::new(()))),
    },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Receipts,
    All,
}

struct Paced(Pace);

/// Lets others have their turn up to five times, and waits a millisecond now and then.
async fn linger() {
    let (turns, waits) = {
        let mut rng = rand::rng();
        (rng.random_range(0..=5), rng.random_ratio(1, 16))
    };
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
    if waits {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

struct OneAtATime(Mutex<()>);

impl Paced {
    async fn after_append(&self) {
        if self.0 == Pace::Receipts {
            linger().await;
        }
    }

    async fn around<T: Send>(&self, operation: impl Future<Output = T> + Send) -> T {
        let all = self.0 == Pace::All;
        if all {
            linger().await;
        }
        let done = operation.await;
        if all {
            linger().await;
        }
        done
    }
}

impl OneAtATime {
    async fn after_append(&self) {}

    async fn around<T: Send>(&self, operation: impl Future<Output = T> + Send) -> T {
        let _turn = self.0.lock().await;
        operation.await
    }
}

/// Every operation, but for waiting, goes through the function `around` of the store, and every append is followed by `after_append`.
macro_rules! around_everything {
    ($store:ty) => {
        #[async_trait]
        impl Bug for $store {
            async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
                let receipt = self.around(honest.append(append)).await;
                self.after_append().await;
                receipt
            }

            async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
                self.around(honest.read(read)).await
            }

            async fn close(&self, honest: &MemoryStore) -> Result<(), Error> {
                self.around(honest.close()).await
            }

            async fn save_snapshot(&self, honest: &MemoryStore, snapshot: Snapshot) -> Result<(), Error> {
                self.around(honest.save_snapshot(snapshot)).await
            }

            async fn load_snapshot(
                &self,
                honest: &MemoryStore,
                stream: &StreamId,
                schema: &SnapshotSchema,
                at_most: Version,
            ) -> Result<Option<Snapshot>, Error> {
                self.around(honest.load_snapshot(stream, schema, at_most)).await
            }

            async fn prune_snapshots(
                &self,
                honest: &MemoryStore,
                stream: &StreamId,
                schema: &SnapshotSchema,
                keep: usize,
            ) -> Result<(), Error> {
                self.around(honest.prune_snapshots(stream, schema, keep)).await
            }

            async fn claim_checkpoint(
                &self,
                honest: &MemoryStore,
                name: &CheckpointName,
            ) -> Result<Claim, Error> {
                self.around(honest.claim_checkpoint(name)).await
            }

            async fn save_checkpoint(
                &self,
                honest: &MemoryStore,
                owner: &Owner,
                position: Position,
            ) -> Result<(), Error> {
                self.around(honest.save_checkpoint(owner, position)).await
            }

            async fn load_checkpoint(
                &self,
                honest: &MemoryStore,
                name: &CheckpointName,
            ) -> Result<Option<Checkpoint>, Error> {
                self.around(honest.load_checkpoint(name)).await
            }

            async fn reset_checkpoint(
                &self,
                honest: &MemoryStore,
                name: &CheckpointName,
                position: Position,
            ) -> Result<Owner, Error> {
                self.around(honest.reset_checkpoint(name, position)).await
            }
        }
    };
}

around_everything!(Paced);
around_everything!(OneAtATime);
