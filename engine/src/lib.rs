#![doc = include_str!("../README.md")]

pub mod admission;
#[cfg(feature = "testing")]
pub mod fault;
pub mod group_commit;

mod head_watch;
mod later;
mod per_log;
mod subscription;
mod wake_up;

pub use group_commit::GroupCommit;
pub use head_watch::{HeadWatch, Pace};
pub use later::later;
pub use subscription::{Follow, subscribe};
pub use wake_up::WakeUp;
