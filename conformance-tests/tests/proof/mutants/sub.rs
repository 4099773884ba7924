//! Broken stores for the area `sub`.

use super::Mutant;

mod checkpoints;
mod delivery;
mod ends;
mod feed;
mod filters;
mod handover;
mod signals;
mod table;

pub use table::wide_epochs;

pub const PARTS: &[&[Mutant]] = &[
    delivery::MUTANTS,
    handover::MUTANTS,
    feed::MUTANTS,
    signals::MUTANTS,
    filters::MUTANTS,
    ends::MUTANTS,
    checkpoints::IN_A_TABLE,
    checkpoints::OTHERS,
];
