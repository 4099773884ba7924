//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use crate::subject::Result;
use crate::workload::processes::{Job, WORKER};

const HELP: &str = "\
Runs workloads over Annalist and over the raw technology beside it, and writes bench.json, bench.md and charts.

  --report DIR        where to write (required)
  --add               keep what DIR has of other backends, measured on this machine
  --render            measure nothing: make the page and the charts anew of DIR's bench.json
  --backend NAME      only this backend; may be repeated (memory, sqlite, postgres, dynamodb, dynamodb-8ms, kafka)
  --workload W        only this workload; may be repeated (W1 W1N W2 W3 W4 W5 W6 MISS)
  --tasks N           only cases with this many tasks in each process; may be repeated
  --rounds N          rounds per case, alternating between the two sides (default 5)
  --seconds N         how long W6 and MISS run in each round (default 10)
  --scale PERCENT     how much of the usual volume the other workloads handle (default 100); W5 a log of that part
";

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) report: PathBuf,
    /// Empty means all.
    pub(crate) backends: Vec<String>,
    /// Empty means all.
    pub(crate) workloads: Vec<String>,
    /// Empty means all.
    pub(crate) tasks: Vec<u64>,
    pub(crate) rounds: u32,
    pub(crate) duration: Duration,
    pub(crate) scale_percent: u64,
    /// Whether to keep what is in the report of other backends.
    pub(crate) add: bool,
}

/// What this process is to do.
#[derive(Debug)]
pub(crate) enum Order {
    Run(Options),
    /// The page again, of what was measured before.
    Render(PathBuf),
    /// Its part of a workload that another process runs.
    Serve(Job),
    /// It was only asked what it can do.
    Nothing,
}

pub(crate) fn parse() -> Result<Order> {
    let mut parser = Parser::from_env();
    let mut report = None;
    let (mut add, mut render) = (false, false);
    let (mut backends, mut workloads, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
    let (mut rounds, mut seconds, mut scale_percent) = (5, 10.0, 100);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("report") => report = Some(PathBuf::from(parser.value()?)),
            Arg::Long("backend") => backends.push(parser.value()?.string()?),
            Arg::Long("workload") => workloads.push(parser.value()?.string()?.to_uppercase()),
            Arg::Long("tasks") => tasks.push(parser.value()?.parse()?),
            Arg::Long("rounds") => rounds = parser.value()?.parse()?,
            Arg::Long("seconds") => seconds = parser.value()?.parse()?,
            Arg::Long("scale") => scale_percent = parser.value()?.parse()?,
            Arg::Long("add") => add = true,
            Arg::Long("render") => render = true,
            Arg::Long("help") => {
                print!("{HELP}");
                return Ok(Order::Nothing);
            }
            Arg::Long(WORKER) => return Ok(Order::Serve(job(&mut parser)?)),
            other => return Err(other.unexpected().into()),
        }
    }
    if rounds == 0 || scale_percent == 0 {
        return Err("--rounds and --scale must be at least 1".into());
    }
    let report = report.ok_or("--report DIR is missing")?;
    if render {
        return Ok(Order::Render(report));
    }
    Ok(Order::Run(Options {
        report,
        backends,
        workloads,
        tasks,
        rounds,
        duration: Duration::try_from_secs_f64(seconds)?,
        scale_percent,
        add,
    }))
}

fn job(parser: &mut Parser) -> Result<Job> {
    Ok(Job {
        backend: parser.value()?.string()?,
        subject: parser.value()?.string()?,
        log: parser.value()?.string()?,
        case: parser.value()?.parse()?,
        process: parser.value()?.parse()?,
        scale_percent: parser.value()?.parse()?,
    })
}
