//! Checks of the area `res`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
