//! `mutants`: the suite's proof.

use std::path::{Path, PathBuf};
use std::time::Instant;

use lexopt::{Arg, Parser, ValueExt};

use crate::Result;
use crate::programs::{self, Program};
use crate::run::run;

/// The test target that holds the broken and the odd stores.
pub(crate) const TARGET: &str = "proof";

pub(crate) fn command(mut args: Parser) -> Result<()> {
    let (mut runs, mut report) = (1, None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("runs") => runs = args.value()?.parse::<u32>()?,
            Arg::Long("report") => report = Some(PathBuf::from(args.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    let report = std::path::absolute(report.ok_or("--report DIR is needed")?)?;
    prove(runs, &report)
}

pub(crate) fn prove(runs: u32, report: &Path) -> Result<()> {
    // The whole workspace is named, so that its packages have the features with which `test` has built them.
    let programs = programs::build(&["--workspace", "--all-features", "--test", TARGET])?;
    let program: &Program =
        programs.iter().find(|program| program.target == TARGET).ok_or("there is no proof")?;
    let begun = Instant::now();
    let ran = run(program.command().arg("--runs").arg(runs.to_string()).arg("--report").arg(report));
    println!("the proof took {:.1} s", begun.elapsed().as_secs_f64());
    ran
}
