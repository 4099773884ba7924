//! Runs the checks on the broken stores and on the odd ones, and judges what came out.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use annalist_conformance::{Check, CheckResult, Hook, Outcome, Settings, run_check};
use futures::StreamExt;

use crate::mutants::Mutant;
use crate::oddballs::Oddball;
use crate::options::Options;
use crate::output::{Alarm, MutantRow, OddballRow, Outcomes, Power};
use crate::world::WorldHarness;

/// How a part of the proof runs.
#[derive(Clone, Copy)]
struct Pace {
    /// How many checks run at once. Many more than there are cores, because a broken store often makes a check wait.
    at_once: usize,
    settings: Settings,
}

impl Pace {
    /// On a broken store what must come often does not, and waiting long for it proves no more. But where rates are
    /// measured, running out of patience on a crowded machine would count as finding something out.
    fn with_mutants(options: &Options) -> Self {
        let (at_once, patience) = if options.runs == 1 { (64, 1_500) } else { (24, 3_000) };
        let (patience, time_limit) = (Duration::from_millis(patience), Duration::from_secs(30));
        Self {
            at_once,
            settings: Settings { seed: options.seed, patience, time_limit, ..Settings::default() },
        }
    }

    fn with_oddballs(options: &Options) -> Self {
        // Nothing that comes is waited for in vain here, so that patience costs nothing, and a crowded machine is no violation.
        let patience = Duration::from_secs(30);
        Self { at_once: 64, settings: Settings { seed: options.seed, patience, ..Settings::default() } }
    }
}

pub fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    if options.list {
        return ExitCode::SUCCESS;
    }
    if let Some(name) = name_of_two() {
        eprintln!("two stores are called {name}");
        return ExitCode::FAILURE;
    }
    let unknown = crate::record::unknown_in_track_record(&crate::mutants::all());
    if !unknown.is_empty() {
        eprintln!(
            "the track record names a check or a store that does not exist, or one that does not find the other out:\n{}",
            unknown.join("\n")
        );
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    let outcomes = runtime.block_on(prove(&options));
    // Tasks of broken stores may never end; they must not keep the proof from ending.
    runtime.shutdown_background();
    outcomes.print();
    if let Some(dir) = &options.report
        && let Err(error) = outcomes.write(dir)
    {
        eprintln!("the report cannot be written to {}: {error}", dir.display());
        return ExitCode::FAILURE;
    }
    if outcomes.proven() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A name that two stores have: a report could not tell them apart.
fn name_of_two() -> Option<&'static str> {
    let mutants = crate::mutants::all().into_iter().map(|mutant| mutant.name);
    let mut seen = BTreeSet::new();
    let mut names = mutants.chain(crate::oddballs::all().into_iter().map(|oddball| oddball.name));
    names.find(|name| !seen.insert(*name))
}

/// One run of one check on one store.
struct Job {
    store: usize,
    harness: Arc<WorldHarness>,
    check: Check,
    settings: Settings,
}

async fn prove(options: &Options) -> Outcomes {
    let checks = annalist_conformance::all();
    // A mutant none of whose checks was asked for has nothing to run, and would look like one that survived.
    let has_a_check = |m: &Mutant| {
        options.full || options.checks.is_empty() || m.expected.iter().any(|name| options.wants_check(name))
    };
    let of_name = |m: &Mutant| options.wants_mutant(m.name);
    let mutants: Vec<_> =
        crate::mutants::all().into_iter().filter(|m| of_name(m) && has_a_check(m)).collect();
    let oddballs: Vec<_> =
        crate::oddballs::all().into_iter().filter(|o| options.wants_oddball(o.name)).collect();

    let (broken, honest) = (Pace::with_mutants(options), Pace::with_oddballs(options));
    let mutant_jobs = mutants
        .iter()
        .enumerate()
        .flat_map(|(i, mutant)| jobs_of(i, mutant, &checks, options, broken.settings));
    let mutant_results = run_all(mutant_jobs.collect(), broken).await;
    let oddball_jobs = oddballs
        .iter()
        .enumerate()
        .flat_map(|(i, odd)| jobs_of_odd(i, odd, &checks, options, honest.settings));
    let oddball_results = run_all(oddball_jobs.collect(), honest).await;
    let alarms = false_alarms(&checks, options, broken).await;
    let soaked = crate::soaked::soak_all(options).await;

    let mutant_rows: Vec<_> =
        mutants.iter().enumerate().map(|(i, m)| judge(m, &checks, &mutant_results, i)).collect();
    let oddball_rows =
        oddballs.iter().enumerate().map(|(i, odd)| judge_odd(odd, &oddball_results, i)).collect();
    Outcomes {
        false_alarms: alarms,
        soaked,
        whole: options.is_whole(),
        tell_why: !options.mutants.is_empty() || !options.soaks.is_empty(),
        checks_without_killer: without_killer(&checks, &mutant_rows, options),
        checks_never_passed: never_passed(&checks, &oddball_results, options),
        checks: checks.len(),
        mutants: mutant_rows,
        oddballs: oddball_rows,
    }
}

fn jobs_of<'a>(
    store: usize,
    mutant: &'a Mutant,
    checks: &'a [Check],
    options: &'a Options,
    settings: Settings,
) -> impl Iterator<Item = Job> + 'a {
    let chosen = move |check: &&Check| {
        options.wants_check(check.name) && (options.full || mutant.expected.contains(&check.name))
    };
    checks.iter().filter(chosen).flat_map(move |check| {
        let runs = if check.kind.counts() { options.runs } else { 1 };
        (0..runs as u64).map(move |run| {
            let harness = WorldHarness::new(mutant.name, (mutant.make)());
            let settings = Settings { seed: settings.seed.wrapping_add(run), ..settings };
            Job { store, harness, check: *check, settings }
        })
    })
}

fn jobs_of_odd<'a>(
    store: usize,
    oddball: &'a Oddball,
    checks: &'a [Check],
    options: &'a Options,
    settings: Settings,
) -> impl Iterator<Item = Job> + 'a {
    let harness = WorldHarness::new(oddball.name, (oddball.make)());
    checks.iter().filter(|check| options.wants_check(check.name)).map(move |check| {
        let harness = harness.clone();
        Job { store, harness, check: *check, settings }
    })
}

/// How many checks run at once that start processes of their own, beside all others.
const CROWDING_AT_ONCE: usize = 6;

async fn run_all(jobs: Vec<Job>, pace: Pace) -> Vec<(usize, CheckResult)> {
    let one = |job: Job| async move {
        let Job { store, harness, check, settings } = job;
        let task = tokio::spawn(run_check(harness, check, settings));
        (store, task.await.expect("the runner itself does not panic"))
    };
    let (alone, together): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.harness.alone());
    let starts_processes =
        |job: &Job| job.check.hooks.iter().any(|hook| matches!(hook, Hook::Agent | Hook::Server));
    let (crowding, light): (Vec<_>, Vec<_>) = together.into_iter().partition(starts_processes);
    let (mut results, crowded): (Vec<_>, Vec<_>) = futures::join!(
        futures::stream::iter(light).map(one).buffer_unordered(pace.at_once).collect(),
        futures::stream::iter(crowding).map(one).buffer_unordered(CROWDING_AT_ONCE).collect(),
    );
    results.extend(crowded);
    for job in alone {
        results.push(one(job).await);
    }
    results
}

/// What the checks made of one mutant. It is killed if every expected check failed in every run.
fn judge(mutant: &Mutant, checks: &[Check], results: &[(usize, CheckResult)], store: usize) -> MutantRow {
    let mut powers: BTreeMap<&'static str, Power> = BTreeMap::new();
    let mut why: BTreeMap<&'static str, &str> = BTreeMap::new();
    for (_, result) in results.iter().filter(|(of, _)| *of == store) {
        let counts = result.kind != "deterministic";
        let power =
            powers.entry(result.name).or_insert(Power { check: result.name, counts, runs: 0, kills: 0 });
        power.runs += 1;
        if result.outcome.is_failure() {
            power.kills += 1;
            why.entry(result.name).or_insert(&result.reason);
        }
    }
    let known: BTreeSet<_> = checks.iter().map(|check| check.name).collect();
    let expected = || mutant.expected.iter().copied();
    let unknown = expected().filter(|name| !known.contains(name)).collect();
    let expected_powers: Vec<Power> = expected().filter_map(|name| powers.get(name).copied()).collect();
    let survived =
        expected_powers.iter().filter(|power| power.kills < power.runs).map(|power| power.check).collect();
    MutantRow {
        name: mutant.name,
        guarantee: mutant.guarantee,
        twin: mutant.twin,
        killed_by: powers
            .values()
            .filter(|power| power.kills == power.runs)
            .map(|power| power.check)
            .collect(),
        runs: expected_powers.iter().map(|power| power.runs).max().unwrap_or(0),
        kills: expected_powers.iter().map(|power| power.kills).min().unwrap_or(0),
        expected: mutant.expected,
        survived,
        unknown,
        why: why.iter().map(|(check, why)| format!("{check}: {why}")).collect(),
        power: expected_powers.into_iter().filter(|power| power.counts).collect(),
    }
}

/// How often the checks that tell by chance fail on the honest store, in as many runs and as impatiently as on the
/// mutants: what a detection rate has to be compared with.
async fn false_alarms(checks: &[Check], options: &Options, pace: Pace) -> Vec<Alarm> {
    let plain = crate::oddballs::all().into_iter().find(|oddball| oddball.name == "plain");
    let plain = plain.expect("the plain store is among the oddballs");
    let counting = checks.iter().filter(|check| check.kind.counts() && options.wants_check(check.name));
    let (counting, runs) = (counting.copied().collect::<Vec<_>>(), options.runs);
    if runs == 1 {
        return Vec::new();
    }
    let jobs = counting.iter().enumerate().flat_map(|(store, check)| {
        (0..runs as u64).map(move |run| {
            let settings = Settings { seed: pace.settings.seed.wrapping_add(run), ..pace.settings };
            Job { store, harness: WorldHarness::new("plain", (plain.make)()), check: *check, settings }
        })
    });
    let results = run_all(jobs.collect(), pace).await;
    let alarm = |check: &Check| {
        let failed =
            results.iter().filter(|(_, result)| result.name == check.name && result.outcome.is_failure());
        let why: Vec<String> = failed.map(|(_, result)| result.reason.clone()).collect();
        Alarm { check: check.name, runs, alarms: why.len(), why }
    };
    counting.iter().map(alarm).collect()
}

fn judge_odd(oddball: &Oddball, results: &[(usize, CheckResult)], store: usize) -> OddballRow {
    let of_store = || results.iter().filter(|(of, _)| *of == store).map(|(_, result)| result);
    let failed = || of_store().filter(|result| result.outcome.is_failure());
    let run = of_store().count();
    OddballRow {
        name: oddball.name,
        what: oddball.what,
        passed: run > 0 && failed().count() == 0,
        failed_checks: failed().map(|result| result.name).collect(),
        why: failed().map(|result| format!("{}: {}", result.name, result.reason)).collect(),
        run,
    }
}

/// The checks that no mutant was killed by.
fn without_killer(checks: &[Check], mutants: &[MutantRow], options: &Options) -> Vec<&'static str> {
    if !options.is_whole() {
        return Vec::new();
    }
    let killing: BTreeSet<_> = mutants.iter().flat_map(|mutant| &mutant.killed_by).copied().collect();
    checks.iter().map(|check| check.name).filter(|name| !killing.contains(name)).collect()
}

/// The checks that passed on no honest store: nothing shows that they can.
fn never_passed(checks: &[Check], results: &[(usize, CheckResult)], options: &Options) -> Vec<&'static str> {
    if !options.is_whole() {
        return Vec::new();
    }
    let passed = results.iter().filter(|(_, result)| result.outcome == Outcome::Pass);
    let passed: BTreeSet<_> = passed.map(|(_, result)| result.name).collect();
    checks.iter().map(|check| check.name).filter(|name| !passed.contains(name)).collect()
}
