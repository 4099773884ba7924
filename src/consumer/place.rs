//! How far a consumer has come: pure bookkeeping.

use annalist_core::Position;

/// What was given, what was handled, and what of that is saved.
#[derive(Debug)]
pub(crate) struct Place {
    /// The event that was given last.
    given: Position,
    /// There is nothing to handle between the last event given and this.
    passed: Position,
    /// Everything at or below it is handled.
    handled: Position,
    /// What the stored checkpoint says.
    saved: Position,
    events_unsaved: u64,
}

impl Place {
    pub(crate) fn at(position: Position) -> Self {
        Self { given: position, passed: position, handled: position, saved: position, events_unsaved: 0 }
    }

    pub(crate) fn given(&self) -> Position {
        self.given
    }

    pub(crate) fn handled(&self) -> Position {
        self.handled
    }

    pub(crate) fn saved(&self) -> Position {
        self.saved
    }

    pub(crate) fn events_unsaved(&self) -> u64 {
        self.events_unsaved
    }

    pub(crate) fn unsaved(&self) -> bool {
        self.handled > self.saved
    }

    pub(crate) fn give(&mut self, position: Position) {
        self.given = position;
    }

    /// Nothing that matches stands between the last event and here.
    pub(crate) fn pass(&mut self, position: Position) {
        self.passed = position;
        self.settle();
    }

    pub(crate) fn done(&mut self, position: Position) {
        if position > self.handled {
            self.handled = position;
            self.events_unsaved += 1;
        }
        self.settle();
    }

    pub(crate) fn save(&mut self, position: Position) {
        self.saved = self.saved.max(position);
        if !self.unsaved() {
            self.events_unsaved = 0;
        }
    }

    /// What was passed counts as handled only once all that was given before is.
    fn settle(&mut self) {
        if self.handled >= self.given {
            self.handled = self.handled.max(self.passed);
        }
    }
}

#[cfg(test)]
mod tests {
    use annalist_core::{LogId, backend};

    use super::*;

    fn positions<const N: usize>() -> [Position; N] {
        let log = LogId::new();
        std::array::from_fn(|n| backend::position(log, n as u64 + 1, 0))
    }

    #[test]
    fn a_gap_counts_as_handled_only_after_the_event_before_it() {
        let [event, gap] = positions();
        let mut place = Place::at(Position::START);
        place.give(event);
        place.pass(gap);
        assert_eq!(place.handled(), Position::START);
        place.done(event);
        assert_eq!(place.handled(), gap);
    }

    #[test]
    fn an_older_gap_does_not_hide_an_event_that_is_not_done() {
        let [first, gap, second] = positions();
        let mut place = Place::at(Position::START);
        place.give(first);
        place.pass(gap);
        place.give(second);
        place.done(first);
        assert!(place.handled() < second);
        place.done(second);
        assert_eq!(place.handled(), second);
    }

    #[test]
    fn events_count_as_unsaved_until_all_of_them_are_saved() {
        let [first, second] = positions();
        let mut place = Place::at(Position::START);
        for event in [first, second] {
            place.give(event);
            place.done(event);
        }
        assert_eq!(place.events_unsaved(), 2);
        place.save(first);
        assert!(place.unsaved());
        place.save(second);
        assert!(!place.unsaved());
        assert_eq!(place.events_unsaved(), 0);
    }
}
