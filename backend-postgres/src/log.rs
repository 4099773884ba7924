//! What a handle knows of its log.

use std::sync::{PoisonError, RwLock};

use annalist_core::{Error, LogId, Position, backend};
use annalist_engine::{HeadWatch, Pace};

/// The identity of the log as the server told it last, and the watch of its head. The identity changes only where somebody puts another log in
/// the place of this one.
#[derive(Debug)]
pub(crate) struct Log {
    known: RwLock<(LogId, HeadWatch)>,
}

impl Log {
    pub(crate) fn new(id: LogId) -> Self {
        Self { known: RwLock::new((id, HeadWatch::of(id))) }
    }

    pub(crate) fn id(&self) -> LogId {
        self.known.read().unwrap_or_else(PoisonError::into_inner).0
    }

    fn watch(&self) -> HeadWatch {
        self.known.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Takes in which log the server says this is.
    pub(crate) fn learn(&self, id: LogId) {
        if id != self.id() {
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = (id, HeadWatch::of(id));
        }
    }

    /// Wakes whoever waits for more than there was.
    pub(crate) fn grown_to(&self, head: Position) {
        self.watch().grown_to(head);
    }

    pub(crate) async fn wait<L>(&self, than: Position, pace: Pace, look: impl Fn() -> L) -> Result<(), Error>
    where
        L: Future<Output = Result<Position, Error>>,
    {
        self.watch().wait(than, pace, look).await
    }
}

/// The position with a number; 0 is before every event.
pub(crate) fn position(log: LogId, number: u64) -> Position {
    if number == 0 { Position::START } else { backend::position(log, number, 0) }
}
