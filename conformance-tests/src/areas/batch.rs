//! Checks of the area `batch`: many events, streams and demands in one append.

use crate::Check;

mod atomic;
mod floors;
mod large;
mod whole;

pub(crate) const PARTS: &[&[Check]] = &[large::CHECKS, atomic::CHECKS, whole::CHECKS, floors::CHECKS];
