//! The suite's proof: every check finds a broken store out, every broken store is found out, and honest ones pass.
//!
//! `cargo test -p annalist-conformance --test proof -- [--mutant NAME] [--oddball NAME] [--check NAME] [--soak NAME] [--full] [--runs N]
//! [--report DIR]`

mod bug;
mod edit;
mod edit_read;
mod faulty;
mod look;
mod matrix;
mod mutants;
mod odd;
mod oddballs;
mod one_pool;
mod options;
mod output;
mod record;
mod remote;
mod senders;
mod served;
mod soaked;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Agents are this program once more.
    served::play_agent().unwrap_or_else(matrix::main)
}
