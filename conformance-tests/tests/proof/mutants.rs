//! The broken stores, area by area. Each has one bug that some store in the wild has.

use std::sync::Arc;

use crate::world::World;

mod append;
mod batch;
mod conc;
mod crash;
mod errors;
mod global;
mod idem;
mod limits;
mod meta;
mod model;
mod names;
mod payload;
mod proc;
mod read;
mod remote;
mod res;
mod snap;
mod sub;
mod tenant;

pub use global::late_commit;
pub use snap::honest_cabinets;
pub use sub::wide_epochs;

/// A broken store, and the checks that must find it out.
#[derive(Clone, Copy)]
pub struct Mutant {
    pub name: &'static str,
    /// The guarantee that it breaks.
    pub guarantee: &'static str,
    /// What in the wild has this bug.
    pub twin: &'static str,
    /// The checks that must fail on it: all of them.
    pub expected: &'static [&'static str],
    pub make: fn() -> Arc<dyn World>,
}

/// Every broken store.
pub fn all() -> Vec<Mutant> {
    const AREAS: &[&[&[Mutant]]] = &[
        append::PARTS,
        read::PARTS,
        payload::PARTS,
        limits::PARTS,
        names::PARTS,
        batch::PARTS,
        idem::PARTS,
        errors::PARTS,
        global::PARTS,
        sub::PARTS,
        snap::PARTS,
        tenant::PARTS,
        res::PARTS,
        conc::PARTS,
        model::PARTS,
        meta::PARTS,
        remote::PARTS,
        proc::PARTS,
        crash::PARTS,
    ];
    AREAS.iter().copied().flatten().copied().flatten().copied().collect()
}
