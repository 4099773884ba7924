//! What is the Kafka store's own, on a real broker; the suite has the rest.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod broken;
#[path = "../common/mod.rs"]
mod common;
mod histories;
mod local_store;
mod mock;
mod model;
mod processes;
mod support;
mod topics;
