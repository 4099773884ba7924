//! Broken stores for the area `idem`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
