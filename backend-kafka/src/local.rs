//! The local store: tables of keys and values in the order of the keys, on disk or in memory.
//!
//! All that is in it can be made again from the topic. What belongs together is written together ([`Local::apply`]), the offset up to which it stands for
//! the log with it; nothing is flushed for a power cut, after which an earlier state is taken up, or none.

mod disk;
mod memory;

use std::ops::ControlFlow;
use std::path::Path;

use annalist_core::{Error, ErrorKind};
use bytes::Bytes;

use disk::Disk;
use memory::Memory;

/// What is kept, each under keys of its own; [`keys`](crate::keys) has their layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Table {
    /// How far the log has been applied.
    State,
    /// The accepted events of each record, by its offset.
    Records,
    /// The events of each stream by version, whole, so that reading a stream touches nothing else.
    Events,
    /// The version that an event id has in a stream.
    Ids,
    /// The version of each stream.
    Heads,
    /// The offsets of the records in which a category, type or tag occurs.
    Terms,
    Snapshots,
    Checkpoints,
    /// The last number of each writer.
    Writers,
}

impl Table {
    const ALL: [Self; 9] = [
        Self::State,
        Self::Records,
        Self::Events,
        Self::Ids,
        Self::Heads,
        Self::Terms,
        Self::Snapshots,
        Self::Checkpoints,
        Self::Writers,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Records => "records",
            Self::Events => "events",
            Self::Ids => "ids",
            Self::Heads => "heads",
            Self::Terms => "terms",
            Self::Snapshots => "snapshots",
            Self::Checkpoints => "checkpoints",
            Self::Writers => "writers",
        }
    }
}

/// What a scan shows its keys and values to.
pub(crate) type See<'a> = &'a mut dyn FnMut(&[u8], Bytes) -> Result<ControlFlow<()>, Error>;

/// What is written at once. `None` removes a key.
#[derive(Debug, Default)]
pub(crate) struct Changes(Vec<(Table, Vec<u8>, Option<Vec<u8>>)>);

impl Changes {
    pub(crate) fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.0.push((table, key, Some(value)));
    }

    pub(crate) fn remove(&mut self, table: Table, key: Vec<u8>) {
        self.0.push((table, key, None));
    }
}

/// The way in which a scan goes through its keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Up,
    Down,
}

#[derive(Debug)]
pub(crate) enum Local {
    Memory(Box<Memory>),
    Disk(Box<Disk>),
}

impl Local {
    /// One that ends with its handle.
    pub(crate) fn in_memory() -> Self {
        Self::Memory(Box::default())
    }

    /// The one in a folder; one that cannot be understood is made anew.
    pub(crate) fn in_folder(folder: &Path, cache_bytes: u64) -> Result<Self, Error> {
        Ok(Self::Disk(Box::new(Disk::open(folder, cache_bytes)?)))
    }

    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Memory(memory) => Ok(memory.get(table, key)),
            Self::Disk(disk) => disk.get(table, key),
        }
    }

    /// Shows each key from `from` on and before `to`, with its value, until `see` breaks.
    pub(crate) fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        way: Way,
        see: See<'_>,
    ) -> Result<(), Error> {
        if from >= to {
            return Ok(());
        }
        match self {
            Self::Memory(memory) => memory.scan(table, from, to, way, see),
            Self::Disk(disk) => disk.scan(table, from, to, way, see),
        }
    }

    /// The first key that a scan would show.
    pub(crate) fn first(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        way: Way,
    ) -> Result<Option<(Vec<u8>, Bytes)>, Error> {
        let mut found = None;
        self.scan(table, from, to, way, &mut |key, value| {
            found = Some((key.to_vec(), value));
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Writes all of it, or none.
    pub(crate) fn apply(&self, changes: Changes) -> Result<(), Error> {
        match self {
            Self::Memory(memory) => {
                memory.apply(changes.0);
                Ok(())
            }
            Self::Disk(disk) => disk.apply(changes.0),
        }
    }

    /// Says that nothing of it may be taken up again.
    pub(crate) fn condemn(&self) {
        if let Self::Disk(disk) = self {
            disk.condemn();
        }
    }
}

pub(crate) fn damaged(error: fjall::Error) -> Error {
    Error::new(ErrorKind::Corrupt("the local store cannot be read or written".to_owned())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(local: &Local, from: &[u8], to: &[u8], way: Way) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        local
            .scan(Table::Events, from, to, way, &mut |key, value| {
                assert_eq!(key, value);
                keys.push(key.to_vec());
                Ok(ControlFlow::Continue(()))
            })
            .expect("a scan");
        keys
    }

    fn holds_keys_in_order(local: &Local) {
        let mut changes = Changes::default();
        for key in [&b"b"[..], b"a", b"ab", b"c"] {
            changes.put(Table::Events, key.to_vec(), key.to_vec());
        }
        changes.put(Table::Ids, b"b".to_vec(), b"another table".to_vec());
        local.apply(changes).expect("applied");
        assert_eq!(keys(local, b"a", b"c", Way::Up), [&b"a"[..], b"ab", b"b"]);
        assert_eq!(keys(local, b"aa", b"z", Way::Down), [&b"c"[..], b"b", b"ab"]);
        assert_eq!(keys(local, b"c", b"a", Way::Up), Vec::<Vec<u8>>::new());
        assert_eq!(
            local.first(Table::Events, b"aa", b"z", Way::Up).expect("a scan"),
            Some((b"ab".to_vec(), Bytes::from_static(b"ab")))
        );
        let mut changes = Changes::default();
        changes.remove(Table::Events, b"ab".to_vec());
        local.apply(changes).expect("applied");
        assert_eq!(local.get(Table::Events, b"ab").expect("a look"), None);
        assert_eq!(local.get(Table::Events, b"b").expect("a look"), Some(Bytes::from_static(b"b")));
    }

    #[test]
    fn both_kinds_hold_keys_in_order() {
        holds_keys_in_order(&Local::in_memory());
        let folder = tempfile::tempdir().expect("a folder");
        holds_keys_in_order(&Local::in_folder(folder.path(), 1 << 20).expect("a store"));
        let again = Local::in_folder(folder.path(), 1 << 20).expect("the same store");
        assert_eq!(keys(&again, b"a", b"z", Way::Up), [&b"a"[..], b"b", b"c"]);
        let second = Local::in_folder(folder.path(), 1 << 20).expect_err("it is open already");
        assert!(matches!(second.kind(), ErrorKind::Misconfigured(_)), "{second}");
        again.condemn();
        drop(again);
        let anew = Local::in_folder(folder.path(), 1 << 20).expect("another store");
        assert_eq!(keys(&anew, b"a", b"z", Way::Up), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_folder_that_cannot_be_understood_is_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(Local::in_folder(folder.path(), 1 << 20).expect("a store"));
        for entry in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
            if entry.file_type().expect("a type").is_file() {
                std::fs::write(entry.path(), b"something else").expect("written");
            }
        }
        let anew = Local::in_folder(folder.path(), 1 << 20).expect("another store");
        assert_eq!(anew.get(Table::State, b"state").expect("a look"), None);
    }
}
