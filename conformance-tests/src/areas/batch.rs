//! Checks of the area `batch`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
