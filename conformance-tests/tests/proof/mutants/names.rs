//! Broken stores for the area `names`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
