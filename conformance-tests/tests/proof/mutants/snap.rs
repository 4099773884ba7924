//! Broken stores for the area `snap`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
