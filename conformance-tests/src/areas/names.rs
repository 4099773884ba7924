//! Checks of the area `names`: every name is kept as it is, and only itself.

use crate::Check;

mod kinds;
mod lists;
mod streams;

pub(crate) const PARTS: &[&[Check]] = &[streams::CHECKS, kinds::CHECKS];
