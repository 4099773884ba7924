//! Remote stores that several processes open, and servers that are killed and stopped.

mod client;
mod own_server;
mod world;

pub use client::{Client, Honest};
pub use own_server::Fate;
pub use world::{Served, served, with_fate};

use std::process::ExitCode;
use std::sync::Arc;

use annalist_conformance::{Harness, agent_program};

use crate::world::{World, WorldHarness};

/// What agents find in their environment: the name of the broken or odd store, and the address of its server.
pub const STORE: &str = "ANNALIST_PROOF_STORE";
const ADDRESS: &str = "ANNALIST_PROOF_ADDRESS";

/// Plays an agent of the store that the environment names, where this process was started as one.
pub fn play_agent() -> Option<ExitCode> {
    agent_program(|| {
        let name = std::env::var(STORE).expect("an agent is told of its store");
        let (name, world) = made(&name).expect("an agent is told of a store that there is");
        WorldHarness::new(name, world) as Arc<dyn Harness>
    })
}

fn made(name: &str) -> Option<(&'static str, Arc<dyn World>)> {
    let mutants = crate::mutants::all().into_iter().map(|mutant| (mutant.name, mutant.make));
    let mut stores = mutants.chain(crate::oddballs::all().into_iter().map(|odd| (odd.name, odd.make)));
    stores.find(|(found, _)| *found == name).map(|(name, make)| (name, make()))
}
