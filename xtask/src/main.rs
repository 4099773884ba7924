//! The commands of this workspace, for people, CI and scripts alike: `cargo xtask help`.

mod bench;
mod ci;
mod deny;
mod docs;
mod drivers;
mod features;
mod graph;
mod guard;
mod guide;
mod links;
mod matrix;
mod msrv;
mod mutants;
mod packages;
mod performance;
mod programs;
mod run;
mod semver;
mod servers;
mod services;
mod soak;
mod suite;
mod test;
mod tools;
mod words;
mod workspace;

use std::error::Error;
use std::process::ExitCode;

use lexopt::{Arg, Parser, ValueExt};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const HELP: &str = "\
cargo xtask COMMAND

  test [--backend NAME]...
      All that a change must pass: unit, integration and doc tests, the suite on each backend, the examples.
  ci [--only STEP]...
      fmt, clippy, docs, features one by one, a build beside sqlx, deny, `test`, kill matrix, and that generated tables are up to date.
  suite --backend NAME [--level 1..4] [--area A] [--check NAME] [--seed N] --report DIR
      One backend under the conformance suite; leaves report.json, junit.xml and report.md in DIR.
  soak [--backend NAME]... --minutes N [--seed N] [--rate N] [--out DIR]
      Backends under mixed traffic, at N steps a second, while connections, processes and servers fail; leaves the history and report.json in DIR/NAME.
  soak --check DIR
      Holds the history that a soak has left in DIR against the contract once more.
  mutants [--runs N] --report DIR
      The suite's proof: every broken store is found out; leaves mutants.json and mutants.md in DIR.
  bench [--backend NAME]... [--workload W]... [--tasks N]... [--rounds N] [--seconds N] [--scale PERCENT] [--add] --report DIR
      Workloads beside the raw technology; leaves bench.json, bench.md and charts in DIR. With --add, DIR keeps what it has of other backends.
  performance [--check]
      Makes docs/performance.md and its charts of the figures in docs/performance; with --check, fails where they would change.
  semver [--against COMMIT] [--package NAME]...
      Compares what users rely on with what was published last, or with a commit or tag; before a release.
  services up | down | status [NAME]...
      Private servers that stay until they are ended, for the tests of one package; `up` prints the variables that tests read.
  matrix [--check]
      Writes the generated tables in README.md and docs; with --check, fails where they would change.
";

fn main() -> ExitCode {
    match command(Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(mut args: Parser) -> Result<()> {
    let Some(first) = args.next()? else {
        print!("{HELP}");
        return Err("which command?".into());
    };
    let name = match first {
        Arg::Value(name) => name.string()?,
        Arg::Long("help") => "help".to_owned(),
        other => return Err(other.unexpected().into()),
    };
    match name.as_str() {
        "test" => test::command(args),
        "ci" => ci::command(args),
        "suite" => suite::command(args),
        "soak" => soak::command(args),
        "mutants" => mutants::command(args),
        "bench" => bench::command(args),
        "semver" => semver::command(args),
        "performance" => performance::command(args),
        "services" => services::command(args),
        "matrix" => matrix::command(args),
        "help" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("there is no command {other:?}; `cargo xtask help` lists them").into()),
    }
}
