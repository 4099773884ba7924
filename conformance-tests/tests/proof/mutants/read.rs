//! Broken stores for the area `read`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
