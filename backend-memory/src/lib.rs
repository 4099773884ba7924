#![doc = include_str!("../README.md")]

mod checkpoint;
mod config;
mod log;
mod snapshot;
mod store;

pub use config::Config;
pub use store::MemoryStore;
