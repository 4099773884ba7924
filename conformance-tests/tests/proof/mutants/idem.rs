//! Broken stores for the area `idem`.

use super::Mutant;

mod aliases;
mod content;
mod kept;
mod partly;
mod retry;
mod twins;

pub const PARTS: &[&[Mutant]] =
    &[kept::MUTANTS, partly::MUTANTS, content::MUTANTS, retry::MUTANTS, twins::MUTANTS];
