#![doc = include_str!("../README.md")]

mod append;
mod at_hand;
mod batch;
mod call;
mod checkpoint;
mod config;
mod connections;
mod error;
mod known;
mod lease;
mod log;
mod open;
mod read;
mod row;
mod schema;
mod server;
mod snapshot;
mod store;
mod transaction;
mod types;
mod verdict;

pub use config::Config;
#[doc(no_inline)]
pub use sqlx;
pub use store::PostgresStore;
