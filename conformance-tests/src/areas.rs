//! The checks, area by area.

use crate::Check;

mod ambig;
mod append;
mod batch;
mod conc;
mod crash;
mod errors;
mod every;
mod global;
mod idem;
mod limits;
mod meta;
mod model;
mod names;
mod network;
mod payload;
mod proc;
mod read;
mod res;
mod snap;
mod sub;
mod tenant;
mod writers;

/// Every check, in the order in which an author of a backend meets them.
///
/// ```
/// let checks = annalist_conformance::all();
/// assert!(checks.iter().any(|check| check.name == "append.first_version"));
/// ```
#[must_use]
pub fn all() -> Vec<Check> {
    const AREAS: &[&[&[Check]]] = &[
        append::PARTS,
        read::PARTS,
        payload::PARTS,
        limits::PARTS,
        names::PARTS,
        batch::PARTS,
        idem::PARTS,
        errors::PARTS,
        ambig::PARTS,
        global::PARTS,
        sub::PARTS,
        snap::PARTS,
        tenant::PARTS,
        res::PARTS,
        conc::PARTS,
        model::PARTS,
        meta::PARTS,
        proc::PARTS,
        crash::PARTS,
    ];
    AREAS.iter().copied().flatten().copied().flatten().copied().collect()
}
