//! Checks of the area `idem`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
