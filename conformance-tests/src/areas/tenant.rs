//! Checks of the area `tenant`: two namespaces never see, order or delay one another.

use crate::Check;

mod keeping;
mod logs;
mod noisy;
mod writing;

pub(crate) const PARTS: &[&[Check]] = &[logs::CHECKS, writing::CHECKS, keeping::CHECKS, noisy::CHECKS];
