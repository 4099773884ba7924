//! Workloads over every backend of Annalist and over the raw technology beside it, in the same run.
//!
//! `cargo xtask bench --report DIR` is the way to run it; `--help` tells the options.

mod annalist;
mod args;
mod chart;
mod machine;
mod memory;
mod payload;
mod report;
mod run;
mod subject;
mod workload;

use std::process::ExitCode;

fn main() -> ExitCode {
    match args::parse().and_then(|options| options.map_or(Ok(()), run::run)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
