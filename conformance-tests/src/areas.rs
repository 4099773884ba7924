//! The checks, area by area.

use crate::Check;

mod append;
mod idem;
mod read;
mod global;
mod sub;
mod snap;
mod payload;
mod names;
mod batch;
mod conc;
mod errors;
mod res;
mod tenant;
mod model;
mod meta;

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
    ];
    AREAS.iter().copied().flatten().copied().flatten().copied().collect()
}
