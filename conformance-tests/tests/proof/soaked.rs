//! Broken stores that a short soak must find out, and an honest one that it must let pass: what is saved, read back and checked offline tells them
//! apart.

use std::path::PathBuf;
use std::time::Duration;

use annalist_conformance::{Soak, SoakReport, soak};
use serde::Serialize;

use crate::mutants::Mutant;
use crate::options::Options;
use crate::world::WorldHarness;

/// What must be found out, and a word of what is told.
struct Expected {
    what: &'static str,
    mutant: &'static str,
    told: &'static str,
}

const EXPECTED: [Expected; 10] = [
    Expected { what: "a lost event", mutant: "lost_update", told: "is lost" },
    Expected { what: "a duplicate on retry", mutant: "no_ids_kept", told: "twice (I2)" },
    Expected { what: "a retry told as new", mutant: "retry_told_as_new", told: "(I1)" },
    Expected { what: "a gap in a subscription", mutant: "published_out_of_order", told: "has not given" },
    Expected { what: "a wrong order", mutant: "position_given_before_commit", told: "(A2, G3)" },
    Expected { what: "an unjustified conflict", mutant: "contention_is_conflict", told: "(A5, A7, I1)" },
    Expected { what: "a batch in parts", mutant: "events_one_by_one", told: "not whole and in order" },
    Expected { what: "a stale read", mutant: "newest_event_cached", told: "(R" },
    Expected {
        what: "a checkpoint that another handle does not see",
        mutant: "checkpoint_kept_in_the_handle",
        told: "(S5",
    },
    Expected {
        what: "a snapshot that another handle does not see",
        mutant: "snapshot_kept_in_the_handle",
        told: "(N1, R3)",
    },
];

/// How a soak of a store came out.
#[derive(Serialize)]
pub struct SoakRow {
    pub store: &'static str,
    pub what: &'static str,
    pub good: bool,
    pub violations: Vec<String>,
}

/// Soaks the broken stores and the honest one, all at once.
pub async fn soak_all(options: &Options) -> Vec<SoakRow> {
    let mutants = crate::mutants::all();
    let wanted = |expected: &&Expected| options.wants_soak(expected.mutant);
    let broken = EXPECTED.iter().filter(wanted).map(|expected| {
        let mutant = mutants.iter().find(|mutant| mutant.name == expected.mutant);
        broken(expected, *mutant.expect("a soak names a mutant that there is"), options.seed)
    });
    let mut rows = futures::future::join_all(broken).await;
    if options.wants_soak("plain") {
        rows.push(honest(options.seed).await);
    }
    rows
}

async fn broken(expected: &Expected, mutant: Mutant, seed: u64) -> SoakRow {
    let report = soaked(WorldHarness::new(mutant.name, (mutant.make)()), mutant.name, seed).await;
    let good = report.violations.iter().any(|violation| violation.contains(expected.told));
    SoakRow { store: mutant.name, what: expected.what, good, violations: report.violations }
}

async fn honest(seed: u64) -> SoakRow {
    let plain = crate::oddballs::all().into_iter().find(|oddball| oddball.name == "plain");
    let plain = plain.expect("the plain store is among the oddballs");
    let report = soaked(WorldHarness::new("plain", (plain.make)()), "plain", seed).await;
    let violations = report.violations.iter().chain(&report.inconclusive).cloned().collect();
    SoakRow { store: "plain", what: "nothing", good: report.passed(), violations }
}

async fn soaked(harness: std::sync::Arc<WorldHarness>, name: &str, seed: u64) -> SoakReport {
    let dir = folder(name);
    let (duration, patience) = (Duration::from_secs(4), Duration::from_secs(2));
    let soak_for = Soak { seed, duration, patience, rate: 400, ..Soak::into(&dir) };
    let report = soak(harness, &soak_for).await.expect("a soak leaves something to check");
    std::fs::remove_dir_all(&dir).expect("what was written can be removed");
    report
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("annalist-soak-{name}-{}", std::process::id()))
}
