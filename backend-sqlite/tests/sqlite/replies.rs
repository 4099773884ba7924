//! Replies that come late.

use std::sync::Arc;
use std::time::Duration;

use annalist_core::{Append, Error, EventStore, Receipt};
use annalist_engine::group_commit::{BatchError, BatchWriter};
use annalist_sqlite::SqliteStore;
use async_trait::async_trait;

use crate::support::*;

/// Lets the clock of the runtime go on by a while between what is done and its reply.
struct Late {
    way: Arc<dyn BatchWriter>,
    by: Duration,
}

/// The clock stands while there is one, and goes on to whatever is waited for next; also where the wait is dropped.
struct Standstill;

impl Standstill {
    fn begin() -> Self {
        tokio::time::pause();
        Self
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        tokio::time::resume();
    }
}

#[async_trait]
impl BatchWriter for Late {
    async fn ready(&self) -> Result<(), BatchError> {
        self.way.ready().await
    }

    async fn write(&self, batch: &[Append]) -> Result<Vec<Result<Receipt, Error>>, BatchError> {
        let answers = self.way.write(batch).await;
        let _standstill = Standstill::begin();
        tokio::time::sleep(self.by).await;
        answers
    }
}

/// A batch whose reply did not come within a time that was meant for networks was sent again, and found itself: on a busy disk a fresh append was told that
/// it had been there before. From a thread of the same process every reply comes, so that none counts as lost before its deadline.
#[tokio::test]
async fn a_late_reply_does_not_make_a_fresh_append_a_retry() {
    let place = Place::new();
    let by = 2 * patient().timeout;
    let late = |way| -> Arc<dyn BatchWriter> { Arc::new(Late { way, by }) };
    let store = SqliteStore::open_behind(&place.file, patient(), late).await.unwrap();
    for _ in 0..3 {
        let receipt = store.append(tick("Clock-1").timeout(10 * by)).await.unwrap();
        assert!(!receipt.already_committed());
    }
    assert_eq!(all(&store).await.len(), 3);
}
