//! `semver`: that nothing which users rely on is gone or other than it was, unless the version says so.

use std::process::Command;

use lexopt::{Arg, Parser, ValueExt};

use crate::Result;
use crate::run::{Steps, root, run};
use crate::tools;
use crate::workspace::Workspace;

/// Compares each published package with what was published last, or with a commit or tag of this repository.
pub(crate) fn command(mut args: Parser) -> Result<()> {
    let (mut against, mut only) = (None, Vec::new());
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("against") => against = Some(args.value()?.string()?),
            Arg::Long("package") => only.push(args.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let workspace = Workspace::load()?;
    let tool = tools::installed(&workspace, "cargo-semver-checks")?;
    let mut steps = Steps::default();
    for package in workspace.published().filter(|package| only.is_empty() || only.contains(&package.name)) {
        steps.step(&package.name, || {
            let mut check = Command::new(&tool);
            check.current_dir(root()).args(["semver-checks", "--all-features", "--package", &package.name]);
            if let Some(commit) = &against {
                check.args(["--baseline-rev", commit]);
            }
            run(&mut check)
        });
    }
    steps.verdict()
}
