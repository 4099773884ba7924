//! Broken stores for the area `errors`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
