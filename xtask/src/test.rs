//! `test`: all that a change must pass.

use std::path::Path;

use lexopt::{Arg, Parser, ValueExt};

use crate::programs::{self, Job, Kind, Program};
use crate::run::{Steps, cargo, root, run};
use crate::servers::Servers;
use crate::workspace::{Package, Workspace};
use crate::{Result, guide, suite};

pub(crate) fn command(mut args: Parser) -> Result<()> {
    let mut backends = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("backend") => backends.push(args.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let workspace = Workspace::load()?;
    let mut steps = Steps::default();
    let reports = workspace.scratch("suite")?;
    all(&workspace, &backends, &reports, &mut steps)?;
    steps.verdict()
}

/// Adds the steps; the suite leaves a report per backend in `reports`. Returns the servers, for whoever has more to do with them.
pub(crate) fn all(
    workspace: &Workspace,
    backends: &[String],
    reports: &Path,
    steps: &mut Steps,
) -> Result<Servers> {
    let chosen = workspace.backends_named(backends)?;
    let mut servers = Servers::of(&workspace.without_other_backends(&chosen));
    let mut programs = Vec::new();
    steps.step("build the tests", || {
        programs = programs::build(&["--workspace", "--all-features"])?;
        Ok(())
    });
    steps.step("tests and suites", || {
        let mut jobs = jobs(workspace, &chosen, &programs, reports)?;
        for job in &mut jobs {
            servers.give(&mut job.command)?;
        }
        programs::run_all(jobs)
    });
    // The programs of cargo alone know where the examples of the docs are.
    steps.step("doc tests", || {
        run(servers.give(&mut cargo(["test", "--workspace", "--all-features", "--doc"]))?)
    });
    steps.step("examples", || examples(&programs, &mut servers));
    steps.step("the guide, as a newcomer would follow it", || guide::play(workspace, &mut servers));
    steps.step("the template store, as a stranger would build it", || {
        run(&mut cargo(["test", "--manifest-path", "docs/template-store/Cargo.toml"]))
    });
    Ok(servers)
}

/// Every test program but the suite's proof, which `mutants` runs. The suites come first, since they take longest.
fn jobs(
    workspace: &Workspace,
    chosen: &[&Package],
    programs: &[Program],
    reports: &Path,
) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for backend in chosen {
        let program = suite::program(programs, backend)?;
        let name = backend.backend().expect("a chosen backend is one");
        jobs.push(suite::Request::whole(name, reports).job(program));
    }
    let others: Vec<_> =
        workspace.backends().into_iter().filter(|b| !chosen.iter().any(|c| c.name == b.name)).collect();
    for program in programs.iter().filter(|program| program.kind != Kind::Example) {
        let special = program.target == suite::TARGET || program.target == crate::mutants::TARGET;
        if !special && !others.iter().any(|other| program.is_in(other.dir())) {
            jobs.push(Job { name: program.name(), command: program.command() });
        }
    }
    Ok(jobs)
}

/// Runs each example on what it takes by default.
fn examples(programs: &[Program], servers: &mut Servers) -> Result<()> {
    let examples: Vec<_> = programs.iter().filter(|program| program.kind == Kind::Example).collect();
    if examples.is_empty() {
        return Err("there is no example".into());
    }
    for example in examples {
        run(servers.give(example.command().current_dir(root()))?)?;
    }
    Ok(())
}
