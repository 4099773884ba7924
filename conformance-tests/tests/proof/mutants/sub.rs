//! Broken stores for the area `sub`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
