#![doc = include_str!("../README.md")]

pub mod admission;

mod subscription;
mod wake_up;

pub use subscription::{Follow, subscribe};
pub use wake_up::WakeUp;
