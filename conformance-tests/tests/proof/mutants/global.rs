//! Broken stores for the area `global`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
