//! All cases over all backends, round by round, the two sides taking turns.

use crate::args::Options;
use crate::dynamodb::{DistantDynamo, NearDynamo};
use crate::kafka::Kafka;
use crate::machine::Machine;
use crate::memory::Memory;
use crate::postgres::Postgres;
use crate::report::{Report, Row, Run};
use crate::sqlite::Sqlite;
use crate::subject::{Backend, Durability, Result, Side, Subject};
use crate::workload::processes::Job;
use crate::workload::{CASES, Case, Pace, Reading, Site};
use crate::{annalist::Annalist, disk, machine, page};

const BACKENDS: [&str; 6] =
    [Memory::NAME, Sqlite::NAME, Postgres::NAME, NearDynamo::NAME, DistantDynamo::NAME, Kafka::NAME];

pub(crate) fn run(options: Options) -> Result<()> {
    let cases = chosen(&options)?;
    // Made before hours of work, so that a folder that cannot be written is noticed at once.
    std::fs::create_dir_all(&options.report)?;
    // Read before, so that what cannot be kept is noticed at once, too.
    let earlier = if options.add { Some(Report::read(&options.report)?) } else { None };
    let mut report = Report::new(Machine::here(), options.scale_percent);
    for name in BACKENDS {
        if !options.backends.is_empty() && options.backends.iter().all(|wanted| wanted != name) {
            continue;
        }
        match name {
            Memory::NAME => compare::<Memory>(&cases, &options, &mut report)?,
            Sqlite::NAME => compare::<Sqlite>(&cases, &options, &mut report)?,
            Postgres::NAME => compare::<Postgres>(&cases, &options, &mut report)?,
            NearDynamo::NAME => compare::<NearDynamo>(&cases, &options, &mut report)?,
            DistantDynamo::NAME => compare::<DistantDynamo>(&cases, &options, &mut report)?,
            _ => compare::<Kafka>(&cases, &options, &mut report)?,
        }
    }
    if let Some(earlier) = earlier {
        report.keep(earlier)?;
    }
    report.write(&options.report)?;
    page::write(&report, &options.report)?;
    println!("\n{}", page::markdown(&report));
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
    let wanted = |case: &Case| {
        (options.workloads.is_empty() || options.workloads.iter().any(|w| w == case.workload))
            && (options.tasks.is_empty() || options.tasks.contains(&case.tasks))
    };
    let cases: Vec<Case> = CASES.into_iter().filter(wanted).collect();
    if cases.is_empty() {
        return Err("no case is left to be run".into());
    }
    Ok(cases)
}

fn compare<B: Backend>(cases: &[Case], options: &Options, report: &mut Report) -> Result<()> {
    let (backend, scale_percent) = (B::find()?, options.scale_percent);
    if let Some(server) = backend.server()? {
        report.servers.insert(B::NAME.to_owned(), server);
    }
    report.runs.insert(B::NAME.to_owned(), measured(&backend, options)?);
    let pace = Pace { duration: options.duration, volume: backend.volume().scaled(scale_percent) };
    let ours = Site { backend: B::NAME, side: backend.ours(), scale_percent };
    let raw = Site { backend: B::NAME, side: backend.raw(), scale_percent };
    for case in cases.iter().filter(|case| case.processes == 1 || B::HAS_PROCESSES) {
        let (mut of_ours, mut of_raw) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            // Whoever goes first finds the machine as the other left it: so they take turns at that, too.
            if round % 2 == 0 {
                of_ours.push(told(case, case.round(pace, &ours)?, &ours));
                of_raw.push(told(case, case.round(pace, &raw)?, &raw));
            } else {
                of_raw.push(told(case, case.round(pace, &raw)?, &raw));
                of_ours.push(told(case, case.round(pace, &ours)?, &ours));
            }
        }
        rows(B::NAME, Annalist::NAME, case, &of_ours, report);
        rows(B::NAME, <B::Raw as Side>::Subject::NAME, case, &of_raw, report);
    }
    Ok(())
}

/// How a backend is measured.
fn measured<B: Backend>(backend: &B, options: &Options) -> Result<Run> {
    let Durability { settings, folder } = backend.durability()?;
    Ok(Run {
        date: machine::today(),
        scale_percent: options.scale_percent,
        seconds: options.duration.as_secs_f64(),
        durability: settings,
        optimised: !cfg!(debug_assertions),
        flushes_per_second: folder.as_deref().map(disk::flushes_per_second).transpose()?,
    })
}

/// Says what a round gave, so that a run which is cut off has said how far it came.
fn told<S: Side>(case: &Case, readings: Vec<Reading>, site: &Site<'_, S>) -> Vec<Reading> {
    let Case { workload, processes, tasks, batch, .. } = case;
    for Reading { unit, value } in &readings {
        let (backend, subject) = (site.backend, S::Subject::NAME);
        eprintln!("{backend} {workload} {processes}x{tasks} batch={batch} {subject}: {value:.1} {unit}");
    }
    readings
}

/// One worker's part of a case.
pub(crate) fn serve(job: &Job) -> Result<()> {
    match job.backend.as_str() {
        Memory::NAME => serve_on::<Memory>(job),
        Sqlite::NAME => serve_on::<Sqlite>(job),
        Postgres::NAME => serve_on::<Postgres>(job),
        NearDynamo::NAME => serve_on::<NearDynamo>(job),
        DistantDynamo::NAME => serve_on::<DistantDynamo>(job),
        Kafka::NAME => serve_on::<Kafka>(job),
        name => Err(format!("there is no backend {name:?}").into()),
    }
}

fn serve_on<B: Backend>(job: &Job) -> Result<()> {
    let backend = B::find()?;
    let case = CASES.get(job.case).ok_or("an unknown case")?;
    let volume = backend.volume().scaled(job.scale_percent);
    match job.subject.as_str() {
        Annalist::NAME => case.serve(backend.ours(), job, volume),
        _ => case.serve(backend.raw(), job, volume),
    }
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
