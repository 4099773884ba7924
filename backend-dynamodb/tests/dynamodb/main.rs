//! What is special about the store on DynamoDB.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

#[path = "../common/mod.rs"]
mod common;

mod behind;
mod crowd;
mod faults;
mod index;
mod memory;
mod model;
mod net;
mod rebuild;
mod set_up;
mod simulation;
mod support;
mod units;
