//! `bench`: workloads beside the raw technology.

use lexopt::Parser;

use crate::Result;
use crate::run::{cargo, run};

const BENCH: [&str; 5] = ["run", "--release", "--package", "annalist-bench", "--"];

/// The program in `bench` knows its own options.
pub(crate) fn command(mut args: Parser) -> Result<()> {
    run(cargo(BENCH).args(args.raw_args()?).current_dir(std::env::current_dir()?))
}

/// A run too short to measure anything, which shows that every workload works and that no reader misses an event.
pub(crate) fn smoke(report: &std::path::Path) -> Result<()> {
    let short = ["--rounds", "1", "--seconds", "0.2", "--scale", "1", "--report"];
    // Without optimisation for release: it is built for the tests already.
    run(cargo(["run", "--package", "annalist-bench", "--"]).args(short).arg(report))
}
