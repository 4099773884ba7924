//! What is peculiar to SQLite files: what happens to them from outside, and what they cost.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod disk;
mod files;
mod locks;
mod pages;
mod processes;
mod replies;
mod resources;
mod support;
mod wal;
