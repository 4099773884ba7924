//! Broken stores for the area `conc`.

use super::Mutant;

pub const PARTS: &[&[Mutant]] = &[];
