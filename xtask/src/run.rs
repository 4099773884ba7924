//! Running programs, and saying what was run, how it ended and how long it took.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Result;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask is a folder of the workspace").to_owned()
}

/// The cargo that started this program, in the root of the workspace.
pub(crate) fn cargo<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(args);
    command
}

/// Shows a command as it could be typed.
pub(crate) fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(name).chain(args).collect::<Vec<_>>().join(" ")
}

/// Runs a command with its output going where ours does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let status = command.status().map_err(|error| format!("{}: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", shown(command)).into()) }
}

/// Runs a command for what it prints.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| format!("{}: {error}", shown(command)))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}\n{told}", shown(command), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// What was asked for, one by one: all are tried, and the verdict names those that failed.
#[derive(Default)]
pub(crate) struct Steps {
    /// The steps that are taken; empty means all.
    pub(crate) only: Vec<String>,
    done: Vec<(String, Duration, Result<()>)>,
}

impl Steps {
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        if !self.only.is_empty() && !self.only.iter().any(|wanted| wanted == name) {
            return;
        }
        println!("\n== {name}");
        let begun = Instant::now();
        let result = work();
        if let Err(error) = &result {
            println!("FAILED {name}: {error}");
        }
        self.done.push((name.to_owned(), begun.elapsed(), result));
    }

    /// Prints every step with its time, what went wrong, and a last line that counts them: the end of a long output is what is looked at.
    pub(crate) fn verdict(self) -> Result<()> {
        println!();
        for (name, took, result) in &self.done {
            let verdict = if result.is_ok() { "ok    " } else { "FAILED" };
            println!("{verdict} {:6.1} s  {name}", took.as_secs_f64());
        }
        for (name, _, result) in &self.done {
            if let Err(error) = result {
                println!("\n{name}: {error}");
            }
        }
        let failed = self.done.iter().filter(|(.., result)| result.is_err()).count();
        println!("\n{} passed, {failed} failed", self.done.len() - failed);
        if failed > 0 || self.done.is_empty() { Err(format!("{failed} steps failed").into()) } else { Ok(()) }
    }
}
