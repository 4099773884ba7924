//! Broken stores for the area `meta`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
