//! Checks of the area `errors`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
