//! The suite as a test target: `cargo test` and `cargo nextest` run it, list it, filter it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::report::Rerun;
use crate::runner::Lanes;
use crate::{
    Check, CheckResult, Harness, Outcome, Report, Selection, Settings, agent_program, all, soak_program,
};

/// Makes the suite a test target: the whole of `tests/conformance.rs` but for the [`Harness`], with `harness = false` in `Cargo.toml`.
///
/// Each check is a test, so that names filter as usual; what does not apply or cannot be verified is ignored, with its reason.
/// The environment chooses further: `ANNALIST_SUITE_LEVEL` (the highest that runs), `ANNALIST_SUITE_AREA`, `ANNALIST_SUITE_CHECK` (several with
/// commas), `ANNALIST_SUITE_SEED`, `ANNALIST_SUITE_SCALE` (multiplies the work), `ANNALIST_SUITE_PATIENCE` (in seconds), and `ANNALIST_SUITE_REPORT`
/// names the folder for `report.json`, `junit.xml` and `report.md`.
///
/// With `ANNALIST_SOAK_MINUTES` in the environment the store is [soaked](crate::soak()) instead, for so long; `ANNALIST_SOAK_DIR` names the
/// folder, `ANNALIST_SOAK_SEED` and `ANNALIST_SOAK_RATE` (steps a second) say how. `ANNALIST_SOAK_CHECK` names the folder of an earlier soak, which is
/// [checked](crate::check_soak) once more.
///
/// ```no_run
/// use annalist_conformance::{BoxError, Harness, Namespaces, Opened};
/// use annalist_memory::MemoryStore;
///
/// #[derive(Default)]
/// struct Memory(Namespaces<MemoryStore>);
///
/// #[async_trait::async_trait]
/// impl Harness for Memory {
///     fn name(&self) -> &str {
///         "memory"
///     }
///
///     fn server(&self) -> String {
///         "in process".into()
///     }
///
///     async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
///         Ok(Opened::new(self.0.get(namespace, MemoryStore::new).another_handle()))
///     }
/// }
///
/// annalist_conformance::conformance_main!(Memory::default());
/// ```
#[macro_export]
macro_rules! conformance_main {
    ($harness:expr) => {
        fn main() -> ::std::process::ExitCode {
            $crate::main_program(::core::env!("CARGO_PKG_NAME"), ::std::sync::Arc::new($harness))
        }
    };
}

/// What [`conformance_main!`](crate::conformance_main) calls.
#[doc(hidden)]
#[must_use]
pub fn main_program(package: &'static str, harness: Arc<dyn Harness>) -> ExitCode {
    if let Some(code) = agent_program(|| harness.clone()) {
        return code;
    }
    if let Some(code) = soak_program(|| harness.clone()) {
        return code;
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert_with(|| harness.checks_at_once());
    let environment = match Environment::read(|name| std::env::var(format!("ANNALIST_SUITE_{name}")).ok()) {
        Ok(environment) => environment,
        Err(message) => return failed(&message),
    };
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("the runtime did not start: {error}")),
    };
    let results = Arc::default();
    let trials = trials(&harness, &environment.selection, runtime.handle(), &results, package);
    let conclusion = libtest_mimic::run(&arguments, trials);
    if arguments.list {
        return conclusion.exit_code();
    }
    let mut report = report(&*harness, environment.selection.settings, &results);
    report.package = Some(package);
    stop(runtime, harness);
    if let Some(dir) = &environment.report
        && let Err(error) = report.write(dir)
    {
        return failed(&format!("the report cannot be written to {}: {error}", dir.display()));
    }
    // A filter on the command line goes to every test target of a workspace, and may mean another.
    if report.checks.is_empty() && arguments.filter.is_none() && arguments.skip.is_empty() {
        return failed("no check ran: nothing was shown");
    }
    println!("{}, seed {}", report.summary(), report.seed);
    conclusion.exit_code()
}

fn failed(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::FAILURE
}

type Results = Arc<Mutex<Vec<CheckResult>>>;

fn trials(
    harness: &Arc<dyn Harness>,
    selection: &Selection,
    runtime: &Handle,
    results: &Results,
    package: &'static str,
) -> Vec<Trial> {
    let lanes = Arc::new(Lanes::default());
    let trial = |check: Check| {
        let (harness, runtime, results) = (harness.clone(), runtime.clone(), results.clone());
        let lanes = lanes.clone();
        let settings = selection.settings;
        Trial::ignorable_test(check.name, move || {
            let run = async move { lanes.run_check(harness, check, settings).await };
            let result = runtime.block_on(runtime.spawn(run));
            let result =
                result.map_err(|error| Failed::from(format!("the check itself was lost: {error}")))?;
            results.lock().unwrap_or_else(PoisonError::into_inner).push(result.clone());
            completion(result, settings, package)
        })
    };
    selection.checks().into_iter().map(trial).collect()
}

fn completion(result: CheckResult, settings: Settings, package: &'static str) -> Result<Completion, Failed> {
    match result.outcome {
        Outcome::Pass => Ok(Completion::Completed),
        Outcome::NotApplicable | Outcome::Unverified => {
            Ok(Completion::ignored_with(format!("{}: {}", result.outcome.name(), result.reason)))
        }
        Outcome::Fail | Outcome::Inconclusive => {
            Err(result.told(&Rerun { seed: settings.seed, package: Some(package) }).into())
        }
    }
}

/// All results, in the order of the registry.
fn report(harness: &dyn Harness, settings: Settings, results: &Results) -> Report {
    let mut checks = std::mem::take(&mut *results.lock().unwrap_or_else(PoisonError::into_inner));
    let places: HashMap<_, _> = all().iter().enumerate().map(|(place, check)| (check.name, place)).collect();
    checks.sort_by_key(|check| places.get(check.name).copied());
    Report::new(harness.name(), &harness.server(), settings.seed, checks)
}

/// Lets the harness clean up within the runtime, and gives what it leaves behind some time.
fn stop(runtime: Runtime, harness: Arc<dyn Harness>) {
    const STOP_TIME_MAX: Duration = Duration::from_secs(5);
    let inside = runtime.enter();
    drop(harness);
    drop(inside);
    runtime.shutdown_timeout(STOP_TIME_MAX);
}

/// What the environment asks for.
#[derive(Debug)]
struct Environment {
    selection: Selection,
    report: Option<PathBuf>,
}

impl Environment {
    fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let names = |name| -> Vec<String> {
            get(name).map_or(Vec::new(), |list| list.split(',').map(|name| name.trim().to_owned()).collect())
        };
        let mut selection = Selection::default();
        let (areas, checks) = (names("AREA"), names("CHECK"));
        known("AREA", &areas, |check| check.area)?;
        known("CHECK", &checks, |check| check.name)?;
        (selection.areas, selection.names) = (areas, checks);
        selection.level_max = number(get("LEVEL"), "LEVEL")?.unwrap_or(selection.level_max);
        let settings = &mut selection.settings;
        settings.seed = number(get("SEED"), "SEED")?.unwrap_or(settings.seed);
        settings.scale = number(get("SCALE"), "SCALE")?.unwrap_or(settings.scale);
        if let Some(seconds) = number(get("PATIENCE"), "PATIENCE")? {
            settings.patience = Duration::from_secs(seconds);
            settings.time_limit = settings.time_limit.max(8 * settings.patience);
        }
        Ok(Self { selection, report: get("REPORT").map(PathBuf::from) })
    }
}

fn number<T: FromStr>(value: Option<String>, name: &str) -> Result<Option<T>, String> {
    let parsed =
        value.map(|value| value.parse().map_err(|_| format!("ANNALIST_SUITE_{name} is no number: {value}")));
    parsed.transpose()
}

/// A name that does not exist would select nothing, silently.
fn known(variable: &str, names: &[String], of: impl Fn(&Check) -> &'static str) -> Result<(), String> {
    let checks = all();
    match names.iter().find(|name| !checks.iter().any(|check| of(check) == *name)) {
        Some(name) => Err(format!("ANNALIST_SUITE_{variable} names what does not exist: {name}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Environment, String> {
        Environment::read(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_selects() {
        let asked = [("LEVEL", "1"), ("AREA", "append"), ("SEED", "7"), ("REPORT", "out")];
        let environment = read(&asked).expect("a good environment");
        assert_eq!(environment.selection.settings.seed, 7);
        assert_eq!(environment.report, Some(PathBuf::from("out")));
        let checks = environment.selection.checks();
        assert!(!checks.is_empty() && checks.iter().all(|check| check.area == "append" && check.level == 1));
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        assert!(read(&[("CHECK", "append.no_such_check")]).is_err());
        assert!(read(&[("AREA", "appendix")]).is_err());
        assert!(read(&[("SEED", "seven")]).is_err());
    }
}
