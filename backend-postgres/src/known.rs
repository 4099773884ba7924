//! What appends have shown of the versions of streams.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use annalist_core::{Append, Receipt, StreamId};

use crate::types::clamped;

/// How many streams are kept at least, and half of how many at most.
const STREAMS_MAX: usize = 8_192;

/// The version that each of the streams had which were written last: with it the server need not look at all versions that stand on a page of
/// its index. No decision rests on it, as it may be old, and too high where a log was restored from a backup.
#[derive(Debug, Default)]
pub(crate) struct KnownVersions(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<StreamId, i64>,
    old: HashMap<StreamId, i64>,
}

impl KnownVersions {
    /// For each write of a batch, in order; 0 where nothing is known.
    pub(crate) fn of(&self, appends: &[Append]) -> Vec<i64> {
        let known = self.generations();
        let of = |stream| known.young.get(stream).or_else(|| known.old.get(stream)).copied().unwrap_or(0);
        appends.iter().flat_map(Append::writes).map(|write| of(&write.stream)).collect()
    }

    pub(crate) fn learn<'r>(&self, receipts: impl Iterator<Item = &'r Receipt>) {
        let mut known = self.generations();
        for written in receipts.flat_map(Receipt::written) {
            known.put(written.stream(), clamped(written.last_version().get()));
        }
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        // Nothing panics while it holds this lock, and what it protects is never half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn put(&mut self, stream: &StreamId, version: i64) {
        if let Some(known) = self.young.get_mut(stream) {
            *known = version;
            return;
        }
        if self.young.len() >= STREAMS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(stream.clone(), version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streams_written_last_are_kept_and_no_more_than_two_generations() {
        let mut known = Generations::default();
        let stream = |n: usize| StreamId::new(format!("S-{n}")).expect("a name");
        (0..3 * STREAMS_MAX).for_each(|n| known.put(&stream(n), 1));
        known.put(&stream(3 * STREAMS_MAX - 1), 2);
        assert_eq!(known.young.get(&stream(3 * STREAMS_MAX - 1)), Some(&2));
        assert_eq!((known.young.len(), known.old.len()), (STREAMS_MAX, STREAMS_MAX));
    }
}
