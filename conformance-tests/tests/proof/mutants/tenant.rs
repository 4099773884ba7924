//! Broken stores for the area `tenant`.

use super::Mutant;

mod shared;
mod whole;

pub const PARTS: &[&[Mutant]] = &[whole::MUTANTS, shared::MUTANTS];
