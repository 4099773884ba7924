#![doc = include_str!("../README.md")]

pub mod admission;
#[cfg(feature = "testing")]
pub mod fault;
pub mod group_commit;

mod subscription;
mod wake_up;

pub use group_commit::GroupCommit;
pub use subscription::{Follow, subscribe};
pub use wake_up::WakeUp;
