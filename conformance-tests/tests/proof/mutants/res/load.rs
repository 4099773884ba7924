//! Pools that are too small for what is taken from them.

use std::sync::Arc;

use annalist_core::{Append, Error, EventStore, Page, Read, Receipt, Signal, Subscribe, Subscription};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bug::Bug;
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "second_connection_while_holding_one",
        guarantee: "C2",
        twin: "an append that reads through the pool inside its transaction",
        expected: &["res.pool_exhaustion"],
        make: || each_handle(|| TakesTwo(Semaphore::new(4))),
    },
    Mutant {
        name: "connection_for_each_subscription",
        guarantee: "C2",
        twin: "a listener for each subscription, out of the pool",
        expected: &["res.subs_vs_pool"],
        make: || each_handle(|| OneEach(Arc::new(Semaphore::new(16)))),
    },
];

struct TakesTwo(Semaphore);

#[async_trait]
impl Bug for TakesTwo {
    async fn append(&self, honest: &MemoryStore, append: Append) -> Result<Receipt, Error> {
        let first = self.0.acquire().await;
        tokio::task::yield_now().await;
        let second = self.0.acquire().await;
        let answer = honest.append(append).await;
        drop((first, second));
        answer
    }
}

struct OneEach(Arc<Semaphore>);

/// A subscription, and what it keeps others from.
struct Holding {
    subscription: Box<dyn Subscription>,
    permit: Option<OwnedSemaphorePermit>,
}

#[async_trait]
impl Subscription for Holding {
    async fn next(&mut self) -> Option<Result<Signal, Error>> {
        self.subscription.next().await
    }

    async fn stop(&mut self) {
        self.permit = None;
        self.subscription.stop().await;
    }
}

#[async_trait]
impl Bug for OneEach {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let _permit = self.0.acquire().await;
        honest.read(read).await
    }

    async fn subscribe(
        &self,
        honest: &MemoryStore,
        _: Arc<dyn EventStore>,
        subscribe: Subscribe,
    ) -> Result<Box<dyn Subscription>, Error> {
        let permit = self.0.clone().acquire_owned().await.ok();
        Ok(Box::new(Holding { subscription: honest.subscribe(subscribe).await?, permit }))
    }
}
