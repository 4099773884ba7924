//! Checks of the area `model`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
