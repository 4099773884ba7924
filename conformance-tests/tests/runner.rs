//! The runner: what becomes of checks that hold, fail, panic, hang, or tell nothing.

use std::sync::Arc;
use std::time::Duration;

use annalist_conformance::{
    BoxError, Check, CheckResult, Cx, Fault, Harness, HookError, Namespaces, Opened, Outcome, Rewind,
    Selection, Settings, Verdict, checks, ensure, note, run, run_check,
};
use annalist_core::Position;
use annalist_memory::MemoryStore;
use async_trait::async_trait;

checks! {
    area: "sample",
    holds { guarantee: "A1", level: 1, kind: Deterministic, summary: "It holds.", likely_cause: "none" }
    fails { guarantee: "A1", level: 1, kind: Deterministic, summary: "It fails.", likely_cause: "none" }
    notes_twice { guarantee: "A1", level: 1, kind: Deterministic, summary: "It notes.", likely_cause: "none" }
    panics { guarantee: "E3", level: 1, kind: Deterministic, summary: "It panics.", likely_cause: "none" }
    panics_in_a_task { guarantee: "E3", level: 1, kind: Deterministic, summary: "A task of it panics.", likely_cause: "none" }
    panics_in_the_background { guarantee: "E3", level: 1, kind: Deterministic, summary: "A task of the store panics.", likely_cause: "none" }
    hangs { guarantee: "C2", level: 1, kind: Deterministic, summary: "It hangs.", likely_cause: "none" }
    does_too_little { guarantee: "A1", level: 2, kind: Stochastic, summary: "It does too little.", likely_cause: "none" }
    does_enough { guarantee: "A1", level: 2, kind: Stochastic, summary: "It does enough.", likely_cause: "none" }
    says_no_minimum { guarantee: "A1", level: 2, kind: Sweep, summary: "It says no minimum.", likely_cause: "none" }
    needs_processes { guarantee: "A1", level: 1, kind: Deterministic, needs: [Processes], summary: "It does not apply.", likely_cause: "none" }
    needs_rewind { guarantee: "S5", level: 1, kind: Deterministic, hooks: [Rewind], summary: "It cannot be verified.", likely_cause: "none" }
    needs_fault { guarantee: "E1", level: 1, kind: Deterministic, hooks: [Fault], summary: "It has no fault.", likely_cause: "none" }
}

async fn holds(cx: Cx) -> Verdict {
    cx.works("Order-1").await.map(drop)
}

async fn fails(_: Cx) -> Verdict {
    ensure!(1 + 1 == 3, "one and one is {}", 1 + 1);
    Ok(())
}

async fn notes_twice(cx: Cx) -> Verdict {
    note!(cx, false, "first");
    note!(cx, false, "second");
    ensure!(false, "third");
    Ok(())
}

async fn panics(_: Cx) -> Verdict {
    panic!("on purpose")
}

async fn panics_in_a_task(cx: Cx) -> Verdict {
    let task = cx.spawn(async { panic!("on purpose") });
    // The failure of the task is not looked at, and yet the check fails.
    let _: Verdict<()> = task.join().await;
    Ok(())
}

async fn panics_in_the_background(_: Cx) -> Verdict {
    let _ = tokio::spawn(async { panic!("on purpose") }).await;
    Ok(())
}

async fn hangs(_: Cx) -> Verdict {
    std::future::pending().await
}

async fn does_too_little(cx: Cx) -> Verdict {
    cx.minimum_ops(3);
    cx.count_ops(2);
    Ok(())
}

async fn does_enough(cx: Cx) -> Verdict {
    cx.minimum_ops(3);
    cx.count_ops(3);
    Ok(())
}

async fn says_no_minimum(cx: Cx) -> Verdict {
    cx.count_ops(1_000);
    Ok(())
}

async fn needs_processes(_: Cx) -> Verdict {
    panic!("it must not run")
}

async fn needs_rewind(cx: Cx) -> Verdict {
    cx.rewind(Rewind::To(Position::START)).await
}

async fn needs_fault(cx: Cx) -> Verdict {
    cx.fault(Fault::Stall).await
}

#[derive(Default)]
struct Memory(Namespaces<MemoryStore>);

#[async_trait]
impl Harness for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn server(&self) -> String {
        "in process".to_owned()
    }

    async fn open(&self, namespace: &str) -> Result<Opened, BoxError> {
        Ok(Opened::new(self.0.get(namespace, MemoryStore::new).another_handle()))
    }

    async fn fault(&self, _: &str, _: Fault) -> Result<(), HookError> {
        Err(HookError::NotApplicable("nothing to break".to_owned()))
    }
}

struct NoServer;

#[async_trait]
impl Harness for NoServer {
    fn name(&self) -> &str {
        "no server"
    }

    fn server(&self) -> String {
        "none".to_owned()
    }

    async fn open(&self, _: &str) -> Result<Opened, BoxError> {
        Err("connection refused".into())
    }
}

fn sample(name: &str) -> Check {
    *CHECKS.iter().find(|check| check.name == format!("sample.{name}")).expect("a sample")
}

async fn ran(harness: impl Harness, name: &str) -> CheckResult {
    let time_limit = if name == "hangs" { Duration::from_millis(20) } else { Duration::from_secs(60) };
    let settings = Settings { time_limit, ..Settings::default() };
    run_check(Arc::new(harness), sample(name), settings).await
}

/// A panic in the background counts against every check that runs at that moment; so nothing else may run beside these.
static ALONE: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn every_end_has_its_outcome() {
    let _alone = ALONE.write().await;
    use Outcome::{Fail, Inconclusive, NotApplicable, Pass, Unverified};
    let ends = [
        ("holds", Pass, ""),
        ("fails", Fail, "one and one is 2"),
        ("notes_twice", Fail, "first; second; third"),
        ("panics", Fail, "on purpose"),
        ("panics_in_a_task", Fail, "on purpose"),
        ("panics_in_the_background", Fail, "in the background"),
        ("hangs", Fail, "did not finish within 20ms"),
        ("does_too_little", Inconclusive, "2 operations of the 3"),
        ("does_enough", Pass, ""),
        ("says_no_minimum", Inconclusive, "minimum_ops"),
        ("needs_processes", NotApplicable, "several processes: keeps everything in memory"),
        ("needs_rewind", Unverified, "rewind"),
        ("needs_fault", NotApplicable, "nothing to break"),
    ];
    for (name, outcome, reason) in ends {
        let result = ran(Memory::default(), name).await;
        assert_eq!(result.outcome, outcome, "{name}: {}", result.reason);
        assert!(result.reason.contains(reason), "{name}: {}", result.reason);
    }
    let missing = ran(NoServer, "holds").await;
    assert_eq!(missing.outcome, Fail, "a missing server is a failure");
    assert!(missing.reason.contains("connection refused"), "{}", missing.reason);
    assert_eq!(CHECKS.len(), ends.len(), "every sample is run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_runs_and_leaves_its_reports() {
    let selection = Selection { areas: vec!["append".to_owned()], level_max: 1, ..Selection::default() };
    let selected = selection.checks().len();
    let _beside_others = ALONE.read().await;
    let report = run(Arc::new(Memory::default()), selection).await;
    assert!(report.passed(), "{report}");
    assert_eq!(report.checks.len(), selected);

    let dir = std::env::temp_dir().join(format!("annalist-report-test-{}", std::process::id()));
    report.write(&dir).expect("a writable folder");
    for file in ["report.json", "junit.xml", "report.md"] {
        assert!(std::fs::metadata(dir.join(file)).is_ok_and(|file| file.len() > 0), "{file} is missing");
    }
    std::fs::remove_dir_all(dir).expect("it was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn running_nothing_is_no_pass() {
    let selection = Selection { names: vec!["append.no_such_check".to_owned()], ..Selection::default() };
    let _beside_others = ALONE.read().await;
    assert!(!run(Arc::new(Memory::default()), selection).await.passed());
}

#[test]
fn the_registry_is_in_order() {
    let checks = annalist_conformance::all();
    let mut names: Vec<_> = checks.iter().map(|check| check.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), checks.len(), "a name is used twice");
    for check in &checks {
        assert!(check.name.starts_with(&format!("{}.", check.area)), "{}", check.name);
        assert!((1..=4).contains(&check.level), "{}", check.name);
        let (chapter, number) = check.guarantee.split_at(1);
        let known = "AIERGSNLC".contains(chapter)
            && number.parse::<u8>().is_ok_and(|number| (1..=8).contains(&number));
        assert!(known, "{} carries {}, which is no guarantee", check.name, check.guarantee);
        assert!(check.summary.ends_with('.'), "the summary of {} is no sentence", check.name);
        assert!(!check.likely_cause.is_empty() && !check.likely_cause.ends_with('.'), "{}", check.name);
    }
}
