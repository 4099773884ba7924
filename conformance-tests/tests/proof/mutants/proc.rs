//! Broken stores for the area `proc`: right within one process, wrong between several.

use super::Mutant;

mod appends;
mod reads;

pub const PARTS: &[&[Mutant]] = &[appends::MUTANTS, reads::MUTANTS];
