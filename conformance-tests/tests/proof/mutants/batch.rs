//! Broken stores for the area `batch`.

use super::Mutant;

mod floors;
mod whole;

pub const PARTS: &[&[Mutant]] = &[whole::MUTANTS, floors::MUTANTS];
