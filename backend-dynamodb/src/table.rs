//! What is asked of a table: eight requests, each sent once. The one seam between the store and the service.

use std::collections::HashMap;
use std::fmt;

use annalist_core::{Error, ErrorKind};
use async_trait::async_trait;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use uuid::Uuid;

/// The partition key's name in the table.
#[doc(hidden)]
pub const PARTITION: &str = "pk";
/// The sort key's name in the table.
#[doc(hidden)]
pub const SORT: &str = "sk";

/// Where an item stands.
#[doc(hidden)]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "testing", expect(clippy::exhaustive_structs, reason = "the key schema of the table"))]
pub struct Key {
    pub partition: String,
    pub sort: String,
}

/// The attributes of an item beside its key.
#[doc(hidden)]
pub type Attributes = HashMap<String, AttributeValue>;

/// An item of the table.
#[doc(hidden)]
#[derive(Clone, PartialEq)]
#[cfg_attr(feature = "testing", expect(clippy::exhaustive_structs, reason = "a key and all else"))]
pub struct Item {
    pub key: Key,
    pub attributes: Attributes,
}

impl fmt::Debug for Item {
    /// The key alone: attributes hold payloads (E2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Item {
    pub(crate) fn new(key: Key) -> Self {
        Self { key, attributes: Attributes::new() }
    }

    fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.attributes.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn number(self, name: &str, number: u64) -> Self {
        self.with(name, AttributeValue::N(number.to_string()))
    }

    pub(crate) fn text(self, name: &str, text: impl Into<String>) -> Self {
        self.with(name, AttributeValue::S(text.into()))
    }

    pub(crate) fn bytes(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.with(name, AttributeValue::B(Blob::new(bytes.into())))
    }

    pub(crate) fn id(self, name: &str, id: Uuid) -> Self {
        self.bytes(name, *id.as_bytes())
    }

    fn corrupt(&self, name: &str) -> Error {
        ErrorKind::Corrupt(format!(
            "the item {:?} has no attribute `{name}` that can be understood",
            self.key
        ))
        .into()
    }

    pub(crate) fn get_number(&self, name: &str) -> Result<u64, Error> {
        let value = self.attributes.get(name).and_then(|value| value.as_n().ok());
        value.and_then(|text| text.parse().ok()).ok_or_else(|| self.corrupt(name))
    }

    pub(crate) fn get_small(&self, name: &str) -> Result<u32, Error> {
        u32::try_from(self.get_number(name)?).map_err(|_| self.corrupt(name))
    }

    pub(crate) fn get_text(&self, name: &str) -> Result<&str, Error> {
        let value = self.attributes.get(name).and_then(|value| value.as_s().ok());
        value.map(String::as_str).ok_or_else(|| self.corrupt(name))
    }

    pub(crate) fn get_id(&self, name: &str) -> Result<Uuid, Error> {
        let value = self.attributes.get(name).and_then(|value| value.as_b().ok());
        value.and_then(|bytes| Uuid::from_slice(bytes.as_ref()).ok()).ok_or_else(|| self.corrupt(name))
    }

    /// Takes the bytes out, so that they are not copied.
    pub(crate) fn take_bytes(&mut self, name: &str) -> Result<Bytes, Error> {
        match self.attributes.remove(name) {
            Some(AttributeValue::B(blob)) => Ok(blob.into_inner().into()),
            _ => Err(self.corrupt(name)),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }
}

/// On what a put depends. Both parts must hold; without any, the item must be absent.
#[doc(hidden)]
#[derive(Clone, PartialEq, Debug, Default)]
#[cfg_attr(feature = "testing", expect(clippy::exhaustive_structs, reason = "what is needed and no more"))]
pub struct Condition {
    /// This attribute has this value.
    pub equal: Option<(&'static str, AttributeValue)>,
    /// This attribute is absent or below this value.
    pub below: Option<(&'static str, AttributeValue)>,
}

impl Condition {
    pub(crate) const ABSENT: Self = Self { equal: None, below: None };
}

/// A part of a partition, in the order of sort keys.
#[doc(hidden)]
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "testing", expect(clippy::exhaustive_structs, reason = "what is needed and no more"))]
pub struct Range {
    pub partition: String,
    /// The lowest and the highest sort key meant.
    pub low: String,
    pub high: String,
    pub descending: bool,
    /// How many items are looked at.
    pub limit: Option<u32>,
    /// Whether the keys are enough.
    pub keys_only: bool,
}

/// A part of an answer that the service cut off, and where to go on.
#[doc(hidden)]
#[derive(Debug)]
#[cfg_attr(feature = "testing", expect(clippy::exhaustive_structs, reason = "what is needed and no more"))]
pub struct Found {
    pub items: Vec<Item>,
    /// The sort key of the last item looked at, where there may be more.
    pub last: Option<String>,
}

/// What is known of a request that failed.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "testing", expect(clippy::exhaustive_enums, reason = "one or the other"))]
pub enum Fate {
    /// Certainly nothing of it was done, nor will be.
    NotDone,
    /// It may have been done, or may yet be.
    Unknown,
}

/// Why a request was not answered.
#[doc(hidden)]
#[derive(Clone, Debug)]
#[cfg_attr(feature = "testing", expect(clippy::exhaustive_structs, reason = "what is needed and no more"))]
pub struct Failure {
    pub fate: Fate,
    /// As a caller would be told who does not try again.
    pub error: Error,
}

impl Failure {
    /// Whether another try may be answered.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.error.kind(), ErrorKind::Unavailable(_) | ErrorKind::Indeterminate(_))
    }
}

/// The requests. All reads are strongly consistent. No implementation tries again: that is decided by who asks.
#[doc(hidden)]
#[async_trait]
pub trait Table: Send + Sync + fmt::Debug + 'static {
    /// Up to a hundred items by their keys, and the keys that were left for another time.
    async fn get(&self, keys: &[Key]) -> Result<(Vec<Item>, Vec<Key>), Failure>;

    /// The items of a range.
    async fn query(&self, range: &Range) -> Result<Found, Failure>;

    /// Puts an item if the condition holds, else gives what stands in its place.
    async fn put_if(&self, item: &Item, condition: &Condition) -> Result<Result<(), Option<Item>>, Failure>;

    /// Puts an item.
    async fn put(&self, item: &Item) -> Result<(), Failure>;

    /// Puts up to 25 items; gives those that were left for another time.
    async fn put_all(&self, items: &[Item]) -> Result<Vec<Item>, Failure>;

    /// Deletes up to 25 items; gives the keys that were left for another time.
    async fn delete_all(&self, keys: &[Key]) -> Result<Vec<Key>, Failure>;

    /// The keys of some items whose partition keys begin so, from behind another key on, and where to go on if that is not all.
    async fn scan(&self, prefix: &str, after: Option<&Key>) -> Result<(Vec<Key>, Option<Key>), Failure>;

    /// Makes the table, unless it is there, and sees to it that it can be used.
    async fn create(&self) -> Result<(), Failure>;
}
