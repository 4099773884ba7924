//! Checks of the area `global`: the order of the log.

use annalist_core::{Position, Query, Read, RecordedEvent};

use crate::Check;

mod bounds;
mod heads;
mod history;
mod late;
mod order;
mod real_time;
mod stall;
pub(in crate::areas) mod tail;

pub(crate) const PARTS: &[&[Check]] = &[
    order::CHECKS,
    bounds::CHECKS,
    heads::CHECKS,
    history::CHECKS,
    real_time::CHECKS,
    tail::CHECKS,
    late::CHECKS,
    stall::CHECKS,
];

fn all() -> Read {
    Read::log(Query::all())
}

/// The events above a position.
fn above(log: &[RecordedEvent], position: Position) -> Vec<RecordedEvent> {
    log.iter().filter(|event| event.position() > position).cloned().collect()
}

/// The events at or below a position.
fn up_to(log: &[RecordedEvent], position: Position) -> Vec<RecordedEvent> {
    log.iter().filter(|event| event.position() <= position).cloned().collect()
}

fn reversed(mut events: Vec<RecordedEvent>) -> Vec<RecordedEvent> {
    events.reverse();
    events
}

/// The position with these numbers in the log of another one.
fn with_numbers(of: Position, major: u64, minor: u32) -> Position {
    let text = of.to_string();
    format!("{}-{major:016x}-{minor:08x}", &text[..8]).parse().expect("a position's text form is specified")
}

/// The two numbers of a position, out of its text form.
fn numbers(position: Position) -> (u64, u32) {
    let text = position.to_string();
    let major = u64::from_str_radix(&text[9..25], 16).expect("a position's text form is specified");
    let minor = u32::from_str_radix(&text[26..], 16).expect("a position's text form is specified");
    (major, minor)
}
