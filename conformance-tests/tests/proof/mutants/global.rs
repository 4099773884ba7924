//! Broken stores for the area `global`.

use super::Mutant;

mod history;
mod index;
mod places;
mod positions;
mod visibility;

pub use visibility::late_commit;

pub const PARTS: &[&[Mutant]] = &[positions::MUTANTS, history::MUTANTS, visibility::MUTANTS, places::MUTANTS];
