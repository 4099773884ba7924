//! Wrong local reads.

use std::sync::{Mutex, OnceLock};

use annalist_core::{
    Capabilities, Consistency, Error, ErrorKind, EventStore, Limits, Page, Position, Query, Read,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::super::Mutant;
use crate::bug::Bug;
use crate::edit_read::{Asks, anew, as_of};
use crate::world::each_handle;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "local_served_undeclared",
        guarantee: "R3",
        twin: "a request option that the backend never looks at",
        expected: &["read.local_refused"],
        make: || each_handle(|| Asks(local_is_not_looked_at)),
    },
    Mutant {
        name: "local_copy_has_holes",
        guarantee: "R3",
        twin: "a copy that is filled in whatever order its parts arrive",
        expected: &["read.local_prefix"],
        make: || each_handle(|| LocalCopy { holes: true, ..LocalCopy::default() }),
    },
    Mutant {
        name: "local_copy_never_catches_up",
        guarantee: "R3",
        twin: "a copy that takes a position it has not reached for one of the future",
        expected: &["read.local_reaches_what_it_names"],
        make: || each_handle(|| LocalCopy { stuck: true, ..LocalCopy::default() }),
    },
];

fn local_is_not_looked_at(read: Read) -> Read {
    if read.consistency() == Consistency::Local { anew(&read) } else { read }
}

/// A store that declares local reads.
#[derive(Default)]
struct LocalCopy {
    declared: OnceLock<Capabilities>,
    reached: Mutex<Option<Position>>,
    holes: bool,
    stuck: bool,
}

#[async_trait]
impl Bug for LocalCopy {
    fn capabilities<'a>(&'a self, honest: &'a MemoryStore) -> &'a Capabilities {
        let limits: Limits = *honest.capabilities().limits();
        self.declared.get_or_init(|| Capabilities::full(limits))
    }

    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        if read.consistency() != Consistency::Local {
            return honest.read(read).await;
        }
        let mut page = if self.stuck {
            let now = honest.read(Read::log(Query::all()).limit(0)).await?.head;
            let before = self.reached.lock().expect("nothing panics here").replace(now).unwrap_or(now);
            if read.positions().0 > before {
                return Err(ErrorKind::WrongHistory("the position is past the copy".to_owned()).into());
            }
            as_of(honest, anew(&read), before).await?
        } else {
            honest.read(anew(&read)).await?
        };
        if self.holes && page.events.len() > 2 {
            page.events.remove(1);
        }
        Ok(page)
    }
}
