//! What has been decided and is not written yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use annalist_core::{CheckpointName, EventId, StreamId};
use bytes::Bytes;
use uuid::Uuid;

use crate::checkpoint::Claimed;
use crate::keys::{self, Accepted, Term};
use crate::local::{Changes, Table};

#[derive(Debug, Default)]
pub(super) struct Staged {
    /// In log order, with their bytes.
    events: Vec<(Accepted, Bytes)>,
    ids: HashMap<(StreamId, EventId), usize>,
    pub(super) heads: HashMap<StreamId, u64>,
    pub(super) writers: HashMap<Uuid, u64>,
    pub(super) checkpoints: HashMap<CheckpointName, Claimed>,
    /// By key; `None` where it was removed.
    pub(super) snapshots: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Staged {
    pub(super) fn len(&self) -> usize {
        self.events.len() + self.snapshots.len()
    }

    pub(super) fn accept(&mut self, accepted: Accepted, raw_event: Bytes) {
        self.ids.insert((accepted.stream.clone(), accepted.event.id()), self.events.len());
        self.heads.insert(accepted.stream.clone(), accepted.version);
        self.events.push((accepted, raw_event));
    }

    pub(super) fn by_id(&self, stream: &StreamId, id: EventId) -> Option<&Accepted> {
        if self.ids.is_empty() {
            return None;
        }
        self.ids.get(&(stream.clone(), id)).map(|index| &self.events[*index].0)
    }

    pub(super) fn events(&self) -> impl DoubleEndedIterator<Item = &Accepted> {
        self.events.iter().map(|(accepted, _)| accepted)
    }

    pub(super) fn into_changes(self) -> Changes {
        let mut changes = Changes::default();
        for record in self.events.chunk_by(|(one, _), (other, _)| one.place.offset == other.place.offset) {
            put_record(record, &mut changes);
        }
        for (stream, version) in self.heads {
            changes.put(Table::Heads, stream.as_str().into(), version.to_be_bytes().to_vec());
        }
        for (writer, number) in self.writers {
            changes.put(Table::Writers, writer.as_bytes().to_vec(), number.to_be_bytes().to_vec());
        }
        for (name, claimed) in self.checkpoints {
            changes.put(Table::Checkpoints, name.as_str().into(), claimed.value());
        }
        for (key, value) in self.snapshots {
            match value {
                Some(value) => changes.put(Table::Snapshots, key, value),
                None => changes.remove(Table::Snapshots, key),
            }
        }
        changes
    }
}

/// The events of one record.
fn put_record(events: &[(Accepted, Bytes)], changes: &mut Changes) {
    let Some((Accepted { place, .. }, _)) = events.first() else { return };
    let (offset, mut value) = (place.offset, keys::record_value(place.recorded_at));
    let mut terms = BTreeSet::new();
    for (accepted, raw_event) in events {
        keys::put_accepted(&mut value, accepted, raw_event);
        let Accepted { stream, event, version, place } = accepted;
        changes.put(Table::Events, keys::version(stream, *version), keys::event_value(*place, raw_event));
        changes.put(Table::Ids, keys::id(stream, event.id()), version.to_be_bytes().to_vec());
        terms.insert(Term::Category(stream.category()));
        terms.insert(Term::Type(event.event_type().as_str()));
        terms.extend(event.tags().iter().map(|tag| Term::Tag(tag.as_str())));
    }
    for term in terms {
        changes.put(Table::Terms, keys::term(term, offset), Vec::new());
    }
    changes.put(Table::Records, keys::offset(offset).to_vec(), value);
}
