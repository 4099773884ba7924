//! Checks of the area `names`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
