//! Broken stores for the area `tenant`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
