//! The handles that a check has opened.

use std::any::Any;
use std::sync::Arc;

use crate::Handle;

/// Keeps handles until the check is over, to be closed then; but not those that the check itself has dropped, or a check that opens one in
/// every round would use up a server's connections. What guards them stays.
#[derive(Default)]
pub(crate) struct Kept {
    handles: Vec<Handle>,
    guards: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Kept {
    pub(crate) fn push(&mut self, handle: &Handle) {
        let (held, dropped): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.handles).into_iter().partition(Handle::is_held_elsewhere);
        self.handles = held;
        self.guards.extend(dropped.into_iter().map(Handle::into_guard));
        self.handles.push(handle.clone());
    }

    /// Drops a handle and what guards it.
    pub(crate) fn let_go(&mut self, handle: &Handle) {
        self.handles.retain(|kept| !Arc::ptr_eq(kept.store(), handle.store()));
    }

    /// All that are there, to be closed.
    pub(crate) fn take(&mut self) -> Vec<Handle> {
        std::mem::take(&mut self.handles)
    }
}
