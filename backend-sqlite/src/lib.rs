#![doc = include_str!("../README.md")]

mod append;
mod checkpoint;
mod config;
mod connection;
mod error;
mod facts;
mod insert;
mod log;
mod open;
mod query;
mod read;
mod readers;
mod row;
mod schema;
mod snapshot;
mod store;
mod thread;
mod writer;

pub use config::Config;
#[doc(no_inline)]
pub use rusqlite;
pub use store::SqliteStore;
