//! `soak`: backends under mixed traffic while things go wrong, for as long as one likes; and the check of what an earlier soak has left.

use std::path::{Path, PathBuf};

use lexopt::{Arg, Parser, ValueExt};

use crate::Result;
use crate::programs::{self, Job, Program};
use crate::run::run;
use crate::servers::Servers;
use crate::suite;
use crate::workspace::{Package, Workspace};

/// What is asked for; passed on by environment variables.
struct Request {
    minutes: f64,
    out: PathBuf,
    settings: Vec<(&'static str, String)>,
}

pub(crate) fn command(mut args: Parser) -> Result<()> {
    let (mut backends, mut minutes, mut out, mut check) = (Vec::new(), None, None, None);
    let mut settings = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("backend") => backends.push(args.value()?.string()?),
            Arg::Long("minutes") => minutes = Some(args.value()?.parse::<f64>()?),
            Arg::Long("seed") => {
                settings.push(("ANNALIST_SOAK_SEED", args.value()?.parse::<u64>()?.to_string()))
            }
            Arg::Long("rate") => {
                settings.push(("ANNALIST_SOAK_RATE", args.value()?.parse::<u32>()?.to_string()))
            }
            Arg::Long("out") => out = Some(std::path::absolute(args.value()?)?),
            Arg::Long("check") => check = Some(std::path::absolute(args.value()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    let workspace = Workspace::load()?;
    if let Some(dir) = check {
        return offline(&workspace, &dir);
    }
    let minutes = minutes.ok_or("--minutes N or --check DIR is needed")?;
    let chosen = workspace.backends_named(&backends)?;
    let mut build = vec!["--test", suite::TARGET];
    chosen.iter().for_each(|backend| build.extend(["--package", &backend.name]));
    let programs = programs::build(&build)?;
    let out = out.map_or_else(|| workspace.scratch("soak"), Ok)?;
    side_by_side(&chosen, &programs, &Request { minutes, out, settings }, &mut Servers::of(&chosen))
}

/// Every backend for a few seconds.
pub(crate) fn brief(workspace: &Workspace, out: &Path, servers: &mut Servers) -> Result<()> {
    const SECONDS: f64 = 12.0;
    let programs = programs::build(&["--workspace", "--all-features", "--test", suite::TARGET])?;
    let request = Request { minutes: SECONDS / 60.0, out: out.to_owned(), settings: Vec::new() };
    side_by_side(&workspace.backends(), &programs, &request, servers)
}

/// Soaks backends all at once, because they wait more than they compute. Each leaves what it shows in a folder of its name.
fn side_by_side(
    backends: &[&Package],
    programs: &[Program],
    request: &Request,
    servers: &mut Servers,
) -> Result<()> {
    let mut jobs = Vec::new();
    for backend in backends {
        let name = backend.backend().expect("a chosen backend is one");
        let mut command = suite::program(programs, backend)?.command();
        servers.give(&mut command)?;
        command
            .env("ANNALIST_SOAK_MINUTES", request.minutes.to_string())
            .env("ANNALIST_SOAK_DIR", request.out.join(name))
            .envs(request.settings.iter().cloned());
        jobs.push(Job { name: format!("soak of {name}"), command });
    }
    let at_once = jobs.len();
    programs::run_at_once(jobs, at_once)
}

/// The check knows no backend: the program of any of them does it.
fn offline(workspace: &Workspace, dir: &Path) -> Result<()> {
    let any = workspace.backends_named(&["memory".to_owned()])?;
    let backend = any.first().ok_or("there is no backend")?;
    let programs = programs::build(&["--package", &backend.name, "--test", suite::TARGET])?;
    run(suite::program(&programs, backend)?.command().env("ANNALIST_SOAK_CHECK", dir))
}
