//! All cases over all backends, round by round, the two sides taking turns.

use crate::args::Options;
use crate::machine::Machine;
use crate::memory::Memory;
use crate::report::{Report, Row};
use crate::subject::{Backend, Result, Subject, Volume};
use crate::workload::{CASES, Case, Pace, Reading};
use crate::{annalist::Annalist, chart};

const BACKENDS: [&str; 1] = [Memory::NAME];

pub(crate) fn run(options: Options) -> Result<()> {
    let cases = chosen(&options)?;
    // Made before hours of work, so that a folder that cannot be written is noticed at once.
    std::fs::create_dir_all(&options.report)?;
    let mut report = Report { machine: Machine::here(), rows: Vec::new() };
    if options.backends.is_empty() || options.backends.iter().any(|name| name == Memory::NAME) {
        compare(&Memory, &cases, &options, &mut report)?;
    }
    report.write(&options.report)?;
    chart::write(&report, &options.report)?;
    println!("\n{}", report.markdown());
    report.verdict()
}

/// The cases that were asked for; an unknown name is an error, not an empty run.
fn chosen(options: &Options) -> Result<Vec<Case>> {
    if let Some(name) = options.backends.iter().find(|name| !BACKENDS.contains(&name.as_str())) {
        return Err(format!("there is no backend {name:?}; there is {BACKENDS:?}").into());
    }
    if let Some(name) = options.workloads.iter().find(|name| CASES.iter().all(|case| case.workload != **name))
    {
        return Err(format!("there is no workload {name:?}").into());
    }
    let wanted =
        |case: &Case| options.workloads.is_empty() || options.workloads.iter().any(|w| w == case.workload);
    Ok(CASES.into_iter().filter(wanted).collect())
}

fn compare<B: Backend>(backend: &B, cases: &[Case], options: &Options, report: &mut Report) -> Result<()> {
    let pace = Pace { duration: options.duration, volume: scaled(backend.volume(), options.scale_percent) };
    for case in cases {
        let (mut ours, mut raws) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            // Whoever goes first finds the machine as the other left it: so they take turns at that, too.
            if round % 2 == 0 {
                ours.push(case.round(pace, backend.annalist())?);
                raws.push(case.round(pace, backend.raw())?);
            } else {
                raws.push(case.round(pace, backend.raw())?);
                ours.push(case.round(pace, backend.annalist())?);
            }
        }
        for (subject, rounds) in [(Annalist::NAME, ours), (B::Raw::NAME, raws)] {
            rows(B::NAME, subject, case, &rounds, report);
        }
    }
    Ok(())
}

/// One row for each unit that the rounds of a case gave.
fn rows(
    backend: &'static str,
    subject: &'static str,
    case: &Case,
    rounds: &[Vec<Reading>],
    report: &mut Report,
) {
    for (place, first) in rounds[0].iter().enumerate() {
        let values = rounds.iter().map(|round| round[place].value).collect();
        let row = Row::new(backend, subject, case, first.unit, values);
        println!("{row}");
        report.rows.push(row);
    }
}

fn scaled(volume: Volume, percent: u64) -> Volume {
    let part = |events: u64| (events * percent / 100).max(1);
    Volume {
        singles: part(volume.singles),
        batched: part(volume.batched),
        slice: volume.slice,
        racing: part(volume.racing),
        stream_reads: part(volume.stream_reads),
    }
}
