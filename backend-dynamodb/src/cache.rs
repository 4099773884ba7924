//! Batches that were read, for those who read them again: subscriptions follow one another.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::batch::Batch;

/// A bounded number of bytes of batches. The oldest that was put in goes first.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    bytes: usize,
    batches: HashMap<u64, Arc<Batch>>,
    order: VecDeque<u64>,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, batches: HashMap::new(), order: VecDeque::new() }
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Arc<Batch>> {
        self.batches.get(&number)
    }

    pub(crate) fn insert(&mut self, batch: Arc<Batch>) {
        let (number, bytes) = (batch.number, batch.bytes);
        if bytes > self.bytes_max || self.batches.insert(number, batch).is_some() {
            return;
        }
        self.bytes += bytes;
        self.order.push_back(number);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.order.pop_front() else { return };
            self.bytes -= self.batches.remove(&oldest).map_or(0, |batch| batch.bytes);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.bytes_max);
    }
}
