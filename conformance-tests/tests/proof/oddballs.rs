//! Honest stores that are odd in what the contract leaves open. Every check must pass on them, or it demands too much.

use std::sync::Arc;

use crate::bug::Bug;
use crate::world::{World, each_handle};

/// An odd but honest store.
#[derive(Clone, Copy)]
pub struct Oddball {
    pub name: &'static str,
    /// What is odd about it.
    pub what: &'static str,
    pub make: fn() -> Arc<dyn World>,
}

/// Every odd store.
pub fn all() -> Vec<Oddball> {
    const ODDBALLS: &[Oddball] = &[Oddball {
        name: "plain",
        what: "nothing: the memory store beneath all mutants, without a bug",
        make: || each_handle(|| Plain),
    }];
    [ODDBALLS, crate::oddballs_c::ODDBALLS].concat()
}

struct Plain;

impl Bug for Plain {}
