#![doc = include_str!("../README.md")]

pub mod admission;
#[cfg(feature = "testing")]
pub mod fault;

mod subscription;
mod wake_up;

pub use subscription::{Follow, subscribe};
pub use wake_up::WakeUp;
