//! Broken stores for the area `res`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
