//! Checks of the area `tenant`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
