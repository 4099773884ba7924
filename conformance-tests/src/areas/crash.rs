//! Checks of the area `crash`: clients and servers that are killed or stopped at any moment, and disks whose power is cut.

use crate::Check;

mod client;
mod keep;
mod kill;
mod pause;
mod power;
mod setup;
mod storm;

pub(crate) const PARTS: &[&[Check]] =
    &[client::CHECKS, setup::CHECKS, kill::CHECKS, keep::CHECKS, pause::CHECKS, power::CHECKS];
