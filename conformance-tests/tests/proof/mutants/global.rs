//! Broken stores for the area `global`.

use super::Mutant;

mod history;
mod index;
mod places;
mod positions;
mod visibility;

pub const PARTS: &[&[Mutant]] = &[positions::MUTANTS, history::MUTANTS, visibility::MUTANTS, places::MUTANTS];
