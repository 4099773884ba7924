#![doc = include_str!("../README.md")]

mod append;
mod aws;
mod batch;
mod cache;
mod checkpoint;
mod client;
mod codec;
mod config;
mod error;
mod index;
mod indexer;
mod key;
mod known;
mod log;
mod lookup;
mod open;
mod read;
mod rebuild;
mod requests;
mod scan;
mod schema;
mod snapshot;
mod store;
mod table;
mod tail;

#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing {
    pub use crate::client::plain_http as http_client;
    pub use crate::table::{
        Attributes, Condition, Failure, Fate, Found, Item, Key, PARTITION, Range, SORT, Table,
    };
}

#[doc(no_inline)]
pub use aws_sdk_dynamodb;
pub use config::Config;
pub use rebuild::{Rebuild, Rebuilt};
pub use store::DynamoStore;
