//! A table in memory that does what the service promises, and no more: items have a size limit, reads are strong, writes may be cut off.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annalist_core::ErrorKind;
use annalist_dynamodb::aws_sdk_dynamodb::types::AttributeValue;
use annalist_dynamodb::testing::{
    Attributes, Condition, Failure, Fate, Found, Item, Key, PARTITION, Range, SORT, Table,
};
use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::sleep;

/// The service's limit of an item, and of the items in one answer to a query.
const ITEM_MAX: usize = 400 * 1024;
const PAGE_MAX: usize = 1024 * 1024;

/// What has been asked of a table, in units of the service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Units {
    pub read: f64,
    pub written: f64,
    /// Puts of batches, and how many of them failed.
    pub log_puts: usize,
    pub in_vain: usize,
    /// By partition key.
    pub heat: BTreeMap<String, f64>,
}

impl Units {
    fn read(&mut self, bytes: usize) {
        self.read += bytes.max(1).div_ceil(4 * 1024) as f64;
    }

    fn wrote(&mut self, key: &Key, bytes: usize) {
        let units = bytes.div_ceil(1024) as f64;
        self.written += units;
        *self.heat.entry(key.partition.clone()).or_default() += units;
    }
}

#[derive(Default)]
struct State {
    items: BTreeMap<Key, Attributes>,
    units: Units,
    /// How many more items are written before everything is lost; `None` where nothing is.
    writes_left: Option<usize>,
}

/// Clones are the same table.
#[derive(Clone, Default)]
pub struct MemoryTable {
    state: Arc<Mutex<State>>,
    /// The shortest and the longest time that a request takes.
    latency: Option<(Duration, Duration)>,
    /// Writes of several items wait until this is so.
    open: Option<watch::Receiver<bool>>,
}

impl fmt::Debug for MemoryTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTable").field("items", &self.state().items.len()).finish_non_exhaustive()
    }
}

fn size_of(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        other => panic!("the store writes no {other:?}"),
    }
}

/// As the service counts: names and values, those of the key included.
fn size(key: &Key, attributes: &Attributes) -> usize {
    let of_key = PARTITION.len() + key.partition.len() + SORT.len() + key.sort.len();
    of_key + attributes.iter().map(|(name, value)| name.len() + size_of(value)).sum::<usize>()
}

fn lost() -> Failure {
    Failure { fate: Fate::Unknown, error: ErrorKind::Indeterminate("the table is gone".into()).into() }
}

impl State {
    /// Writes an item, unless everything is lost by now.
    fn write(&mut self, item: &Item) -> Result<(), Failure> {
        if self.writes_left == Some(0) {
            return Err(lost());
        }
        self.writes_left = self.writes_left.map(|left| left - 1);
        let bytes = size(&item.key, &item.attributes);
        assert!(bytes <= ITEM_MAX, "{bytes} bytes at {:?}", item.key);
        let before = self.items.insert(item.key.clone(), item.attributes.clone());
        let before = before.map_or(0, |before| size(&item.key, &before));
        self.units.wrote(&item.key, bytes.max(before));
        Ok(())
    }

    fn holds(&self, key: &Key, condition: &Condition) -> bool {
        let there = self.items.get(key);
        if *condition == Condition::default() {
            return there.is_none();
        }
        let value = |name: &str| there.and_then(|there| there.get(name));
        let equal = condition.equal.as_ref().is_none_or(|(name, wanted)| value(name) == Some(wanted));
        let below = condition.below.as_ref().is_none_or(|(name, bound)| match (value(name), bound) {
            (None, _) => true,
            (Some(AttributeValue::S(value)), AttributeValue::S(bound)) => value < bound,
            (Some(AttributeValue::N(value)), AttributeValue::N(bound)) => {
                value.parse::<u64>().unwrap() < bound.parse::<u64>().unwrap()
            }
            other => panic!("{other:?}"),
        });
        equal && below
    }
}

impl MemoryTable {
    /// Requests take between these two times, half before they are carried out and half after.
    pub fn slow(mut self, from: Duration, to: Duration) -> Self {
        self.latency = Some((from, to));
        self
    }

    /// Whoever has this clone writes several items at once only when it is told to, and so no index.
    pub fn held(mut self) -> (Self, watch::Sender<bool>) {
        let (gate, open) = watch::channel(true);
        self.open = Some(open);
        (self, gate)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on so many items are written, and then none.
    pub fn lose_after(&self, writes: usize) {
        self.state().writes_left = Some(writes);
    }

    pub fn heal(&self) {
        self.state().writes_left = None;
    }

    pub fn items(&self) -> BTreeMap<Key, Attributes> {
        self.state().items.clone()
    }

    /// A table with these items.
    pub fn of(items: impl IntoIterator<Item = (Key, Attributes)>) -> Self {
        let table = Self::default();
        table.state().items = items.into_iter().collect();
        table
    }

    /// A table of its own with some of the items.
    pub fn copy(&self, keep: impl Fn(&Key) -> bool) -> Self {
        Self::of(self.items().into_iter().filter(|(key, _)| keep(key)))
    }

    /// What was asked since the last time.
    pub fn take_units(&self) -> Units {
        std::mem::take(&mut self.state().units)
    }

    async fn half_way(&self) {
        if let Some((from, to)) = self.latency {
            sleep((from + (to - from).mul_f64(rand::random())) / 2).await;
        }
    }

    async fn carry_out<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        self.half_way().await;
        let done = what(&mut self.state());
        self.half_way().await;
        done
    }
}

#[async_trait]
impl Table for MemoryTable {
    async fn get(&self, keys: &[Key]) -> Result<(Vec<Item>, Vec<Key>), Failure> {
        assert!(keys.len() <= 100);
        let found = self.carry_out(|state| {
            let mut found = Vec::new();
            for key in keys {
                let there = state.items.get(key).cloned();
                state.units.read(there.as_ref().map_or(0, |there| size(key, there)));
                found.extend(there.map(|attributes| Item { key: key.clone(), attributes }));
            }
            found
        });
        Ok((found.await, Vec::new()))
    }

    async fn query(&self, range: &Range) -> Result<Found, Failure> {
        let found = self.carry_out(|state| {
            let key = |sort: &String| Key { partition: range.partition.clone(), sort: sort.clone() };
            if range.low > range.high {
                return Found { items: Vec::new(), last: None };
            }
            let bounds = (Bound::Included(key(&range.low)), Bound::Included(key(&range.high)));
            let mut within: Vec<_> = state.items.range(bounds).collect();
            if range.descending {
                within.reverse();
            }
            let (mut items, mut bytes, mut last) = (Vec::new(), 0, None);
            for (key, attributes) in within {
                if range.limit.is_some_and(|limit| items.len() == limit as usize) || bytes > PAGE_MAX {
                    break;
                }
                bytes += size(key, attributes);
                last = Some(key.sort.clone());
                items.push(Item { key: key.clone(), attributes: attributes.clone() });
            }
            let is_cut = range.limit.is_some_and(|limit| items.len() == limit as usize) || bytes > PAGE_MAX;
            state.units.read(bytes);
            Found { items, last: last.filter(|_| is_cut) }
        });
        Ok(found.await)
    }

    async fn put_if(&self, item: &Item, condition: &Condition) -> Result<Result<(), Option<Item>>, Failure> {
        self.carry_out(|state| {
            let is_batch = usize::from(item.key.partition.contains("/b/"));
            state.units.log_puts += is_batch;
            if state.holds(&item.key, condition) {
                return state.write(item).map(Ok);
            }
            state.units.in_vain += is_batch;
            let there = state.items.get(&item.key).cloned();
            state.units.wrote(&item.key, there.as_ref().map_or(1, |there| size(&item.key, there)));
            Ok(Err(there.map(|attributes| Item { key: item.key.clone(), attributes })))
        })
        .await
    }

    async fn put(&self, item: &Item) -> Result<(), Failure> {
        self.carry_out(|state| state.write(item)).await
    }

    async fn put_all(&self, items: &[Item]) -> Result<Vec<Item>, Failure> {
        assert!(items.len() <= 25);
        if let Some(open) = &self.open {
            open.clone().wait_for(|open| *open).await.unwrap();
        }
        self.carry_out(|state| items.iter().try_for_each(|item| state.write(item))).await?;
        Ok(Vec::new())
    }

    async fn delete_all(&self, keys: &[Key]) -> Result<Vec<Key>, Failure> {
        assert!(keys.len() <= 25);
        self.carry_out(|state| {
            for key in keys {
                if state.writes_left == Some(0) {
                    return Err(lost());
                }
                state.writes_left = state.writes_left.map(|left| left - 1);
                if let Some(gone) = state.items.remove(key) {
                    state.units.wrote(key, size(key, &gone));
                }
            }
            Ok(Vec::new())
        })
        .await
    }

    async fn scan(&self, prefix: &str, after: Option<&Key>) -> Result<(Vec<Key>, Option<Key>), Failure> {
        const ITEMS: usize = 50;
        let found = self.carry_out(|state| {
            let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
            let keys: Vec<Key> =
                state.items.range((from, Bound::Unbounded)).take(ITEMS).map(|(key, _)| key.clone()).collect();
            let last = keys.last().filter(|_| keys.len() == ITEMS).cloned();
            (keys.into_iter().filter(|key| key.partition.starts_with(prefix)).collect(), last)
        });
        Ok(found.await)
    }

    async fn create(&self) -> Result<(), Failure> {
        Ok(())
    }
}
