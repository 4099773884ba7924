//! Broken stores for the area `model`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
