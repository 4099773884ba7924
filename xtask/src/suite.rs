//! `suite`: one backend under the conformance suite.

use std::path::{Path, PathBuf};
use std::time::Instant;

use lexopt::{Arg, Parser, ValueExt};

use crate::Result;
use crate::programs::{self, Job, Program};
use crate::run::run;
use crate::servers::Servers;
use crate::workspace::{Package, Workspace};

/// The name of the test target in which every backend has the suite.
pub(crate) const TARGET: &str = "conformance";

/// What the suite is asked for; passed on by environment variables.
#[derive(Default)]
pub(crate) struct Request {
    backend: String,
    report: PathBuf,
    selection: Vec<(&'static str, String)>,
}

pub(crate) fn command(mut args: Parser) -> Result<()> {
    let mut request = Request::default();
    while let Some(arg) = args.next()? {
        let variable = match arg {
            Arg::Long("backend") => {
                request.backend = args.value()?.string()?;
                continue;
            }
            Arg::Long("report") => {
                request.report = std::path::absolute(args.value()?)?;
                continue;
            }
            Arg::Long("level") => "ANNALIST_SUITE_LEVEL",
            Arg::Long("area") => "ANNALIST_SUITE_AREA",
            Arg::Long("check") => "ANNALIST_SUITE_CHECK",
            Arg::Long("seed") => "ANNALIST_SUITE_SEED",
            other => return Err(other.unexpected().into()),
        };
        request.select(variable, args.value()?.string()?);
    }
    if request.backend.is_empty() || request.report.as_os_str().is_empty() {
        return Err("--backend NAME and --report DIR are needed".into());
    }
    let workspace = Workspace::load()?;
    let backend = workspace.backends_named(std::slice::from_ref(&request.backend))?;
    let backend = backend.first().ok_or("there is no such backend")?;
    let programs = programs::build(&["--package", &backend.name, "--test", TARGET])?;
    let mut job = request.job(program(&programs, backend)?);
    let mut servers = Servers::of(&[backend]);
    servers.give(&mut job.command)?;
    let begun = Instant::now();
    let ran = run(&mut job.command);
    println!("the suite on {} took {:.1} s", request.backend, begun.elapsed().as_secs_f64());
    ran
}

/// The suite of a backend among the programs that were built.
pub(crate) fn program<'a>(programs: &'a [Program], backend: &Package) -> Result<&'a Program> {
    let suite = programs.iter().find(|program| program.target == TARGET && program.is_in(backend.dir()));
    suite.ok_or_else(|| format!("{} has no test target {TARGET:?}", backend.name).into())
}

impl Request {
    /// All checks; the report goes to a folder of the backend's name.
    pub(crate) fn whole(backend: &str, reports: &Path) -> Self {
        Self { backend: backend.to_owned(), report: reports.join(backend), selection: Vec::new() }
    }

    /// Several areas or checks are given to the suite with commas.
    fn select(&mut self, variable: &'static str, value: String) {
        match self.selection.iter_mut().find(|(known, _)| *known == variable) {
            Some((_, values)) => *values = format!("{values},{value}"),
            None => self.selection.push((variable, value)),
        }
    }

    pub(crate) fn job(&self, program: &Program) -> Job {
        let mut command = program.command();
        command.env("ANNALIST_SUITE_REPORT", &self.report).envs(self.selection.iter().cloned());
        Job { name: format!("suite on {}", self.backend), command }
    }
}
