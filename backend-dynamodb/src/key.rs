//! Where each item of a namespace stands: its partition key and its sort key.
//!
//! Both are texts that a person can read in the console. Numbers have sixteen hexadecimal digits, so that they sort as they count.

use annalist_core::{CheckpointName, EventId, SnapshotSchema, StreamId, Version};
use uuid::Uuid;

use crate::table::Key;

/// The namespace that a table's keys begin with.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    namespace: String,
}

/// Over so many partition keys batches are spread, each of which bears 1,000 write units a second. A part of the layout.
pub(crate) const SPREAD: u64 = 16;

/// By what events are found beside their stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Mark {
    Category,
    Type,
    Tag,
}

fn digits(number: u64) -> String {
    format!("{number:016x}")
}

impl Keys {
    /// The name must have been checked: it holds no `/`, so that no namespace is the beginning of another.
    pub(crate) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    fn key(&self, room: &str, partition: impl std::fmt::Display, sort: impl Into<String>) -> Key {
        Key { partition: format!("{}/{room}/{partition}", self.namespace), sort: sort.into() }
    }

    fn single(&self, sort: &str) -> Key {
        Key { partition: self.namespace.clone(), sort: sort.to_owned() }
    }

    /// The identity of the log and its layout.
    pub(crate) fn log(&self) -> Key {
        self.single("log")
    }

    /// How far the index is complete.
    pub(crate) fn watermark(&self) -> Key {
        self.single("watermark")
    }

    pub(crate) fn batch(&self, number: u64) -> Key {
        self.key("b", format_args!("{:x}", number % SPREAD), digits(number))
    }

    /// A part of a batch that is too large for one item, on a partition key of its own.
    pub(crate) fn chunk(&self, number: u64, batch: Uuid, index: u64) -> Key {
        let sort = format!("{}/{}/{index:04x}", digits(number), batch.simple());
        self.key("c", format_args!("{:x}", number.wrapping_add(index) % SPREAD), sort)
    }

    /// Where the events of a stream stand that begin with this version.
    pub(crate) fn stream(&self, stream: &StreamId, first: Version) -> Key {
        self.key("s", stream, format!("v{}", digits(first.get())))
    }

    pub(crate) fn id(&self, stream: &StreamId, id: EventId) -> Key {
        self.key("s", stream, format!("i{}", id.as_uuid().simple()))
    }

    /// That events of a batch bear a mark.
    pub(crate) fn place(&self, mark: Mark, name: &str, number: u64) -> Key {
        let room = match mark {
            Mark::Category => "p/c",
            Mark::Type => "p/t",
            Mark::Tag => "p/g",
        };
        self.key(room, name, digits(number))
    }

    pub(crate) fn checkpoint(&self, name: &CheckpointName) -> Key {
        self.key("k", name, "k")
    }

    /// The length keeps apart what two names joined would not.
    pub(crate) fn snapshot(&self, stream: &StreamId, schema: &SnapshotSchema, version: Version) -> Key {
        let names = format_args!("{}/{stream}/{schema}", stream.as_str().len()).to_string();
        self.key("n", names, digits(version.get()))
    }
}

/// What stands under a key, as far as it belongs to the log or to its index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Room {
    Batch(u64),
    /// A part of the batch with this number and id.
    Chunk(u64, Uuid),
    Index,
}

impl Keys {
    /// The beginning of all partition keys but that of the log's own items.
    pub(crate) fn prefix(&self) -> String {
        format!("{}/", self.namespace)
    }

    /// `None` for what has nothing to do with the log, and for other namespaces.
    pub(crate) fn room(&self, key: &Key) -> Option<Room> {
        let (room, _) = key.partition.strip_prefix(&self.prefix())?.split_once('/')?;
        match room {
            "b" => number_of(&key.sort).map(Room::Batch),
            "c" => {
                let (number, rest) = key.sort.split_once('/')?;
                let (id, _) = rest.split_once('/')?;
                Some(Room::Chunk(number_of(number)?, Uuid::try_parse(id).ok()?))
            }
            "s" | "p" => Some(Room::Index),
            _ => None,
        }
    }
}

/// The number at the end of a sort key, or after its first letter.
pub(crate) fn number_of(sort: &str) -> Option<u64> {
    let digits = sort.strip_prefix('v').unwrap_or(sort);
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_batches_stand_on_different_partitions() {
        let keys = Keys::new("shop");
        let partitions: std::collections::HashSet<String> =
            (1..=SPREAD).map(|number| keys.batch(number).partition).collect();
        assert_eq!(partitions.len() as u64, SPREAD);
        assert_eq!(keys.batch(1).partition, keys.batch(1 + SPREAD).partition);
        assert_eq!(number_of(&keys.batch(77).sort), Some(77));
    }

    #[test]
    fn a_key_tells_its_room() {
        let (keys, id) = (Keys::new("shop"), Uuid::now_v7());
        let stream = StreamId::new("Order-7").expect("a name");
        assert_eq!(keys.room(&keys.batch(77)), Some(Room::Batch(77)));
        assert_eq!(keys.room(&keys.chunk(77, id, 3)), Some(Room::Chunk(77, id)));
        assert_eq!(keys.room(&keys.stream(&stream, Version::FIRST)), Some(Room::Index));
        assert_eq!(keys.room(&keys.place(Mark::Tag, "a/b", 1)), Some(Room::Index));
        let schema = SnapshotSchema::new("s").expect("a name");
        for other in [keys.log(), keys.watermark(), keys.snapshot(&stream, &schema, Version::FIRST)] {
            assert_eq!(keys.room(&other), None);
        }
        assert_eq!(keys.room(&Keys::new("shop2").batch(1)), None);
    }

    #[test]
    fn names_are_kept_apart() {
        let keys = Keys::new("shop");
        let stream = |name: &str| StreamId::new(name).expect("a name");
        let schema = |name: &str| SnapshotSchema::new(name).expect("a name");
        let one = keys.snapshot(&stream("a/b"), &schema("c"), Version::FIRST);
        assert_ne!(one, keys.snapshot(&stream("a"), &schema("b/c"), Version::FIRST));
        assert_ne!(keys.place(Mark::Type, "x", 1), keys.place(Mark::Tag, "x", 1));
        assert_ne!(
            keys.stream(&stream("a"), Version::FIRST),
            Keys::new("sho").stream(&stream("p/s/a"), Version::FIRST)
        );
    }
}
