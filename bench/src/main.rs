//! Workloads over every backend of Annalist and over the raw technology beside it, in the same run.
//!
//! `cargo xtask bench --report DIR` is the way to run it; `--help` tells the options.

mod annalist;
mod args;
mod chart;
mod disk;
mod dynamodb;
mod kafka;
mod machine;
mod memory;
mod page;
mod payload;
mod postgres;
mod report;
mod run;
mod sqlite;
mod subject;
mod workload;

use std::process::ExitCode;

use args::Order;
use report::Report;

fn main() -> ExitCode {
    let done = args::parse().and_then(|order| match order {
        Order::Run(options) => run::run(options),
        Order::Render(dir) => page::write(&Report::read(&dir)?, &dir),
        Order::Serve(job) => run::serve(&job),
        Order::Nothing => Ok(()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
