//! Broken stores for the area `batch`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
