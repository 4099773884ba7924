//! What all handles of one log in this process share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use annalist_core::LogId;

/// One value per log that this process has open; those of closed logs are dropped when another one is opened.
pub(crate) struct PerLog<T>(Mutex<Option<HashMap<LogId, Weak<T>>>>);

impl<T: Default> PerLog<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The value of a log, shared by all that ask for it while any of them holds it.
    pub(crate) fn of(&self, log: LogId) -> Arc<T> {
        // A panic elsewhere while the map was locked cannot have left it half changed.
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let values = values.get_or_insert_default();
        if let Some(value) = values.get(&log).and_then(Weak::upgrade) {
            return value;
        }
        values.retain(|_, value| value.strong_count() > 0);
        let value = Arc::new(T::default());
        values.insert(log, Arc::downgrade(&value));
        value
    }
}
