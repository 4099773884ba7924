//! Runs checks and tells how they came out.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use tokio::sync::Semaphore;

use crate::kept::Kept;
use crate::panics::Panics;
use crate::{Check, CheckResult, Cx, Failure, Harness, Hook, Report, Selection, Settings, Verdict};

/// Runs the selected checks, several at once, each in a namespace of its own. Needs a multi-thread runtime of tokio.
///
/// ```no_run
/// # struct MyHarness;
/// # #[async_trait::async_trait]
/// # impl annalist_conformance::Harness for MyHarness {
/// #     fn name(&self) -> &str { "mine" }
/// #     fn server(&self) -> String { String::new() }
/// #     async fn open(&self, _: &str) -> Result<annalist_conformance::Opened, annalist_conformance::BoxError> { Err("no".into()) }
/// # }
/// use std::sync::Arc;
/// use annalist_conformance::{Selection, run};
///
/// # #[tokio::main]
/// # async fn main() {
/// let report = run(Arc::new(MyHarness), Selection::default()).await;
/// println!("{report}");
/// assert!(report.passed());
/// # }
/// ```
pub async fn run(harness: Arc<dyn Harness>, selection: Selection) -> Report {
    let settings = selection.settings;
    let lanes = Arc::new(Lanes::default());
    let one = |check| {
        let (harness, lanes) = (harness.clone(), lanes.clone());
        // A task each, so that a check that computes does not hold up the others.
        async move {
            let task = tokio::spawn(async move { lanes.run_check(harness, check, settings).await });
            task.await.unwrap_or_else(|error| lost(check, &error.to_string()))
        }
    };
    let parallelism = selection.parallelism.max(1);
    let results = futures::stream::iter(selection.checks()).map(one).buffered(parallelism).collect().await;
    Report::new(harness.name(), &harness.server(), settings.seed, results)
}

fn lost(check: Check, why: &str) -> CheckResult {
    let failure = Failure::violation(format!("the check itself was lost: {why}"));
    CheckResult::new(check, Err(failure), Duration::ZERO, 0)
}

/// How many checks at once may start processes: all else that runs beside them has to share the machine.
pub(crate) struct Lanes {
    agents: Semaphore,
    servers: Semaphore,
}

impl Default for Lanes {
    fn default() -> Self {
        const AGENTS_AT_ONCE: usize = 4;
        const SERVERS_AT_ONCE: usize = 2;
        Self { agents: Semaphore::new(AGENTS_AT_ONCE), servers: Semaphore::new(SERVERS_AT_ONCE) }
    }
}

impl Lanes {
    /// Runs one check, once there is room for what it starts.
    pub(crate) async fn run_check(
        &self,
        harness: Arc<dyn Harness>,
        check: Check,
        settings: Settings,
    ) -> CheckResult {
        let lane = match check.hooks {
            hooks if hooks.contains(&Hook::Server) || hooks.contains(&Hook::Disk) => Some(&self.servers),
            hooks if hooks.contains(&Hook::Agent) => Some(&self.agents),
            _ => None,
        };
        let _room = match lane {
            Some(lane) => Some(lane.acquire().await.expect("the lanes are never closed")),
            None => None,
        };
        run_check(harness, check, settings).await
    }
}

/// Runs one check.
///
/// ```no_run
/// # struct MyHarness;
/// # #[async_trait::async_trait]
/// # impl annalist_conformance::Harness for MyHarness {
/// #     fn name(&self) -> &str { "mine" }
/// #     fn server(&self) -> String { String::new() }
/// #     async fn open(&self, _: &str) -> Result<annalist_conformance::Opened, annalist_conformance::BoxError> { Err("no".into()) }
/// # }
/// use std::sync::Arc;
/// use annalist_conformance::{Outcome, Settings, all, run_check};
///
/// # #[tokio::main]
/// # async fn main() {
/// let result = run_check(Arc::new(MyHarness), all()[0], Settings::default()).await;
/// assert_eq!(result.outcome, Outcome::Pass);
/// # }
/// ```
pub async fn run_check(harness: Arc<dyn Harness>, check: Check, settings: Settings) -> CheckResult {
    let started = Instant::now();
    let panics = Panics::watch();
    let opened = Arc::new(Mutex::new(Kept::default()));
    let mut ops = 0;
    let body = attempt(harness, check, settings, panics.clone(), opened.clone(), &mut ops);
    let guarded = AssertUnwindSafe(panics.clone().scope(tokio::time::timeout(settings.time_limit, body)));
    let verdict = match guarded.catch_unwind().await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(_)) => {
            Err(Failure::violation(format!("the check did not finish within {:?}", settings.time_limit)))
        }
        Err(_) => Ok(()),
    };
    close_all(opened, &panics).await;
    let verdict = with_violations(verdict, panics.caught());
    CheckResult::new(check, verdict, started.elapsed(), ops)
}

async fn attempt(
    harness: Arc<dyn Harness>,
    check: Check,
    settings: Settings,
    panics: Panics,
    opened: Arc<Mutex<Kept>>,
    ops: &mut u64,
) -> Verdict {
    let cx = Cx::open(check.name, harness, settings, panics, opened).await?;
    for need in check.needs {
        if let Some(reason) = cx.capabilities().reason_against(*need) {
            return Err(Failure::NotApplicable(format!("{need}: {reason}")));
        }
    }
    let verdict = (check.run)(cx.clone()).await;
    *ops = cx.ops();
    let verdict = with_violations(verdict, cx.take_violations());
    if verdict.is_ok() { enough(check, &cx) } else { verdict }
}

/// A check that counts must have said how much it needs, and have done it.
fn enough(check: Check, cx: &Cx) -> Verdict {
    let (ops, ops_min) = (cx.ops(), cx.ops_min());
    if check.kind.counts() && ops_min == 0 {
        return Err(Failure::Inconclusive(format!(
            "a {} check must say what it needs by minimum_ops",
            check.kind
        )));
    }
    if ops < ops_min {
        return Err(Failure::Inconclusive(format!("{ops} operations of the {ops_min} that it needs")));
    }
    Ok(())
}

/// What was noted on the way comes before what ended the check, and counts more than anything but a violation.
fn with_violations(verdict: Verdict, noted: Vec<String>) -> Verdict {
    if noted.is_empty() {
        return verdict;
    }
    let last = if let Err(Failure::Violated(last)) = verdict { last } else { Vec::new() };
    Err(Failure::Violated(noted.into_iter().chain(last).collect()))
}

/// Closes what the check opened. What goes wrong in that is for the checks of closing to find.
async fn close_all(opened: Arc<Mutex<Kept>>, panics: &Panics) {
    const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);
    let handles = opened.lock().unwrap_or_else(PoisonError::into_inner).take();
    let closing = futures::future::join_all(
        handles.iter().map(|handle| AssertUnwindSafe(handle.close()).catch_unwind()),
    );
    let _ = panics.clone().scope(tokio::time::timeout(CLOSE_TIME_MAX, closing)).await;
}
