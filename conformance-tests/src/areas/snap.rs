//! Checks of the area `snap`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
