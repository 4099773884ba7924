//! The test programs: built once by cargo, then run side by side.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::Deserialize;

use crate::Result;
use crate::run::{cargo, root, shown};

/// A program that cargo built.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) package_dir: PathBuf,
    pub(crate) target: String,
    pub(crate) kind: Kind,
    executable: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The tests inside a library or a program.
    Unit,
    /// A file of `tests`.
    Integration,
    Example,
}

#[derive(Deserialize)]
struct Message {
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    executable: Option<PathBuf>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Builds all that these arguments of `cargo test` select, and says what came of it.
pub(crate) fn build(args: &[&str]) -> Result<Vec<Program>> {
    let mut command = cargo(["test", "--no-run", "--message-format", "json-render-diagnostics"]);
    command.args(args).stderr(std::process::Stdio::inherit());
    println!("$ {}", shown(&command));
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", shown(&command), output.status).into());
    }
    let mut programs = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        programs.extend(program(serde_json::from_str(line)?));
    }
    if programs.is_empty() { Err("cargo built no test".into()) } else { Ok(programs) }
}

fn program(message: Message) -> Option<Program> {
    let (target, test) = (message.target?, message.profile?.test);
    let is = |kind: &str| target.kind.iter().any(|k| k == kind);
    let kind = match () {
        () if is("example") && !test => Kind::Example,
        () if is("test") => Kind::Integration,
        () if test => Kind::Unit,
        () => return None,
    };
    let package_dir = message.manifest_path?.parent()?.to_owned();
    Some(Program { package_dir, target: target.name, kind, executable: message.executable? })
}

impl Program {
    /// The program as cargo itself would start it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.current_dir(&self.package_dir).env("CARGO_MANIFEST_DIR", &self.package_dir);
        command
    }

    pub(crate) fn is_in(&self, dir: &Path) -> bool {
        self.package_dir == dir
    }

    pub(crate) fn name(&self) -> String {
        let folder = self.package_dir.strip_prefix(root()).unwrap_or(&self.package_dir);
        format!("./{} {}", folder.display(), self.target)
    }
}

/// Something to run beside others, under a name.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) command: Command,
}

/// Runs all jobs, as many at once as there are cores, and prints the output of each when it ends.
pub(crate) fn run_all(jobs: Vec<Job>) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let total = jobs.len();
    let waiting = Mutex::new(jobs.into_iter());
    let failed = Mutex::new(Vec::new());
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(total) {
            scope.spawn(|| {
                while let Some(mut job) = next(&waiting) {
                    let begun = Instant::now();
                    let failure = show(&job.name, begun, job.command.output());
                    done.fetch_add(1, Ordering::Relaxed);
                    failed.lock().expect("no thread panics").extend(failure);
                }
            });
        }
    });
    let failed = failed.into_inner()?;
    if total == 0 || done.into_inner() != total {
        return Err("not all that was asked for has run".into());
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

fn next(waiting: &Mutex<std::vec::IntoIter<Job>>) -> Option<Job> {
    waiting.lock().expect("no thread panics").next()
}

/// Prints in one piece, so that the output of two programs does not mix. Returns what went wrong.
fn show(name: &str, begun: Instant, output: std::io::Result<Output>) -> Option<String> {
    let took = begun.elapsed().as_secs_f64();
    let (good, text) = match output {
        Ok(output) => (output.status.success(), told(&output)),
        Err(error) => (false, error.to_string()),
    };
    let verdict = if good { "ok" } else { "FAILED" };
    println!("\n-- {name} ({verdict}, {took:.1} s)\n{text}");
    (!good).then(|| format!("{name} failed\n{}", failures(&text)))
}

/// Of what a test program said, what it says of its failures; of another program, how it ended.
fn failures(text: &str) -> String {
    const LINES_MAX: usize = 40;
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let first = lines.iter().position(|line| *line == "failures:");
    let first = first.unwrap_or(lines.len().saturating_sub(LINES_MAX));
    lines[first..].iter().take(LINES_MAX).map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// What a program said, first on its output and then on its error output.
fn told(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream));
    let spoken: Vec<_> = streams.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
    spoken.join("\n")
}
