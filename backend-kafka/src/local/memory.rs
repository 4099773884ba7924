//! The local store in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use annalist_core::Error;
use bytes::Bytes;

use super::{See, Table, Way};

type Map = BTreeMap<Vec<u8>, Bytes>;

#[derive(Debug, Default)]
pub(crate) struct Memory([RwLock<Map>; Table::ALL.len()]);

// What panics under one of these locks is a caller's look, which changes nothing.
impl Memory {
    fn table(&self, table: Table) -> &RwLock<Map> {
        &self.0[table as usize]
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Option<Bytes> {
        self.table(table).read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(super) fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        way: Way,
        see: See<'_>,
    ) -> Result<(), Error> {
        let map = self.table(table).read().unwrap_or_else(PoisonError::into_inner);
        let mut range = map.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        loop {
            let entry = match way {
                Way::Up => range.next(),
                Way::Down => range.next_back(),
            };
            let Some((key, value)) = entry else { return Ok(()) };
            if see(key, value.clone())?.is_break() {
                return Ok(());
            }
        }
    }

    pub(super) fn apply(&self, changes: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>) {
        for (table, key, value) in changes {
            let mut map = self.table(table).write().unwrap_or_else(PoisonError::into_inner);
            match value {
                Some(value) => map.insert(key, value.into()),
                None => map.remove(&key),
            };
        }
    }
}
