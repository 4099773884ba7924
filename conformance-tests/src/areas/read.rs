//! Checks of the area `read`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
