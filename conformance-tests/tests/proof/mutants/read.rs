//! Broken stores for the area `read`.

use super::Mutant;

mod heads;
mod load;
mod local;
mod pages;
mod queries;
mod streams;

pub const PARTS: &[&[Mutant]] =
    &[streams::MUTANTS, pages::MUTANTS, heads::MUTANTS, queries::MUTANTS, local::MUTANTS, load::MUTANTS];
