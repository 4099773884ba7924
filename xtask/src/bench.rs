//! `bench`: workloads beside the raw technology.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use lexopt::Parser;

use crate::run::{cargo, root, run};
use crate::servers::Servers;
use crate::workspace::Workspace;
use crate::{Result, performance};

pub(crate) const PACKAGE: &str = "annalist-bench";

const BENCH: [&str; 5] = ["run", "--release", "--package", PACKAGE, "--"];

/// The program in `bench` knows its own options; only the backends say which servers it needs.
pub(crate) fn command(mut args: Parser) -> Result<()> {
    let args: Vec<_> = args.raw_args()?.collect();
    let workspace = Workspace::load()?;
    let bench = workspace.packages().iter().filter(|package| package.name == PACKAGE).collect::<Vec<_>>();
    let mut servers = Servers::of(&bench).only(&backends(&args));
    run(servers.give(cargo(BENCH).args(&args).current_dir(std::env::current_dir()?))?)?;
    // Where the figures are kept that the docs show, the page is to be theirs.
    match report(&args) {
        Some(folder) if folder == root().join(performance::FOLDER) => performance::write(&workspace),
        _ => Ok(()),
    }
}

/// The folder that follows `--report` or `--report=`, however it was typed; nothing where only help was asked for.
fn report(args: &[OsString]) -> Option<PathBuf> {
    let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let apart = args.windows(2).find(|pair| pair[0] == "--report").map(|pair| &*pair[1]);
    let folder = apart.or_else(|| args.iter().find_map(|arg| arg.strip_prefix("--report=")))?;
    Some(std::path::absolute(folder).ok()?.components().collect())
}

/// What follows `--backend` or `--backend=`, as often as it is there.
fn backends(args: &[OsString]) -> Vec<String> {
    let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let apart =
        args.windows(2).filter(|pair| pair[0] == "--backend").map(|pair| pair[1].clone().into_owned());
    let joined = args.iter().filter_map(|arg| arg.strip_prefix("--backend=").map(str::to_owned));
    apart.chain(joined).collect()
}

/// A run too short to measure anything, which shows that every workload works and that no reader misses an event.
pub(crate) fn smoke(report: &Path, servers: &mut Servers) -> Result<()> {
    let short = ["--rounds", "1", "--seconds", "0.2", "--scale", "1", "--report"];
    // Without optimisation for release: it is built for the tests already.
    run(servers.give(cargo(["run", "--package", PACKAGE, "--"]).args(short).arg(report))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_found_however_it_is_typed() {
        let here = std::env::current_dir().unwrap().join("a/b");
        for args in [vec!["--rounds", "1", "--report", "a/b/"], vec!["--report=a/./b"]] {
            let args: Vec<_> = args.into_iter().map(OsString::from).collect();
            assert_eq!(report(&args), Some(here.clone()));
        }
        assert_eq!(report(&["--help".into()]), None);
    }

    #[test]
    fn backends_are_found_among_the_options() {
        let args = ["--rounds", "1", "--backend", "memory", "--report", "x", "--backend=postgres"];
        assert_eq!(backends(&args.map(OsString::from)), ["memory", "postgres"]);
        assert!(backends(&["--report".into(), "x".into()]).is_empty());
    }
}
