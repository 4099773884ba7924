//! Checks of the area `conc`.

use crate::Check;

pub(crate) const PARTS: &[&[Check]] = &[];
