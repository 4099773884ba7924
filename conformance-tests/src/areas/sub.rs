//! Checks of the area `sub`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
