//! Checks of the area `sub`: subscriptions, and the checkpoints that consumers keep.

use annalist_core::{Position, backend};

use crate::Check;

mod cancel;
mod catch_up;
mod checkpoint;
mod checkpoint_claim;
mod checkpoint_cut;
mod checkpoint_history;
mod checkpoint_race;
mod checkpoint_resume;
mod end;
mod filter;
mod live;
mod load;
mod outage;
mod session;
mod signals;
mod slow;
mod start;

pub(crate) const PARTS: &[&[Check]] = &[
    catch_up::CHECKS,
    outage::CHECKS,
    checkpoint_cut::CHECKS,
    start::CHECKS,
    live::CHECKS,
    signals::CHECKS,
    filter::CHECKS,
    load::CHECKS,
    slow::CHECKS,
    end::CHECKS,
    cancel::CHECKS,
    checkpoint::CHECKS,
    checkpoint_claim::CHECKS,
    checkpoint_resume::CHECKS,
    checkpoint_race::CHECKS,
    checkpoint_history::CHECKS,
];

/// The position of the same log with these numbers.
fn with_numbers(of: Position, major: u64, minor: u32) -> Position {
    let text = of.to_string();
    let log = text.split('-').next().unwrap_or_default();
    format!("{log}-{major:016x}-{minor:08x}").parse().expect("this is the text form of positions")
}

/// A position past the head of a log that holds events.
fn past(head: Position) -> Position {
    let (major, minor) = backend::numbers(head);
    with_numbers(head, major.saturating_add(1_000), minor)
}

/// A position between two events that holds none, where the two leave room for one.
fn between(a: Position, b: Position) -> Option<Position> {
    let ((am, an), (bm, bn)) = (backend::numbers(a), backend::numbers(b));
    let near = [(am, an.saturating_add(1)), (am, u32::MAX), (am.saturating_add(1), 0)];
    let far = [(bm, bn.saturating_sub(1)), (bm.saturating_sub(1), u32::MAX)];
    let made = near.into_iter().chain(far).map(|(major, minor)| with_numbers(a, major, minor));
    made.into_iter().find(|middle| a < *middle && *middle < b)
}
