//! Making the store beneath forget an id: it is given another one there, and gets its own back where it is read.

use std::collections::HashMap;
use std::sync::Mutex;

use annalist_core::{Append, Error, ErrorKind, EventId, IdReused, Page};

use crate::edit::{edit_writes, with_event};

/// Which id of the store beneath stands for which of the caller.
#[derive(Default)]
pub struct Aliases(Mutex<HashMap<EventId, EventId>>);

impl Aliases {
    /// A new id for one of the caller's.
    pub fn make(&self, id: EventId) -> EventId {
        let alias = EventId::new();
        self.0.lock().expect("no panic").insert(alias, id);
        alias
    }

    /// The page with the caller's ids.
    pub fn reveal(&self, mut page: Page) -> Page {
        let aliases = self.0.lock().expect("no panic");
        for event in &mut page.events {
            if let Some(id) = aliases.get(&event.id()) {
                *event = with_event(event, event.event().clone().with_id(*id));
            }
        }
        page
    }

    /// The error with the caller's ids.
    pub fn reveal_error(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::IdReused(reused) => {
                let id = self.0.lock().expect("no panic").get(&reused.id).copied().unwrap_or(reused.id);
                IdReused::new(id, reused.stream.clone(), reused.version).into()
            }
            _ => error,
        }
    }
}

/// The append with other ids.
pub fn with_ids(append: &Append, mut id: impl FnMut(EventId) -> EventId) -> Append {
    let mut known = HashMap::new();
    edit_writes(append, |write| {
        for event in &mut write.events {
            let alias = *known.entry(event.id()).or_insert_with(|| id(event.id()));
            *event = event.clone().with_id(alias);
        }
    })
}
