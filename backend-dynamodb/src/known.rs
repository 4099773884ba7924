//! A bounded memory of what was looked up.

use std::hash::Hash;

use hashbrown::HashMap;

/// A map that forgets what was not put into it for the longest time. It has two halves: the new one becomes the old one when it is full.
#[derive(Debug)]
pub(crate) struct Known<K, V> {
    half_max: usize,
    new: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq, V> Known<K, V> {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { half_max: (entries_max / 2).max(1), new: HashMap::new(), old: HashMap::new() }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.new.get(key).or_else(|| self.old.get(key))
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.new.len() >= self.half_max {
            self.old = std::mem::take(&mut self.new);
        }
        self.old.remove(&key);
        self.new.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.new.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_no_more_than_may_be() {
        let mut known = Known::new(10);
        for n in 0..1_000 {
            known.insert(n, n);
            assert!(known.new.len() + known.old.len() <= 10);
            assert_eq!(known.get(&n), Some(&n));
        }
        assert_eq!(known.get(&996), Some(&996));
        assert_eq!(known.get(&0), None);
        known.insert(999, 7);
        assert_eq!(known.get(&999), Some(&7));
        known.remove(&999);
        assert_eq!(known.get(&999), None);
    }
}
