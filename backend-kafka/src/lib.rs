#![doc = include_str!("../README.md")]

mod address;
mod append;
mod barrier;
mod checkpoint;
mod client;
mod codec;
mod command;
mod config;
mod error;
mod fold;
mod keys;
mod local;
mod open;
mod read;
mod record;
mod replica;
mod search;
mod sender;
mod snapshot;
mod store;
mod topic;

pub use config::Config;
#[doc(no_inline)]
pub use rdkafka;
pub use store::{KafkaStore, Progress};
