//! Checks of the area `meta`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
