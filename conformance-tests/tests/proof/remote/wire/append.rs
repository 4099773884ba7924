//! Appends and receipts on the wire.

use annalist_core::{
    Append, ExpectedVersion, NewEvent, Position, Query, QueryItem, Receipt, StreamId, Version, backend,
};
use serde::{Deserialize, Serialize};

use super::event::WireEvent;

#[derive(Serialize, Deserialize)]
pub struct WireAppend {
    writes: Vec<(StreamId, ExpectedVersion, Vec<WireEvent>)>,
    checks: Vec<(StreamId, ExpectedVersion)>,
    conditions: Vec<(WireQuery, Position)>,
}

impl From<&Append> for WireAppend {
    fn from(append: &Append) -> Self {
        let writes = append.writes().iter().map(|write| {
            (write.stream.clone(), write.expected, write.events.iter().map(WireEvent::from).collect())
        });
        let checks = append.checks().iter().map(|check| (check.stream.clone(), check.expected));
        let conditions =
            append.conditions().iter().map(|condition| ((&condition.query).into(), condition.after));
        Self { writes: writes.collect(), checks: checks.collect(), conditions: conditions.collect() }
    }
}

impl From<WireAppend> for Append {
    fn from(wire: WireAppend) -> Self {
        let mut append = Self::new();
        for (stream, expected, events) in wire.writes {
            append = append.write(&stream, expected, events.into_iter().map(NewEvent::from));
        }
        for (stream, expected) in wire.checks {
            append = append.check(&stream, expected);
        }
        for (query, after) in wire.conditions {
            append = append.condition(Query::from(query), after);
        }
        append
    }
}

/// The parts of each item: streams, prefixes, categories, types, tags. `None` is all.
#[derive(Serialize, Deserialize)]
pub struct WireQuery(Option<Vec<[Vec<String>; 5]>>);

impl From<&Query> for WireQuery {
    fn from(query: &Query) -> Self {
        let parts = |item: &QueryItem| {
            [item.stream_part(), item.prefix_part(), item.category_part(), item.type_part(), item.tag_part()]
                .map(<[String]>::to_vec)
        };
        Self((!query.is_all()).then(|| query.items().iter().map(parts).collect()))
    }
}

impl From<WireQuery> for Query {
    fn from(wire: WireQuery) -> Self {
        let item = |[streams, prefixes, categories, types, tags]: [Vec<String>; 5]| {
            let item = QueryItem::new().streams(streams).types(types).tags(tags);
            let item = prefixes.into_iter().fold(item, QueryItem::stream_prefix);
            categories.into_iter().fold(item, QueryItem::category)
        };
        wire.0.map_or_else(Query::all, |items| Query::any_of(items.into_iter().map(item)))
    }
}

#[derive(Serialize, Deserialize)]
pub struct WireReceipt {
    already_committed: bool,
    written: Vec<(StreamId, Version, Vec<Position>)>,
}

impl From<Receipt> for WireReceipt {
    fn from(receipt: Receipt) -> Self {
        let written = receipt
            .written()
            .iter()
            .map(|written| (written.stream().clone(), written.first_version(), written.positions().to_vec()));
        Self { already_committed: receipt.already_committed(), written: written.collect() }
    }
}

impl From<WireReceipt> for Receipt {
    fn from(wire: WireReceipt) -> Self {
        let written = wire.written.into_iter();
        let written = written.map(|(stream, first, positions)| backend::written(stream, first, positions));
        backend::receipt(wire.already_committed, written.collect())
    }
}
