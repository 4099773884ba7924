//! What was asked, and what it costs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::units::{Charge, Kind};

/// What went through a proxy since it was started, or since it [counted anew](super::Proxy::count_anew).
///
/// Units are reckoned by DynamoDB's published rules from what was really sent and answered. Written: one for each begun KB of an
/// item, the larger of the old and the new one; a put that its condition refuses costs the same. Read strongly: one for each begun
/// 4 KB, of an item or of all that a query went through; otherwise half of it. Transactions cost double. Requests that did not land, and
/// those refused for another reason than a condition, cost nothing.
///
/// Where bodies do not tell, as for the item that a delete removes, the server is asked to say what it counted itself, and the
/// greater figure holds. What a refused condition costs on a larger item than the new one is known only where the request wants
/// the old item back.
#[derive(Clone, PartialEq, Default, Debug)]
#[non_exhaustive]
pub struct Counts {
    /// By operation, as in `PutItem`.
    pub operations: BTreeMap<String, OperationCounts>,
    /// By partition key. Scans have none, and add to the operations alone.
    pub partitions: BTreeMap<Partition, Heat>,
}

/// What was asked by one operation.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
#[non_exhaustive]
pub struct OperationCounts {
    /// All requests, whatever became of them.
    pub requests: u64,
    /// The server has executed.
    pub done: u64,
    /// The server has refused for their conditions.
    pub refused_by_condition: u64,
    /// Were content with what is not the newest: reads without `ConsistentRead`.
    pub eventually_consistent: u64,
    /// Wanted an index of DynamoDB's.
    pub of_index: u64,
    /// Write units, those of refused conditions included.
    pub write_units: f64,
    /// Read units.
    pub read_units: f64,
    /// Bytes of the bodies of all requests.
    pub bytes_sent: u64,
    /// Bytes of the bodies that the server answered with.
    pub bytes_answered: u64,
}

/// All items of one table that have one partition key, which DynamoDB keeps at one place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Partition {
    /// The table's name.
    pub table: String,
    /// The key's value, a binary one in Base64.
    pub key: String,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.table, self.key)
    }
}

/// What one partition key had to bear. DynamoDB bears 1,000 write units and 3,000 read units a second.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
#[non_exhaustive]
pub struct Heat {
    /// Write units in all.
    pub write_units: f64,
    /// Read units in all.
    pub read_units: f64,
    /// Write units in the second that had most.
    pub write_units_per_second_max: f64,
    /// Read units in the second that had most.
    pub read_units_per_second_max: f64,
    /// The last second in which there was something, and what there was.
    second: u64,
    write_units_in_second: f64,
    read_units_in_second: f64,
}

impl Counts {
    /// Those of one operation; nothing but zeros where there was no such request.
    pub fn of(&self, operation: &str) -> OperationCounts {
        self.operations.get(operation).copied().unwrap_or_default()
    }

    /// All requests.
    pub fn requests(&self) -> u64 {
        self.operations.values().map(|counts| counts.requests).sum()
    }

    /// All write units.
    pub fn write_units(&self) -> f64 {
        self.operations.values().map(|counts| counts.write_units).sum()
    }

    /// All read units.
    pub fn read_units(&self) -> f64 {
        self.operations.values().map(|counts| counts.read_units).sum()
    }

    /// The partition key that had to bear most writes in one second.
    pub fn hottest_written(&self) -> Option<(&Partition, &Heat)> {
        self.hottest(|heat| heat.write_units_per_second_max)
    }

    /// The partition key that had to bear most reads in one second.
    pub fn hottest_read(&self) -> Option<(&Partition, &Heat)> {
        self.hottest(|heat| heat.read_units_per_second_max)
    }

    fn hottest(&self, by: impl Fn(&Heat) -> f64) -> Option<(&Partition, &Heat)> {
        let hot = self.partitions.iter().filter(|(_, heat)| by(heat) > 0.0);
        hot.max_by(|(_, one), (_, other)| by(one).total_cmp(&by(other)))
    }

    pub(super) fn operation(&mut self, name: &str) -> &mut OperationCounts {
        if !self.operations.contains_key(name) {
            self.operations.insert(name.to_owned(), OperationCounts::default());
        }
        self.operations.get_mut(name).expect("it is there now")
    }

    pub(super) fn charge(&mut self, operation: &str, charges: Vec<Charge>, since: Duration) {
        for Charge { partition, kind, units, .. } in charges {
            let counts = self.operation(operation);
            match kind {
                Kind::Write => counts.write_units += units,
                Kind::Read => counts.read_units += units,
            }
            if let Some(partition) = partition {
                self.partitions.entry(partition).or_default().add(kind, units, since.as_secs());
            }
        }
    }
}

impl Heat {
    fn add(&mut self, kind: Kind, units: f64, second: u64) {
        if self.second != second {
            (self.second, self.write_units_in_second, self.read_units_in_second) = (second, 0.0, 0.0);
        }
        let (all, now, max) = match kind {
            Kind::Write => {
                (&mut self.write_units, &mut self.write_units_in_second, &mut self.write_units_per_second_max)
            }
            Kind::Read => {
                (&mut self.read_units, &mut self.read_units_in_second, &mut self.read_units_per_second_max)
            }
        };
        *all += units;
        *now += units;
        *max = max.max(*now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_second_is_remembered() {
        let mut counts = Counts::default();
        let charge = |key: &str, units| Charge {
            table: "t".to_owned(),
            partition: Some(Partition { table: "t".to_owned(), key: key.to_owned() }),
            kind: Kind::Write,
            units,
        };
        for (second, units) in [(0, 3.0), (1, 4.0), (1, 5.0), (2, 8.0)] {
            counts.charge(
                "PutItem",
                vec![charge("hot", units), charge("cool", 1.0)],
                Duration::from_secs(second),
            );
        }
        let (partition, heat) = counts.hottest_written().unwrap();
        assert_eq!((partition.to_string().as_str(), heat.write_units), ("t/hot", 20.0));
        assert_eq!(heat.write_units_per_second_max, 9.0);
        assert_eq!((counts.write_units(), counts.read_units()), (24.0, 0.0));
        assert!(counts.hottest_read().is_none());
    }
}
