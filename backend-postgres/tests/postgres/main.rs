//! What only PostgreSQL has, on real servers. One program, so that it is linked once.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod cancellation;
#[path = "../common/mod.rs"]
mod common;
mod faults;
mod migrations;
mod pages;
mod plans;
mod pooler;
mod resources;
mod restored;
mod set_up;
mod strangers;
mod support;
mod transactions;
mod view;
