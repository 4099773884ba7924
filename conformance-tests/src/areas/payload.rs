//! Checks of the area `payload`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
