//! Checks of the area `global`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
