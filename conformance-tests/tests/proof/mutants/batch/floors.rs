//! Stores that take less than every store must.

use annalist_core::{Append, Capabilities, Error, EventStore, Invalid, Limits, Receipt};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use crate::bug::Bug;
use crate::look::wrong_append;
use crate::mutants::Mutant;
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "declares_less_than_the_floor",
        guarantee: "L2",
        twin: "the technology's limit declared as the store's own",
        expected: &["batch.floors_declared"],
        make: || {
            let limits = Limits { checks_per_append: 15, ..Limits::FLOOR };
            each_handle(move || DeclaresLess(Capabilities::full(limits)))
        },
    },
    Mutant {
        name: "a_hundred_items_in_a_transaction",
        guarantee: "L2",
        twin: "`TransactWriteItems` takes 100 items",
        expected: &["batch.thousand", "batch.floor_events"],
        make: || each_handle(|| HundredItems),
    },
    Mutant {
        name: "a_megabyte_with_its_envelope",
        guarantee: "L2",
        twin: "Kafka's `message.max.bytes` of 1 MB, headers included",
        expected: &["batch.floor_bytes"],
        make: || each_handle(|| MegabyteWithEnvelope),
    },
    Mutant {
        name: "a_thousand_parameters_in_a_statement",
        guarantee: "L2",
        twin: "a statement of an older SQLite takes 999 parameters",
        expected: &["batch.floor_demands"],
        make: || each_handle(|| ThousandParameters),
    },
    Mutant {
        name: "last_condition_forgotten",
        guarantee: "L2",
        twin: "a fixed number of conditions in a prepared statement",
        expected: &["batch.floor_demands", "append.first_failed_condition"],
        make: || each_handle(|| LastConditionForgotten),
    },
];

struct DeclaresLess(Capabilities);

#[async_trait]
impl Bug for DeclaresLess {
    fn capabilities<'a>(&'a self, _: &'a MemoryStore) -> &'a Capabilities {
        &self.0
    }
}

wrong_append! {
    /// Takes a hundred events.
    HundredItems: |honest, append| {
        if append.event_count() > 100 {
            let count = append.event_count() as u64;
            return Err(Invalid::over("append", "events per append", 100, count).into());
        }
        honest.append(append).await
    }

    /// Counts a hundred bytes more for each event.
    MegabyteWithEnvelope: |honest, append| {
        let size = append.size() + 100 * append.event_count();
        if size > Limits::FLOOR.bytes_per_append {
            return Err(Invalid::over("append", "bytes per append", Limits::FLOOR.bytes_per_append as u64, size as u64).into());
        }
        honest.append(append).await
    }

    /// Takes so many names in all conditions together.
    ThousandParameters: |honest, append| {
        let items = append.conditions().iter().flat_map(|condition| condition.query.items());
        let names: usize = items.map(|item| item.name_count()).sum();
        if names > 999 {
            return Err(Invalid::over("append", "names per append", 999, names as u64).into());
        }
        honest.append(append).await
    }

    /// Looks at all conditions but the last of several.
    LastConditionForgotten: |honest, append| {
        let mut kept = crate::edit::keep(&append, true, false);
        let conditions = append.conditions();
        let looked_at = if conditions.len() > 1 { &conditions[..conditions.len() - 1] } else { conditions };
        for condition in looked_at {
            kept = kept.condition(condition.query.clone(), condition.after);
        }
        honest.append(kept).await
    }
}
