//! Broken stores for the area `crash`: servers that do not keep what they said, and clients that do not bear it.

use super::Mutant;

mod clients;
mod servers;

pub const PARTS: &[&[Mutant]] = &[servers::MUTANTS, clients::MUTANTS];
