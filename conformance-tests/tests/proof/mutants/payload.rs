//! Broken stores for the area `payload`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
